/** The clients of a run, who sends where and who reads what. */
import { textEntry } from '../../src/protocols/amqp/field-table.ts';
import type { Actor } from './actor.ts';
import { AmqpConsumer, type QueueShape } from './clients/amqp-consumer.ts';
import { AmqpMaker } from './clients/amqp-maker.ts';
import { AmqpPublisher } from './clients/amqp-publisher.ts';
import { TRANSACTED } from './clients/auditor.ts';
import { KafkaConsumer } from './clients/kafka-consumer.ts';
import { KafkaProducer, type Load } from './clients/kafka-producer.ts';
import { Maker, type Topic } from './clients/maker.ts';
import { MqttPublisher, type Route } from './clients/mqtt-publisher.ts';
import { MqttRetainer } from './clients/mqtt-retainer.ts';
import { MqttSubscriber } from './clients/mqtt-subscriber.ts';
import {
  NatsPublisher,
  NatsRequester,
  NatsResponder,
  NatsSubscriber,
} from './clients/nats-clients.ts';
import { ShareMaker } from './clients/share-group.ts';
import { ShareMember } from './clients/share-member.ts';
import { TransactionalProducer } from './clients/transactional-producer.ts';
import { Consumption } from './consumption.ts';
import type { Sent } from './ledger.ts';
import type { World } from './world.ts';

/** Virtual time that readers get to receive the rest. */
const DRAIN_MS = 120_000;
const LOOK_MS = 50;

/** What is old enough for it is compacted as soon as it leaves the write-ahead files. */
const COMPACTED = {
  'cleanup.policy': 'compact',
  'min.cleanable.dirty.ratio': '0.01',
  'segment.ms': '400',
};
/** Made as Kafka topics; every protocol writes to the first two. */
const TOPICS: readonly Topic[] = [
  { name: 'orders', partitions: 1 },
  { name: 'events', partitions: 3 },
  { name: 'bulk', partitions: 2 },
  { name: 'latest', partitions: 1, configs: COMPACTED },
  { name: TRANSACTED, partitions: 2 },
  { name: 'archive', partitions: 1, configs: { 'remote.storage.enable': 'true' } },
];
/** The second one is made with the first retained message. */
const COMPACTED_PARTITIONS = ['latest/0', 'mqtt.retained/0'] as const;
const SMALL = { batch: [1, 4], bytes: [10, 200], large: 0.1 } as const;
/** Write-ahead files full of these become segments as they are. */
const LARGE = { batch: [2, 4], bytes: [6_000, 7_500] } as const;
const LOADS: readonly (readonly [name: string, Load])[] = [
  ['kp1', { stream: 'orders', partition: 0, total: 30, ...SMALL }],
  ['kp2', { stream: 'events', partition: 1, total: 30, ...SMALL }],
  ['kb1', { stream: 'bulk', partition: 0, total: 60, ...LARGE }],
  ['kb2', { stream: 'bulk', partition: 1, total: 60, ...LARGE }],
  ['kk1', { stream: 'latest', partition: 0, total: 60, ...SMALL, keys: 5 }],
  ['ka1', { stream: 'archive', partition: 0, total: 40, batch: [1, 3], bytes: [500, 3_000] }],
];
/** What expires in `short` goes to `dead`. */
const QUEUES: readonly QueueShape[] = [
  { queue: 'jobs' },
  { queue: 'dead' },
  {
    queue: 'short',
    arguments: [
      { name: 'x-message-ttl', type: 'I', value: 300 },
      textEntry('x-dead-letter-exchange', ''),
      textEntry('x-dead-letter-routing-key', 'dead'),
    ],
  },
];
const ROUTES: readonly Route[] = [
  { stream: 'orders', topic: 'orders' },
  { stream: 'events', topic: 'events' },
  { stream: 'sensors', topic: 'sensors/1/temp' },
  { stream: 'sensors', topic: 'sensors/2/temp' },
  { stream: 'later', topic: '$delayed/1/later' },
  { stream: TRANSACTED, topic: TRANSACTED },
];

/** At most once: nothing must come. */
const LIVE = { complete: false };

const isDelayed = (address: string): boolean => address.startsWith('$delayed/');

export class Cast {
  readonly #world: World;
  readonly #senders: Actor[] = [];
  readonly #readers: Actor[] = [];
  readonly #consumptions: Consumption[] = [];

  constructor(world: World) {
    this.#world = world;
    for (const partition of COMPACTED_PARTITIONS) world.ledger.compacted.add(partition);
    this.#kafka();
    this.#transactions();
    this.#mqtt();
    this.#amqp();
    this.#nats();
  }

