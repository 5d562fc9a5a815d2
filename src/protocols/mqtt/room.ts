/**
 * The MQTT room while it runs: what its connections share. One instance per server.
 */
import {
  type Broker,
  type DedupeWindow,
  type DelayedMessage,
  DelayedMessages,
  type Message,
  type PeerFacts,
  type QueueSettings,
  slashSpelling,
} from '#broker';
import type { Action, Connection, Host, Instance } from '#contract';
import { type BrokerError, expectBrokerError, type Log, type Timers } from '#kit';
import { PacketReader, PublishPacket, REASON } from './codec/index.ts';
import { Link } from './connection.ts';
import { connectionRow } from './connection-row.ts';
import { ExclusiveFilters } from './features/exclusive.ts';
import { type DropReason, Hooks } from './features/hooks.ts';
import { Features } from './features/index.ts';
import { SERVER_WORDS } from './features/own-topics.ts';
import { strategyOfGroup } from './features/share-groups.ts';
import { type MqttMetrics, mqttMetrics, showQueues } from './metrics.ts';
import type { MqttOptions } from './options.ts';
import { Flusher } from './output.ts';
import { PacketCache } from './packet-cache.ts';
import { RetainedRules } from './retained-rules.ts';
import { Rights } from './rights.ts';
import type { Session } from './session.ts';
import { SessionStore } from './session-store.ts';
import { Sessions } from './sessions.ts';
import { SharedGroups } from './shared-groups.ts';
import type { StrategyName } from './shared-strategies.ts';
import { TurnBudget } from './turn-budget.ts';

/** Clients that do not close after our DISCONNECT are cut off after this. */
const LEAVE_TIMEOUT_MS = 2000;
/** Kinds of the broker's time engine. */
const DELAYED = 'mqtt.delayed';
const WILLS = 'mqtt.will';
/** The scope of message ids: an id counts together with its client. */
const DEDUPE = 'mqtt';
const REPLAYED_PER_TURN = 512;
/** The counter of each reason. */
const DROPPED = {
  'slow-client': 'droppedSlow',
  'too-large': 'droppedTooLarge',
  expired: 'droppedExpired',
  'queue-full': 'droppedFull',
} as const satisfies Record<DropReason, keyof MqttMetrics>;

type Row = Readonly<Record<string, string | number | boolean | null>>;

export class Room implements Instance {
  readonly broker: Broker;
  readonly timers: Timers;
  readonly log: Log;
  readonly options: MqttOptions;
  readonly metrics: MqttMetrics;
  readonly store: SessionStore;
  readonly sessions: Sessions;
  readonly groups: SharedGroups;
  /** Message ids of clients, when the options ask for it (M189). */
  readonly dedupe: DedupeWindow | null;
  /** What clients published for later (M182). */
  readonly delayed: DelayedMessages;
  /** Wills whose time has not come, by client; those that waited for room have ids of their own. */
  readonly wills: DelayedMessages;
  readonly retained: RetainedRules;
  /** Retained messages that are looked at in one turn, for all clients together. */
  readonly replayBudget: TurnBudget;
  readonly hooks = new Hooks();
  readonly exclusive = new ExclusiveFilters();
  readonly features: Features;
  /** Rules that change topic names (M181); null while there are none. */
  publishedName: ((link: Link, topic: string) => string) | null = null;
  subscribedName: ((link: Link, filter: string) => string) | null = null;
  readonly flusher: Flusher;
  readonly packets = new PacketCache();
  /** One reader and one PUBLISH for all connections: packets are handled one after the other. */
  readonly reader = new PacketReader();
  readonly publishPacket = new PublishPacket();
  readonly rights: Rights;
  readonly #host: Host;
  readonly #byListener: ReadonlyMap<string, MqttOptions>;
  readonly #links = new Set<Link>();
  readonly #endReading: () => void;
  #closed: (() => void) | null = null;
  closing = false;

