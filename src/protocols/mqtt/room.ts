/**
 * The MQTT room while it runs: what its connections share. One instance per server.
 */
import { type Broker, type Message, slashSpelling } from '#broker';
import type { Connection, Host, Instance } from '#contract';
import { type BrokerError, expectBrokerError, type Log, type Timers } from '#kit';
import { PacketReader, PublishPacket, REASON } from './codec/index.ts';
import { Link } from './connection.ts';
import { type MqttMetrics, mqttMetrics } from './metrics.ts';
import type { MqttOptions } from './options.ts';
import { Flusher } from './output.ts';
import { PacketCache } from './packet-cache.ts';
import { SessionStore } from './session-store.ts';
import { Sessions } from './sessions.ts';
import { SharedGroups } from './shared-groups.ts';

/** Clients that do not close after our DISCONNECT are cut off after this. */
const LEAVE_TIMEOUT_MS = 2000;
/** Wills and the like that wait for room in the log. */
const OWN_MESSAGES_MAX = 100_000;

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
  readonly flusher: Flusher;
  readonly packets = new PacketCache();
  /** One reader and one PUBLISH for all connections: packets are handled one after the other. */
  readonly reader = new PacketReader();
  readonly publishPacket = new PublishPacket();
  readonly #host: Host;
  readonly #links = new Set<Link>();
  #waitingOwn: Message[] = [];
  #closed: (() => void) | null = null;
  closing = false;

  constructor(host: Host, options: MqttOptions) {
    this.#host = host;
    this.broker = host.broker;
    this.timers = host.timers;
    this.log = host.log;
    this.options = options;
    this.metrics = mqttMetrics(host.metrics);
    this.store = new SessionStore(host.broker.state);
    this.sessions = new Sessions(this);
    this.groups = new SharedGroups(host.broker);
    this.flusher = new Flusher(host.timers);
    this.sessions.restore();
  }

  nowMs(): number {
    return this.#host.clock.nowMs();
  }

  monotonicMs(): number {
    return this.#host.clock.monotonicMs();
  }

  /** A client identifier for who brought none, unlike any other [MQTT-3.1.3-6]. */
  newClientId(): string {
    return `auto-${this.#host.random.bytes(12).toString('hex')}`;
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

  /** Publishes what the server sends for a client: a will. Waits when the log has no room now. */
  publishOwn(message: Message): void {
    if (!this.broker.authorize(message.principal, 'publish', message.address)) {
      this.metrics.refused.add();
      return;
    }
    try {
      this.broker.publish(message, this.broker.target(message.address, 'first-level'), null, 0);
      this.keepRetained(message);
    } catch (error) {
      this.#ownFailed(message, expectBrokerError(error));
    }
  }

  /** The last value of its topic: set, or cleared by an empty payload [MQTT-3.3.1-6]. */
  keepRetained(message: Message): void {
    if (!message.retain) return;
    if (message.value === null || message.value.length === 0) {
      this.broker.lastValues.remove(message.address);
    } else this.broker.lastValues.put(message);
  }

  #ownFailed(message: Message, error: BrokerError): void {
    if (error.code !== 'busy' || this.#waitingOwn.length >= OWN_MESSAGES_MAX) {
      this.metrics.refused.add();
      this.log.warn('a will was not published', {
        topic: slashSpelling.show(message.address),
        reason: error.message,
      });
      return;
    }
    this.#waitingOwn.push(message);
    if (this.#waitingOwn.length > 1) return;
    this.broker.onRoom(() => {
      const waiting = this.#waitingOwn;
      this.#waitingOwn = [];
      for (const each of waiting) this.publishOwn(each);
    });
  }

  *list(noun: string): Iterable<Row> {
    if (noun === 'connections') for (const link of this.#links) yield link.row();
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
        this.sessions.close();
        this.packets.clear();
        resolve();
      };
      this.#closed = finish;
      for (const link of [...this.#links]) link.leave(REASON.serverShuttingDown, '');
      if (this.#links.size === 0) finish();
    });
  }
}
