/**
 * The one virtual host, `/`: its exchanges, queues and bindings, kept in memory, the durable ones
 * in the broker's definitions as well. Knows no connection and no wire format; who asks is checked
 * by the handlers.
 */
import {
  type Broker,
  type Death,
  flatAddress,
  LAST_VALUES,
  type Message,
  type PublishSink,
  plainDotPattern,
  type Queue,
  type QueueSettings,
  type Stream,
  type Subscription,
  slashPattern,
} from '#broker';
import { BrokerError, type Clock, type Log, type Timer, type Timers } from '#kit';
import { AbandonedStreams } from './abandoned-streams.ts';
import { AmqpQueue, type QueueFacts, type QueueHome } from './amqp-queue.ts';
import type { DelayedExchanges } from './delayed-exchange.ts';
import { refusal } from './errors.ts';
import { type Binding, Exchange, type ExchangeFacts, Router } from './exchange.ts';
import { EMPTY_TABLE, type Table } from './field-table.ts';
import type { ExchangeType } from './matchers.ts';
import { type QueueLimits, queueLimits } from './queue-arguments.ts';
import { Repeats, repeatLimits } from './repeats.ts';
import { publishedTo } from './shown-properties.ts';
import { type BindingFacts, bindingName, StoredDefinitions } from './stored-definitions.ts';

export type AmqpExchange = Exchange<AmqpQueue>;
export type AmqpBinding = Binding<AmqpQueue>;

export const TOPIC_EXCHANGE = 'amq.topic';
export const DEFAULT_EXCHANGE = '';

const STANDARD_EXCHANGES: readonly (readonly [string, ExchangeType])[] = [
  ['', 'direct'],
  ['amq.direct', 'direct'],
  ['amq.fanout', 'fanout'],
  ['amq.topic', 'topic'],
  ['amq.headers', 'headers'],
  ['amq.match', 'headers'],
];

/** Messages of a queue without a stream are in memory: their number has a bound. */
const TRANSIENT_LENGTH_MAX = 1_000_000;
/** How long acknowledged records of a queue's own stream stay for other views. */
const ACKED_RETENTION_MS = 3_600_000;

/** Ends of durable queues that nobody uses, in the broker's time engine. */
const EXPIRY_KIND = 'amqp.queue-expiry';
const NOTHING = Buffer.alloc(0);
/** Scopes of the broker's windows. */
const REPEATS = 'amqp/';
/**
 * [A40] A time to live of 0 asks for delivery to whoever waits: it must outlive the way to the
 * disk.
 */
export const IMMEDIATE_MS = 50;

/** Setting of a stream that came with a queue and goes with it. */
const MADE_FOR_QUEUE = 'amqp.made-for-queue';

const EXCHANGE_STREAMS = 'amq.exchange.';

/** Where messages to an exchange are stored. */
export function exchangeStream(name: string): string {
  return EXCHANGE_STREAMS + name;
}

export interface VirtualHostGiven {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Log;
  /** Number of AMQP in stored messages. */
  readonly origin: number;
}

export type DeadLetter = QueueHome['deadLetter'];

export class VirtualHost implements QueueHome {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly origin: number;
  readonly exchanges = new Map<string, AmqpExchange>();
  readonly queues = new Map<string, AmqpQueue>();
  readonly #owned = new Map<object, Set<AmqpQueue>>();
  readonly router: Router<AmqpQueue>;
  /** Of exchanges that take a message once. */
  readonly #repeats = new Map<string, Repeats>();
  /** Grows with every change that may change a route. */
  version = 0;
  /** Times that a queue refused a message that its subscription had matched. */
  filteredCount = 0;
  /** What a rejected or expired message goes through; set once, by whoever publishes. */
  deadLetters: DeadLetter = () => null;
  /** Keeps messages of exchanges that let them wait; set once, by whoever publishes them then. */
  delay: DelayedExchanges['keep'] = () => {
    throw new Error('nobody keeps delayed messages');
  };
  readonly #log: Log;
  readonly #stored: StoredDefinitions;
  readonly #bindings = new Map<string, AmqpBinding>();
  /** Bindings of amq.topic and queues without a stream listen to addresses of all protocols. */
  readonly #subscriptions = new Map<object, Subscription>();
  readonly #abandoned: AbandonedStreams;
  /** Ends of queues that do not survive a restart. */
  readonly #expiries = new Map<AmqpQueue, Timer>();
  readonly #unwatch: () => void;