  /** Makes what must be there before. */
  async prepare(): Promise<void> {
    await new Maker(this.#world, 'maker', TOPICS).live();
    await new ShareMaker(this.#world, 'share maker').live();
    await new AmqpMaker(this.#world, 'amqp maker', QUEUES).live();
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
    for (const [name, load] of LOADS) this.#senders.push(new KafkaProducer(world, name, load));
    const orders = this.#consumption('group kc1', true, (address) => address === 'orders');
    const source = { stream: 'orders', partition: 0, committed: false };
    this.#readers.push(new KafkaConsumer(world, 'kc1', source, orders));
    const events = this.#consumption('share group', false, (address) => address === 'events');
    for (const name of ['sm1', 'sm2', 'sm3']) {
      this.#readers.push(new ShareMember(world, name, events));
    }
  }

  /** Both versions of the protocol, and readers of all protocols that must see what counts. */
  #transactions(): void {
    const world = this.#world;
    this.#senders.push(new TransactionalProducer(world, 'kt1', 1, 10));
    this.#senders.push(new TransactionalProducer(world, 'kt2', 2, 10));
    const isOf = (address: string) => address === TRANSACTED;
    const committed = this.#consumption('read_committed', false, isOf);
    for (const partition of [0, 1]) {
      const source = { stream: TRANSACTED, partition, committed: true };
      this.#readers.push(new KafkaConsumer(world, `kc${partition + 2}`, source, committed));
    }
    const session = this.#consumption('session ms4', true, isOf);
    this.#readers.push(new MqttSubscriber(world, 'ms4', [TRANSACTED], 2, session));
    const queue = this.#consumption('queue payments', false, isOf);
    this.#readers.push(new AmqpConsumer(world, 'ac5', { queue: TRANSACTED }, queue));
    const live = this.#consumption('nats payments', false, isOf, LIVE);
    this.#readers.push(new NatsSubscriber(world, 'ns5', TRANSACTED, '', live));
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
    const shared = this.#consumption('shared orders', false, (address) => address === 'orders');
    for (const name of ['mg1', 'mg2']) {
      this.#readers.push(new MqttSubscriber(world, name, ['$share/g/orders'], 1, shared));
    }
    const later = this.#consumption('session ms3', false, isDelayed);
    this.#readers.push(new MqttSubscriber(world, 'ms3', ['later'], 2, later));
    this.#senders.push(new MqttRetainer(world, 'mr1', 12));
  }

  #amqp(): void {
    const world = this.#world;
    this.#senders.push(new AmqpPublisher(world, 'ap1', ['jobs'], 40));
    this.#senders.push(new AmqpPublisher(world, 'ap2', ['jobs', 'orders', 'short'], 40));
    const jobs = this.#consumption('queue jobs', false, (address) => address === 'jobs');
    for (const name of ['ac1', 'ac2']) {
      this.#readers.push(new AmqpConsumer(world, name, { queue: 'jobs' }, jobs));
    }
    const temps = this.#consumption('queue temps', false, (address) =>
      address.startsWith('sensors/'),
    );
    const bound = { queue: 'temps', pattern: 'sensors.#' };
    this.#readers.push(new AmqpConsumer(world, 'ac3', bound, temps));
    const dead = this.#consumption('queue dead', false, (address) => address === 'short', {
      copies: true,
    });
    this.#readers.push(new AmqpConsumer(world, 'ac4', { queue: 'dead' }, dead));
  }

  #nats(): void {
    const world = this.#world;
    const routes = [...ROUTES.slice(0, 2), { stream: 'chat', topic: 'chat.room' }];
    this.#senders.push(new NatsPublisher(world, 'np1', routes, 40));
    this.#senders.push(new NatsRequester(world, 'nr1', 15));
    this.#readers.push(new NatsResponder(world, 'ns1'));
    const orders = this.#consumption('nats orders', true, (address) => address === 'orders', LIVE);
    this.#readers.push(new NatsSubscriber(world, 'ns2', 'orders', '', orders));
    const chat = this.#consumption('nats chat', false, (address) => address === 'chat.room', LIVE);
    for (const name of ['ns3', 'ns4']) {
      this.#readers.push(new NatsSubscriber(world, name, 'chat.*', 'talkers', chat));
    }
  }

  #consumption(
    name: string,
    ordered: boolean,
    wants: (address: string) => boolean,
    more: { readonly complete?: boolean; readonly copies?: boolean } = {},
  ): Consumption {
    const rules = { name, ordered, complete: true, wants: (sent: Sent) => wants(sent.address) };
    const consumption = new Consumption(this.#world.ledger, { ...rules, ...more });
    if (more.complete !== false) this.#consumptions.push(consumption);
    return consumption;
  }
}
