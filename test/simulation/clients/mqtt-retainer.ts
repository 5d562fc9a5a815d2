/** Keeps a value on a topic, and asks now and then as a newcomer what it is. */
import { Actor, Answer, Lost } from '../actor.ts';
import type { Sent } from '../ledger.ts';
import type { Wire } from '../network.ts';
import type { World } from '../world.ts';
import { type Arrived, MqttLink } from './mqtt-link.ts';

const TOPIC = 'state/lamp';
const STREAM = 'state';
const ANSWER_MS = 5_000;

export class MqttRetainer extends Actor {
  protected readonly listener = 'mqtt';
  readonly #total: number;
  #made = 0;
  #packetId = 0;
  /** The newest value that was acknowledged, and the newest that was sent. */
  #acked = -1;
  #sent = -1;

  constructor(world: World, name: string, total: number) {
    super(world, name);
    this.#total = total;
  }

  protected async session(wire: Wire): Promise<void> {
    const link = new MqttLink(wire, 5, this.world.scheduler);
    const acks = new Map<number, Answer<boolean>>();
    link.onAck = (_type, packetId, refused) => acks.get(packetId)?.resolve(!refused);
    const retained = new Answer<Arrived>();
    link.onMessage = (message) => {
      if (message.retain) retained.resolve(message);
    };
    await link.connect(`${this.name}-${this.#made}`, { clean: true });
    for (let count = this.random.integer(1, 4); count > 0; count--) {
      await this.#keep(link, acks);
      await Promise.race([this.pause(0, 100), link.lost]);
    }
    if (this.#acked >= 0) await this.#ask(link, retained);
    this.done = this.#made >= this.#total;
  }

  async #keep(link: MqttLink, acks: Map<number, Answer<boolean>>): Promise<void> {
    const message = this.#next();
    const packetId = ++this.#packetId;
    const ack = new Answer<boolean>();
    acks.set(packetId, ack);
    this.world.ledger.sending(message);
    this.#sent = message.sequence;
    link.publish({ topic: TOPIC, payload: message.body, qos: 1, packetId, retain: true });
    const isTaken = await Promise.race([ack.promise, link.lost, this.#timeout('no PUBACK')]);
    if (!isTaken) throw new Lost('a retained message was refused');
    this.world.ledger.acked(message);
    this.#acked = message.sequence;
  }

  #next(): Sent {
    const given = { publisher: this.name, sequence: this.#made++, stream: STREAM, address: TOPIC };
    const lane = `${this.name}@${TOPIC}`;
    return this.world.ledger.make({ ...given, lane, mode: 'at-least-once' }, 40);
  }

  async #ask(link: MqttLink, retained: Answer<Arrived>): Promise<void> {
    const options = { noLocal: false, retainAsPublished: false, retainHandling: 0 as const };
    await link.subscribe(1, [{ filter: TOPIC, qos: 0, ...options }]);
    const { payload } = await Promise.race([
      retained.promise,
      link.lost,
      this.#timeout('no retained message'),
    ]);
    const { ledger } = this.world;
    const found = ledger.identify(payload, `retained ${TOPIC}`);
    ledger.note(`retained ${found.id}`);
    if (
      found.publisher !== this.name ||
      found.sequence < this.#acked ||
      found.sequence > this.#sent
    ) {
      ledger.fail(`${TOPIC} keeps ${found.id}, acknowledged was ${this.#acked}`);
    }
  }

  #timeout(what: string): Promise<never> {
    const answer = new Answer<never>();
    this.world.scheduler.after(ANSWER_MS, () => answer.reject(new Lost(what)));
    return answer.promise;
  }
}