  constructor({ broker, clock, timers, log, origin }: VirtualHostGiven) {
    this.broker = broker;
    this.clock = clock;
    this.timers = timers;
    this.origin = origin;
    this.#log = log;
    this.#stored = new StoredDefinitions(broker.definitions);
    const soon = (call: () => void): void => timers.soon(call);
    this.#abandoned = new AbandonedStreams(broker, (name) => this.#isOurs(name), soon);
    this.router = new Router<AmqpQueue>(
      {
        exchange: (name) => this.exchanges.get(name),
        queueNamed: (name) => this.queues.get(name),
      },
      (destination) => destination instanceof Exchange,
    );
    for (const [name, type] of STANDARD_EXCHANGES) {
      const flags = { durable: true, autoDelete: false, internal: false };
      this.#enter({ name, type, ...flags, arguments: EMPTY_TABLE, alternate: '' });
    }
    this.#reopen();
    broker.time.register(EXPIRY_KIND, ({ id }) => this.queues.get(id)?.expiryDue());
    this.#unwatch = broker.streams.watch((event, stream) => this.#streamChanged(event, stream));
  }

  /** Resolves when all that was declared and deleted so far would survive a power cut. */
  durable(): Promise<void> {
    return this.#stored.durable();
  }

  close(): void {
    this.#abandoned.end();
    this.#unwatch();
    this.broker.time.unregister(EXPIRY_KIND);
    for (const timer of this.#expiries.values()) timer.cancel();
    this.#expiries.clear();
    for (const queue of this.queues.values()) queue.end();
    for (const subscription of this.#subscriptions.values()) {
      // Durable queues listen until the broker closes: clients of other protocols are still there,
      // and what is acknowledged to them now must not be missing after the restart.
      if (subscription.queue?.durable !== true) subscription.end();
    }
    this.#subscriptions.clear();
  }

  // ---- exchanges ----------------------------------------------------------------------------

  /** @throws AmqpError 406 */
  addExchange(facts: ExchangeFacts): AmqpExchange {
    const limits = repeatLimits(facts.name, facts.arguments);
    // An exchange of that name may have been there before: what it remembered is not of this one.
    if (limits !== null) this.#forgetRepeats(facts.name);
    if (facts.durable) this.#stored.putExchange(facts);
    return this.#enter(facts);
  }

  removeExchange(exchange: AmqpExchange): void {
    if (this.exchanges.get(exchange.name) !== exchange) return;
    this.exchanges.delete(exchange.name);
    if (this.#repeats.delete(exchange.name)) this.#forgetRepeats(exchange.name);
    this.version++;
    if (exchange.facts.durable) this.#stored.removeExchange(exchange.name);
    for (const binding of [...exchange.bindings]) this.unbind(binding);
    for (const binding of [...this.#bindings.values()]) {
      if (binding.destination === exchange) this.unbind(binding);
    }
    this.#abandoned.add(exchangeStream(exchange.name));
    this.#abandoned.remove();
  }

  #enter(facts: ExchangeFacts): AmqpExchange {
    const exchange: AmqpExchange = new Exchange(facts);
    this.exchanges.set(facts.name, exchange);
    const limits = repeatLimits(facts.name, facts.arguments);
    if (limits !== null) {
      const { idsMax, ttlMs: timeMs, header } = limits;
      const window = this.broker.dedupe.window(REPEATS + facts.name, { timeMs, idsMax });
      this.#repeats.set(facts.name, new Repeats(window, header));
    }
    this.version++;
    return exchange;
  }

  /** What an exchange remembers of messages that it takes once; null: it takes all. */
  repeatsOf(exchange: string): Repeats | null {
    return this.#repeats.get(exchange) ?? null;
  }

  #forgetRepeats(exchange: string): void {
    const window = this.broker.dedupe.window(REPEATS + exchange, { timeMs: 0, idsMax: 0 });
    window.forget((call) => this.timers.soon(call));
  }

  // ---- queues -------------------------------------------------------------------------------

  /**
   * Makes a queue that does not exist. A named queue that outlives connections is a cursor over the
   * stream of its name; one that goes by itself has no stream and listens to its name.
   */
  addQueue(facts: Omit<QueueFacts, 'madeStream'>, limits: QueueLimits, owner: object | null) {
    const { name, durable } = facts;
    if (this.broker.queues.get(name) !== undefined) throw refusal.locked(name);
    if (name === LAST_VALUES) throw new BrokerError('not-authorized', `'${name}' has no queue.`);
    const withStream = !facts.exclusive && !facts.autoDelete && !name.startsWith('amq.gen-');
    let stream = withStream ? this.broker.streams.get(name) : undefined;
    if (withStream && stream === undefined) {
      // Also for a queue that is not durable: other protocols write to this name and count on it.
      stream = this.broker.streams.create(name, {
        retentionAckedMs: ACKED_RETENTION_MS,
        config: { [MADE_FOR_QUEUE]: 'true' },
      });
    }
    const madeStream = stream?.settings.config[MADE_FOR_QUEUE] === 'true';
    const queue = this.#open({ ...facts, madeStream }, limits, owner);
    if (durable && !facts.exclusive) this.#stored.putQueue(queue.facts);
    return queue;
  }

  #open(facts: QueueFacts, limits: QueueLimits, owner: object | null): AmqpQueue {
    const { name } = facts;
    const stream = this.broker.streams.get(name);
    const withStream =
      stream !== undefined &&
      !facts.exclusive &&
      !facts.autoDelete &&
      stream.partitions.length === 1;
    const queue = this.broker.queues.declare(name, {
      durable: facts.durable && !facts.exclusive,
      ...(withStream ? { stream: name, ...startOf(limits, stream) } : {}),
      ...settingsOf(limits, withStream || facts.durable),
    });
    queue.meta = (message, matches) => this.#accepts(message, matches);
    const amqpQueue = new AmqpQueue(facts, limits, queue, owner, this);
    this.queues.set(name, amqpQueue);
    if (owner !== null) {
      const owned = this.#owned.get(owner);
      if (owned === undefined) this.#owned.set(owner, new Set([amqpQueue]));
      else owned.add(amqpQueue);
    }
    this.version++;
    queue.onRemoved(() => this.#queueGone(amqpQueue));
    if (!withStream) this.#listen(amqpQueue);
    return amqpQueue;
  }

  /** Gets what is published to the queue's flat name, by whichever protocol. */
  #listen({ name, queue }: AmqpQueue): void {
    const pattern = slashPattern(flatAddress(name).text);
    if (pattern === null || this.#subscriptions.has(queue)) return;
    const request = { pattern, queue, data: DEFAULT_EXCHANGE };
    this.#subscriptions.set(queue, this.broker.subscribe(request));
  }

  /**
   * A subscription by address also matches what AMQP publishers sent to other exchanges; an AMQP
   * queue gets from AMQP only what its bindings say.
   */
  #accepts(message: Message, matches: readonly { subscription: Subscription }[]): number | null {
    if (message.origin !== this.origin || message.native === null) return 0;
    for (const { subscription } of matches) {
      if (publishedTo(message.native, subscription.data as string)) return 0;
    }
    this.filteredCount++;
    return null;
  }