  constructor(
    host: Host,
    options: MqttOptions,
    byListener: ReadonlyMap<string, MqttOptions> = new Map(),
  ) {
    this.#host = host;
    this.#byListener = byListener;
    this.broker = host.broker;
    this.timers = host.timers;
    this.log = host.log;
    this.options = options;
    this.metrics = mqttMetrics(host.metrics);
    this.store = new SessionStore(host.broker.state);
    this.sessions = new Sessions(this);
    this.#endReading = host.metrics.onRead(() => this.#showSessions());
    const strategyOf = (group: string): StrategyName => strategyOfGroup(this, group);
    this.groups = new SharedGroups(host.broker, host.random, strategyOf);
    const { broker, timers } = host;
    this.retained = new RetainedRules(broker, options, () => this.nowMs(), timers);
    this.replayBudget = new TurnBudget(host.timers, REPLAYED_PER_TURN);
    this.flusher = new Flusher(host.timers);
    const { dedupeWindow: timeMs, dedupeIdsMax: idsMax } = options;
    this.dedupe = timeMs > 0 ? host.broker.dedupe.window(DEDUPE, { timeMs, idsMax }) : null;
    const nowMs = (): number => this.nowMs();
    const factsOf = ({ producer }: Message): PeerFacts => ({
      ...{ protocol: 'mqtt', clientId: producer },
    });
    this.delayed = new DelayedMessages(host.broker, DELAYED, nowMs, factsOf);
    this.wills = new DelayedMessages(host.broker, WILLS, nowMs, factsOf);
    this.hooks.watchSessions(this.exclusive);
    this.broker.principals.keepForServer(SERVER_WORDS);
    // In the same stretch of code: what is overdue finds all subscriptions.
    this.sessions.restore();
    this.rights = new Rights(this, this.#links);
    this.features = new Features(this, host);
  }

  nowMs(): number {
    return this.#host.clock.nowMs();
  }

  monotonicMs(): number {
    return this.#host.clock.monotonicMs();
  }

  /** What holds for the clients of a listener. */
  optionsOn(listener: string): MqttOptions {
    return this.#byListener.get(listener) ?? this.options;
  }

  /** A client identifier for who brought none, unlike any other [MQTT-3.1.3-6]. */
  newClientId(): string {
    return `auto-${this.#host.random.bytes(12).toString('hex')}`;
  }

  #showSessions(): void {
    showQueues(this.metrics, this.sessions.warm());
    this.metrics.sessionsCold.set(this.store.coldCount);
    this.metrics.queuedCold.set(this.broker.cold.messages);
  }

  get actions(): readonly Action[] {
    return this.features.actions;
  }

