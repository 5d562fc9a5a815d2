/**
 * A durable session that reads with QoS 1 or 2, at times slowly, and acknowledges when it likes.
 */
import { PUBACK, PUBCOMP, PUBREC, PUBREL } from '../../../src/protocols/mqtt/codec/index.ts';
import { Actor } from '../actor.ts';
import type { Consumption } from '../consumption.ts';
import type { Wire } from '../network.ts';
import type { World } from '../world.ts';
import { type Arrived, MqttLink } from './mqtt-link.ts';

const FOREVER_SEC = 0xffffffff;

export class MqttSubscriber extends Actor {
  protected readonly listener = 'mqtt';
  readonly #filters: readonly string[];
  readonly #qos: 1 | 2;
  readonly #consumption: Consumption;
  readonly #version: 4 | 5;
  #hasSession = false;
  #subscribed = false;
  /** Identifiers of QoS 2 messages that are ours, until PUBREL: part of a client's session. */
  readonly #received = new Set<number>();

  constructor(
    world: World,
    name: string,
    filters: readonly string[],
    qos: 1 | 2,
    consumption: Consumption,
  ) {
    super(world, name);
    this.#filters = filters;
    this.#qos = qos;
    this.#consumption = consumption;
    this.#version = this.random.pick([4, 5]);
  }

  protected async session(wire: Wire): Promise<void> {
    const { random, world } = this;
    const link = new MqttLink(wire, this.#version, world.scheduler);
    link.onMessage = (message) => this.#arrived(link, message);
    link.onAck = (type, packetId) => {
      if (type !== PUBREL) return;
      this.#received.delete(packetId);
      link.ack(PUBCOMP, packetId);
    };
    const properties =
      this.#version === 5
        ? { sessionExpirySec: FOREVER_SEC, receiveMaximum: random.integer(1, 20) }
        : {};
    const { sessionPresent } = await link.connect(this.name, { properties });
    if (this.#hasSession && !sessionPresent) {
      world.ledger.fail(`the session of ${this.name} is lost`);
    }
    if (!sessionPresent) this.#received.clear();
    this.#hasSession = true;
    if (!this.#subscribed) await this.#subscribe(link);
    for (;;) {
      const stay = random.between(100, 3_000);
      await Promise.race([world.scheduler.sleep(stay), link.lost]);
      if (this.done || (random.chance(0.3) && !world.closing)) return;
      if (world.closing) continue;
      if (!random.chance(0.3)) continue;
      wire.pauseReading();
      await Promise.race([world.scheduler.sleep(random.between(10, 800)), link.lost]);
      wire.resumeReading();
    }
  }

  async #subscribe(link: MqttLink): Promise<void> {
    const options = { noLocal: false, retainAsPublished: false, retainHandling: 0 as const };
    const requests = this.#filters.map((filter) => ({ filter, qos: this.#qos, ...options }));
    await link.subscribe(1, requests);
    this.#subscribed = true;
    this.#consumption.begin(this.name);
  }

  #arrived(link: MqttLink, message: Arrived): void {
    const { qos, packetId, payload } = message;
    if (qos === 2) {
      if (!this.#received.has(packetId)) {
        this.#received.add(packetId);
        this.#consumption.got(this.name, payload, true);
      }
      this.#answer(link, PUBREC, packetId);
      return;
    }
    this.#consumption.got(this.name, payload, false);
    if (qos === 1) this.#answer(link, PUBACK, packetId);
  }

  #answer(link: MqttLink, type: number, packetId: number): void {
    if (this.world.closing || this.random.chance(0.7)) link.ack(type, packetId);
    else this.world.scheduler.after(this.random.between(1, 300), () => link.ack(type, packetId));
  }
}