  removeQueue(queue: AmqpQueue): void {
    if (queue.facts.madeStream) this.#abandoned.add(queue.name);
    this.broker.queues.remove(queue.queue);
    this.#abandoned.remove();
  }

  /** The stream of a queue or an exchange that is there. */
  #isOurs(stream: string): boolean {
    if (this.queues.has(stream)) return true;
    const isExchange = stream.startsWith(EXCHANGE_STREAMS);
    return isExchange && this.exchanges.has(stream.slice(EXCHANGE_STREAMS.length));
  }

  #queueGone(queue: AmqpQueue): void {
    if (this.queues.get(queue.name) !== queue) return;
    this.queues.delete(queue.name);
    if (queue.owner !== null) this.#owned.get(queue.owner)?.delete(queue);
    this.version++;
    if (queue.facts.durable && !queue.facts.exclusive) this.#stored.removeQueue(queue.name);
    this.#endSubscription(queue.queue);
    for (const binding of [...queue.bindings]) this.unbind(binding);
    queue.end();
    this.#expiries.get(queue)?.cancel();
    this.#expiries.delete(queue);
    if (queue.limits.expiresMs > 0 && queue.queue.durable) {
      this.broker.time.cancel(EXPIRY_KIND, queue.name);
    }
    this.#abandoned.look();
  }

  /** [A72] Exclusive queues go with their connection. */
  endOwned(owner: object): void {
    for (const queue of this.#owned.get(owner) ?? []) this.removeQueue(queue);
    this.#owned.delete(owner);
  }

  unused(queue: AmqpQueue): void {
    this.#log.debug('queue deleted, nobody uses it', { queue: queue.name });
    this.removeQueue(queue);
  }

  deadLetter(queue: AmqpQueue, death: Death, sink: PublishSink | null): Message | null {
    return this.deadLetters(queue, death, sink);
  }

  nowMs(): number {
    return this.clock.nowMs();
  }

  /** A durable queue expires after a restart as well. */
  expireAt(queue: AmqpQueue, dueMs: number): void {
    const { name } = queue;
    if (queue.queue.durable) {
      this.broker.time.set(EXPIRY_KIND, name, dueMs, NOTHING);
      return;
    }
    const timer = this.timers.after(dueMs - this.clock.nowMs(), () => {
      this.#expiries.delete(queue);
      queue.expiryDue();
    });
    this.#expiries.set(queue, timer);
  }

  // ---- bindings -----------------------------------------------------------------------------

  /** Adds a binding; one that exists already stays as it is. */
  bind(source: AmqpExchange, to: AmqpExchange | AmqpQueue, key: string, table: Table): void {
    const facts = factsOf(source, to, key, table);
    if (this.#bindings.has(bindingName(facts))) return;
    this.#add({ source, destination: to, key, arguments: table });
    if (source.facts.durable && isDurable(to)) {
      this.#stored.putBinding(facts);
      this.#giveHome(source, to);
    }
  }

  findBinding(
    source: AmqpExchange,
    to: AmqpExchange | AmqpQueue,
    key: string,
    table: Table,
  ): AmqpBinding | undefined {
    return this.#bindings.get(bindingName(factsOf(source, to, key, table)));
  }

  /** Removes a binding; an auto-delete exchange goes with its last one. */
  unbind(binding: AmqpBinding): void {
    const { source, destination } = binding;
    const facts = factsOf(source, destination, binding.key, binding.arguments);
    if (!this.#bindings.delete(bindingName(facts))) return;
    source.remove(binding);
    if (destination instanceof AmqpQueue) destination.bindings.delete(binding);
    this.#endSubscription(binding);
    this.version++;
    if (source.facts.durable && isDurable(destination)) this.#stored.removeBinding(facts);
    if (source.facts.autoDelete && source.bindings.size === 0) this.removeExchange(source);
  }

  allBindings(): Iterable<AmqpBinding> {
    return this.#bindings.values();
  }

  #add(binding: AmqpBinding): void {
    const { source, destination, key } = binding;
    this.#bindings.set(bindingName(factsOf(source, destination, key, binding.arguments)), binding);
    source.add(binding);
    this.version++;
    if (!(destination instanceof AmqpQueue)) return;
    destination.bindings.add(binding);
    if (source.name !== TOPIC_EXCHANGE) return;
    const request = {
      pattern: plainDotPattern(key),
      queue: destination.queue,
      data: TOPIC_EXCHANGE,
    };
    this.#subscriptions.set(binding, this.broker.subscribe(request));
  }

  /** Messages to an exchange are stored as soon as something durable is bound to it. */
  #giveHome(source: AmqpExchange, to: AmqpExchange | AmqpQueue): void {
    if (source.name === TOPIC_EXCHANGE || source.name === DEFAULT_EXCHANGE) return;
    if (!isDurable(to)) return;
    const name = exchangeStream(source.name);
    if (this.broker.streams.get(name) !== undefined) return;
    this.broker.streams.create(name, { retentionAckedMs: ACKED_RETENTION_MS });
  }

  #endSubscription(key: object): void {
    this.#subscriptions.get(key)?.end();
    this.#subscriptions.delete(key);
  }

  // ---- start and change ---------------------------------------------------------------------

  #reopen(): void {
    for (const facts of this.#stored.exchanges()) this.#enter(facts);
    for (const facts of this.#stored.queues()) {
      this.#open(facts, queueLimits(facts.name, facts.arguments), null);
    }
    for (const facts of this.#stored.bindings()) this.#reopenBinding(facts);
    for (const { name, settings } of this.broker.streams.list()) {
      const wasOurs = name.startsWith(EXCHANGE_STREAMS) || MADE_FOR_QUEUE in settings.config;
      if (wasOurs && !this.#isOurs(name)) this.#abandoned.add(name);
    }
    this.#abandoned.remove();
  }

  #reopenBinding(facts: BindingFacts): void {
    const source = this.exchanges.get(facts.source);
    const from = facts.kind === 'queue' ? this.queues : this.exchanges;
    const destination = from.get(facts.destination);
    if (source === undefined || destination === undefined) {
      this.#stored.removeBinding(facts);
      return;
    }
    this.#add({ source, destination, key: facts.key, arguments: facts.arguments });
  }

  #streamChanged(event: 'created' | 'changed' | 'removed', stream: Stream): void {
    this.version++;
    const queue = this.queues.get(stream.name);
    if (queue === undefined || queue.queue.cursor?.partition.stream !== stream) return;
    // A queue cannot outlive the stream that it reads.
    if (event === 'removed') this.broker.queues.remove(queue.queue);
    // A cursor sees the first partition only; the others reach it by its name.
    else if (stream.partitions.length > 1) this.#listen(queue);
  }
}

