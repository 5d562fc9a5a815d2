/** Publishes with QoS 0, 1 and 2 in a session that outlives its connections. */
import { PUBACK, PUBCOMP, PUBREC, PUBREL } from '../../../src/protocols/mqtt/codec/index.ts';
import { Actor } from '../actor.ts';
import type { Mode, Sent } from '../ledger.ts';
import type { Wire } from '../network.ts';
import type { World } from '../world.ts';
import { MqttLink } from './mqtt-link.ts';

const WINDOW = 6;
const FOREVER_SEC = 0xffffffff;
const MODES: readonly Mode[] = ['at-most-once', 'at-least-once', 'exactly-once'];

interface Flight {
  readonly message: Sent;
  readonly qos: 1 | 2;
  readonly packetId: number;
  /** PUBREC came: the message is the server's. */
  released: boolean;
}

export interface Route {
  readonly stream: string;
  readonly topic: string;
}

export class MqttPublisher extends Actor {
  protected readonly listener = 'mqtt';
  readonly #routes: readonly Route[];
  readonly #total: number;
  readonly #version: 4 | 5;
  #made = 0;
  #packetId = 0;
  /** In the order in which they were sent first. */
  #flights: Flight[] = [];
  #hasSession = false;
  #wake: () => void = () => {};

  constructor(world: World, name: string, routes: readonly Route[], total: number) {
    super(world, name);
    this.#routes = routes;
    this.#total = total;
    this.#version = this.random.pick([4, 5]);
  }

  protected async session(wire: Wire): Promise<void> {
    const link = new MqttLink(wire, this.#version, this.world.scheduler);
    link.onAck = (type, packetId, refused) => this.#acked(link, type, packetId, refused);
    const properties = this.#version === 5 ? { sessionExpirySec: FOREVER_SEC } : {};
    const { sessionPresent } = await link.connect(this.name, { properties });
    if (this.#hasSession && !sessionPresent) {
      this.world.ledger.fail(`the session of ${this.name} is lost`);
    }
    this.#hasSession = true;
    for (const flight of this.#flights) this.#send(link, flight, true);
    while (this.#made < this.#total || this.#flights.length > 0) {
      if (this.#made < this.#total && this.#flights.length < WINDOW) {
        this.#publish(link);
        if (this.random.chance(0.5)) continue;
        await Promise.race([this.pause(0, this.world.closing ? 1 : 120), link.lost]);
      } else await Promise.race([this.#progress(), link.lost]);
    }
    this.done = true;
  }

  #progress(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #publish(link: MqttLink): void {
    const { stream, topic } = this.random.pick(this.#routes);
    const qos = this.random.pick([0, 1, 1, 2, 2] as const);
    // What is due in the same moment has no order.
    const isDelayed = topic.startsWith('$delayed/');
    const lane = `${this.name}@${topic}/${qos}${isDelayed ? `/${this.#made}` : ''}`;
    const given = { publisher: this.name, sequence: this.#made++, stream, address: topic, lane };
    const size = this.random.chance(0.05) ? 5_000 : this.random.integer(10, 150);
    const message = this.world.ledger.make({ ...given, mode: MODES[qos]! }, size);
    if (qos === 0) {
      this.world.ledger.sending(message);
      link.publish({ topic, payload: message.body, qos, packetId: 0 });
      return;
    }
    const flight = { message, qos, packetId: this.#nextId(), released: false };
    this.#flights.push(flight);
    this.#send(link, flight, false);
  }

  #nextId(): number {
    do {
      this.#packetId = (this.#packetId % 0xffff) + 1;
    } while (this.#flights.some((flight) => flight.packetId === this.#packetId));
    return this.#packetId;
  }

  #send(link: MqttLink, flight: Flight, dup: boolean): void {
    const { message, qos, packetId, released } = flight;
    if (released) {
      link.ack(PUBREL, packetId);
      return;
    }
    this.world.ledger.sending(message);
    link.publish({ topic: message.address, payload: message.body, qos, packetId, dup });
  }

  #acked(link: MqttLink, type: number, packetId: number, refused: boolean): void {
    const flight = this.#flights.find((each) => each.packetId === packetId);
    if (flight === undefined) return;
    if (refused) this.#refused(link, flight);
    else if (type === PUBACK) {
      this.world.ledger.acked(flight.message);
      this.#end(flight);
    } else if (type === PUBREC) {
      if (!flight.released) this.world.ledger.acked(flight.message);
      flight.released = true;
      link.ack(PUBREL, packetId);
    } else if (type === PUBCOMP) this.#end(flight);
  }

  /** Not stored, says the server; whoever sends QoS 2 again could not know whether it is twice. */
  #refused(link: MqttLink, flight: Flight): void {
    if (flight.released || flight.qos === 2) {
      if (!flight.released) this.world.ledger.givenUp(flight.message);
      this.#end(flight);
      return;
    }
    // Those behind it on this connection may be refused as well: nobody waits for the answers.
    for (const { qos, message } of this.#flights) if (qos === 1) this.world.ledger.refused(message);
    link.wire.reset();
  }

  #end(flight: Flight): void {
    this.#flights = this.#flights.filter((each) => each !== flight);
    this.#wake();
  }
}