  accept(connection: Connection): void {
    const link = new Link(this, connection);
    this.#links.add(link);
    connection.handle(link);
    this.metrics.connections.set(this.#links.size);
    if (this.closing) connection.destroy('the server stops');
  }

  gone(link: Link): void {
    this.#links.delete(link);
    this.metrics.connections.set(this.#links.size);
    if (this.#links.size === 0) this.#closed?.();
  }

  /** A client has got its CONNACK. */
  connected(link: Link): void {
    this.metrics.handshake.observe((this.monotonicMs() - link.connectMs) / 1000);
    this.hooks.connected(link);
  }

  links(): Iterable<Link> {
    return this.#links;
  }

  // ---- what happens to messages -----------------------------------------------------------------

  received(link: Link, message: Message): void {
    link.messagesIn++;
    link.unpaidBytes += message.value!.length + message.address.text.length;
    this.metrics.received[message.qos].add();
    this.metrics.receivedBytes.add(message.value!.length);
    this.hooks.messages?.received(link, message);
  }

  sent(session: Session, message: Message, topic: string, qos: 0 | 1 | 2, id: number): void {
    const counter = this.metrics.sent[qos];
    counter.add();
    if (message.value !== null) this.metrics.sentBytes.add(message.value.length);
    if ((counter.value & 63) === 0 && message.appendTimeMs !== 0) {
      this.metrics.delivery.observe(Math.max(0, this.nowMs() - message.appendTimeMs) / 1000);
    }
    this.hooks.messages?.sent(session, message, topic, qos, id);
  }

  dropped(session: Session, message: Message, topic: string, reason: DropReason): void {
    this.metrics[DROPPED[reason]].add();
    this.hooks.messages?.dropped(session, message, topic, reason);
  }

  // ---- queues of sessions -----------------------------------------------------------------------

  queueSettings(durable: boolean): QueueSettings {
    const { queueMax, queueOverflow } = this.options;
    if (queueMax < 0 || queueOverflow !== 'drop-oldest') return { durable };
    return { durable, lengthMax: queueMax };
  }

  /** True when the newest message is the one that is lost, and counted. */
  queueIsFull(session: Session, message: Message): boolean {
    const { queueMax, queueOverflow } = this.options;
    if (queueMax < 0 || queueOverflow !== 'drop-newest') return false;
    if (session.queue === null || session.queue.readyCount < queueMax) return false;
    this.dropped(session, message, slashSpelling.show(message.address), 'queue-full');
    return true;
  }

  /** Publishes a will. When the log has no room now it waits on disk. */
  publishWill(message: Message): void {
    if (!this.broker.authorize(message.principal, 'publish', message.address)) {
      this.metrics.refused.add();
      return;
    }
    try {
      this.broker.publish(message, this.broker.target(message.address, 'first-level'), null, 0);
      if (message.retain) this.#keepWill(message);
    } catch (error) {
      this.#willFailed(message, expectBrokerError(error));
    }
  }

  /** A will has been taken when it is found that it may not be retained: only that is left out. */
  #keepWill(message: Message): void {
    try {
      this.retained.check(message);
      this.retained.keep(message);
    } catch (error) {
      expectBrokerError(error);
      this.metrics.refused.add();
    }
  }

  #willFailed(message: Message, error: BrokerError): void {
    if (error.code === 'busy' || error.code === 'storage-full') {
      this.wills.add(message, 'first-level', this.nowMs());
      return;
    }
    this.metrics.refused.add();
    this.log.warn('a will was not published', {
      topic: slashSpelling.show(message.address),
      reason: error.message,
    });
  }

  *list(noun: string): Iterable<Row> {
    if (noun === 'connections') for (const link of this.#links) yield connectionRow(link);
    if (noun === 'delayed') for (const each of this.delayed.list()) yield delayedRow(each);
    if (noun !== 'sessions') return;
    for (const session of this.sessions.list()) {
      yield {
        client: session.clientId,
        connected: session.link !== null,
        durable: session.durable,
        expirySec: Number.isFinite(session.expirySec) ? session.expirySec : null,
        subscriptions: session.subscriptionCount,
        queued: session.queue?.readyCount ?? 0,
        inFlight: session.inFlight,
      };
    }
  }

  close(): Promise<void> {
    this.closing = true;
    return new Promise((resolve) => {
      const cut = this.timers.after(LEAVE_TIMEOUT_MS, () => {
        for (const link of [...this.#links]) link.cut('did not close in time');
      });
      const finish = (): void => {
        cut.cancel();
        this.#closed = null;
        this.features.close();
        this.rights.close();
        this.#endReading();
        this.sessions.close();
        for (const kind of [DELAYED, WILLS]) this.broker.time.unregister(kind);
        this.packets.clear();
        resolve();
      };
      this.#closed = finish;
      for (const link of [...this.#links]) link.leave(REASON.serverShuttingDown, '');
      if (this.#links.size === 0) finish();
    });
  }
}

function delayedRow({ id, dueMs, message }: DelayedMessage): Row {
  return {
    id,
    topic: slashSpelling.show(message.address),
    due: new Date(dueMs).toISOString(),
    client: message.producer,
    user: message.principal.name,
    qos: message.qos,
    retain: message.retain,
    bytes: message.value?.length ?? 0,
  };
}