/** What the broker's queue is asked for. */
function settingsOf(limits: QueueLimits, stored: boolean): Omit<QueueSettings, 'durable'> {
  const { lengthMax, bytesMax, deliveryLimit, messageTtlMs } = limits;
  const length = lengthMax >= 0 ? lengthMax : stored ? undefined : TRANSIENT_LENGTH_MAX;
  return {
    ...(length === undefined ? {} : { lengthMax: length }),
    ...(bytesMax >= 0 ? { bytesMax } : {}),
    overflow: limits.overflow === 'drop-head' ? 'drop-oldest' : 'reject',
    priorities: limits.maxPriority,
    singleActive: limits.singleActive,
    // [A67] The limit counts returns: the first delivery is none.
    maxDeliveries: deliveryLimit < 0 ? 0 : deliveryLimit + 1,
    ttlMs: messageTtlMs === 0 ? IMMEDIATE_MS : messageTtlMs,
  };
}

function startOf({ startAt }: QueueLimits, stream: Stream): { startOffset?: number } {
  if (startAt === 'next') return {};
  return { startOffset: startAt === 'first' ? stream.partitions[0]!.startOffset : startAt };
}

function isDurable(thing: AmqpExchange | AmqpQueue): boolean {
  return thing.facts.durable && !(thing instanceof AmqpQueue && thing.facts.exclusive);
}

function factsOf(
  source: AmqpExchange,
  destination: AmqpExchange | AmqpQueue,
  key: string,
  table: Table,
): BindingFacts {
  const kind = destination instanceof AmqpQueue ? 'queue' : 'exchange';
  return { source: source.name, destination: destination.name, kind, key, arguments: table };
}

/** The broker's queues of some AMQP queues. */
export function brokerQueues(queues: Iterable<AmqpQueue>): Queue[] {
  return Array.from(queues, ({ queue }) => queue);
}
