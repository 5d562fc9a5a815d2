/** The clients of a run, who sends where and who reads what. */
import type { Actor } from './actor.ts';
import { KafkaProducer } from './clients/kafka-producer.ts';
import { Maker } from './clients/maker.ts';
import { MqttPublisher, type Route } from './clients/mqtt-publisher.ts';
import { MqttSubscriber } from './clients/mqtt-subscriber.ts';
import { Consumption } from './consumption.ts';
import type { World } from './world.ts';

/** Virtual time that readers get to receive the rest. */
const DRAIN_MS = 120_000;
const LOOK_MS = 50;

/** Made as Kafka topics; every protocol writes to them. */
const TOPICS = [
  { name: 'orders', partitions: 1 },
  { name: 'events', partitions: 3 },
];
const ROUTES: readonly Route[] = [
  { stream: 'orders', topic: 'orders' },
  { stream: 'events', topic: 'events' },
  { stream: 'sensors', topic: 'sensors/1/temp' },
  { stream: 'sensors', topic: 'sensors/2/temp' },
];

export class Cast {
  readonly #world: World;
  readonly #senders: Actor[] = [];
  readonly #readers: Actor[] = [];
  readonly #consumptions: Consumption[] = [];

  constructor(world: World) {
    this.#world = world;
    this.#kafka();
    this.#mqtt();
  }

  /** Makes what must be there before. */
  async prepare(): Promise<void> {
    await new Maker(this.#world, 'maker', TOPICS).live();
  }

  live(): Promise<unknown> {
    return Promise.all([...this.#senders, ...this.#readers].map((actor) => actor.live()));
  }

  /** Resolves when all is sent, and all is read that must be. */
  async end(): Promise<void> {
    const { scheduler, ledger } = this.#world;
    while (this.#senders.some((sender) => !sender.done)) await scheduler.sleep(LOOK_MS);
    const untilMs = scheduler.nowMs + DRAIN_MS;
    for (const consumption of this.#consumptions) {
      for (let missing = consumption.missing(); missing !== null; missing = consumption.missing()) {
        if (scheduler.nowMs > untilMs) {
          ledger.fail(`${missing.id} never came to ${consumption.rules.name}`);
        }
        await scheduler.sleep(LOOK_MS);
      }
    }
    for (const reader of this.#readers) reader.done = true;
  }

  #kafka(): void {
    const world = this.#world;
    this.#senders.push(new KafkaProducer(world, 'kp1', 'orders', 0, 30));
    this.#senders.push(new KafkaProducer(world, 'kp2', 'events', 1, 30));
  }

  #mqtt(): void {
    const world = this.#world;
    for (const name of ['mp1', 'mp2']) {
      this.#senders.push(new MqttPublisher(world, name, ROUTES, 40));
    }
    const sensors = this.#consumption('session ms1', true, (address) =>
      address.startsWith('sensors/'),
    );
    this.#readers.push(new MqttSubscriber(world, 'ms1', ['sensors/#'], 2, sensors));
    const orders = this.#consumption('session ms2', true, (address) => address === 'orders');
    this.#readers.push(new MqttSubscriber(world, 'ms2', ['orders'], 1, orders));
  }

  #consumption(name: string, ordered: boolean, wants: (address: string) => boolean): Consumption {
    const rules = { name, ordered, wants: ({ address }: { address: string }) => wants(address) };
    const consumption = new Consumption(this.#world.ledger, rules);
    this.#consumptions.push(consumption);
    return consumption;
  }
}
