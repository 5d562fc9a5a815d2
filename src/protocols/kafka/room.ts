/**
 * What all connections of the Kafka room share: the broker, the groups, the writer that encodes
 * answers, and the list of sessions whose answers go out at the end of this turn.
 */
import {
  type Action,
  type Broker,
  CLUSTER_ADDRESS,
  flatAddress,
  slashSpelling,
  TRANSACTION_ROOT,
} from '#broker';
import type { Connection, Host, Instance } from '#contract';
import type { Counter } from '#kit';
import { advertisedFor } from './advertised.ts';
import { ApiMetrics } from './api-metrics.ts';
import type { Call } from './call.ts';
import { DynamicConfigs } from './dynamic-configs.ts';
import { FetchSessions } from './fetch-sessions.ts';
import { GroupConfigs } from './group-configs.ts';
import { Coordinator } from './groups/coordinator.ts';
import { GroupLag } from './groups/group-lag.ts';
import { OPERATIONS } from './handlers/index.ts';
import type { KafkaOptions } from './options.ts';
import type { Reader } from './reader.ts';
import { Session } from './session.ts';
import { ShareGroups } from './share/share-groups.ts';
import { ClientMetricsConfigs } from './telemetry/client-metrics-configs.ts';
import { ClientTelemetry } from './telemetry/client-telemetry.ts';
import { Topics } from './topics.ts';
import type { Transaction } from './transactions/transaction.ts';
import { TransactionCoordinator } from './transactions/transaction-coordinator.ts';
import { Writer } from './writer.ts';

/** Sessions that did not end by themselves this long after the stop are cut. */
const STOP_PATIENCE_MS = 5000;
const CLUSTER = flatAddress(CLUSTER_ADDRESS);

export class Room implements Instance {
  readonly host: Host;
  readonly broker: Broker;
  readonly options: KafkaOptions;
  readonly topics: Topics;
  readonly groupConfigs: GroupConfigs;
  readonly dynamicConfigs: DynamicConfigs;
  readonly groups: Coordinator;
  readonly shares: ShareGroups;
  readonly transactions: TransactionCoordinator;
  readonly fetchSessions: FetchSessions;
  readonly clientMetrics: ClientMetricsConfigs;
  readonly telemetry: ClientTelemetry;
  readonly writer = new Writer();
  readonly refused: Counter;
  readonly apiMetrics: ApiMetrics;
  readonly #sessions = new Set<Session>();
  readonly #stopWatching: () => void;
  readonly #stopAsking: () => void;
  readonly #stopMeasuring: () => void;
  #toFlush: Session[] = [];
  #spareFlush: Session[] = [];
  #stopping: (() => void) | null = null;

  constructor(host: Host, options: KafkaOptions) {
    this.host = host;
    this.broker = host.broker;
    this.options = options;
    this.topics = new Topics(host.broker);
    this.groupConfigs = new GroupConfigs(host.broker.definitions, options);
    this.dynamicConfigs = new DynamicConfigs(host.broker.definitions);
    this.groups = new Coordinator(host, options, this.groupConfigs);
    this.shares = new ShareGroups(host, options, this.groupConfigs, this.groups);
    this.transactions = new TransactionCoordinator(host, options, this.groups);
    this.fetchSessions = new FetchSessions(host, options);
    this.clientMetrics = new ClientMetricsConfigs(host.broker.definitions);
    this.telemetry = new ClientTelemetry(host, options, this.clientMetrics);
    // All protocols are opened in one turn.
    host.timers.soon(() => host.broker.resume());
    this.#stopWatching = host.broker.streams.watch((event, stream) => {
      if (event !== 'removed') return;
      this.groups.forgetStream(stream.name);
      this.shares.forgetStream(stream.id);
    });
    this.#stopAsking = host.broker.principals.onChange(() => {
      for (const session of [...this.#sessions]) session.checkPrincipal();
      // Others may know a topic now, so patterns stand for other topics.
      this.groups.patterns.version++;
    });
    const { metrics } = host;
    const lag = new GroupLag(host.broker, host.clock, metrics, this.shares);
    const open = metrics.gauge('robustmq_kafka_transactions_open', 'Open Kafka transactions.');
    const ids = metrics.gauge('robustmq_kafka_transactional_ids', 'Transactional ids known.');
    const sessions = metrics.gauge('robustmq_kafka_fetch_sessions', 'Kafka fetch sessions.');
    const producers = metrics.gauge(
      'robustmq_kafka_producers',
      'Idempotent producers that partitions remember, each once for each of its partitions.',
    );
    this.#stopMeasuring = metrics.onRead(() => {
      lag.update();
      open.set(this.transactions.openCount);
      ids.set(this.transactions.count);
      sessions.set(this.fetchSessions.count);
      producers.set(producerCount(host.broker.streams));
    });
    this.refused = metrics.counter(
      'robustmq_kafka_refused_connections_total',
      'Kafka connections that the server ended because of what the client sent.',
    );
    this.apiMetrics = new ApiMetrics(metrics);
  }

  accept(connection: Connection): void {
    const session = new Session(this, connection);
    this.#sessions.add(session);
    connection.handle(session);
    session.admit();
    if (this.#stopping !== null) session.stop();
  }

  *list(noun: string): Iterable<Readonly<Record<string, string | number | boolean | null>>> {
    if (noun === 'connections') {
      for (const session of this.#sessions) yield connectionRow(session);
    } else if (noun === 'groups') {
      for (const group of this.groups.list()) {
        yield { group: group.id, state: group.state, members: group.members };
      }
      for (const { id, state, members } of this.shares.list()) {
        yield { group: id, state, members: members.size };
      }
    } else if (noun === 'transactions') {
      for (const transaction of this.transactions.list()) yield transactionRow(transaction);
    } else if (noun === 'client-metrics') yield* this.telemetry.rows();
  }

  close(): Promise<void> {
    this.#stopWatching();
    this.#stopAsking();
    this.#stopMeasuring();
    this.telemetry.close();
    return new Promise((resolve) => {
      const patience = this.host.timers.after(STOP_PATIENCE_MS, () => {
        for (const session of [...this.#sessions]) session.connection.destroy('server stops');
      });
      this.#stopping = () => {
        if (this.#sessions.size > 0) return;
        patience.cancel();
        resolve();
      };
      this.groups.close();
      this.shares.close();
      this.transactions.close();
      for (const session of [...this.#sessions]) session.stop();
      this.#stopping();
    });
  }

  serve(reader: Reader, call: Call): void {
    const key = call.api.pair.key;
    this.apiMetrics.began(key, call.requestBytes);
    OPERATIONS.get(key)!.serve(reader, call, this);
  }

  left(session: Session): void {
    this.#sessions.delete(session);
    this.shares.sessions.left(session);
    this.#stopping?.();
  }

  /** Answers of one turn of the event loop leave together, each session's in one buffer. */
  flushSoon(session: Session): void {
    if (session.flushPending) return;
    session.flushPending = true;
    this.#toFlush.push(session);
    if (this.#toFlush.length === 1) this.host.timers.soon(this.#flushAll);
  }

  /** Rights on transactional ids are rights on addresses below `$transaction`. */
  mayUseTransaction(session: Session, action: 'publish' | 'describe', id: string): boolean {
    const place = slashSpelling.parse(`${TRANSACTION_ROOT}/${id}`);
    return this.broker.authorize(session.principal!, action, place);
  }

  /** Rights on groups are rights on addresses below `$group`. */
  mayUseGroup(session: Session, action: Action, id: string): boolean {
    return this.broker.authorize(session.principal!, action, slashSpelling.parse(`$group/${id}`));
  }

  mayOnCluster(session: Session, action: Action): boolean {
    return this.broker.authorize(session.principal!, action, CLUSTER);
  }

  /** Where clients of this connection find the one node. */
  advertised(session: Session): { host: string; port: number } {
    return advertisedFor(session.connection, this.options.advertised);
  }

  readonly #flushAll = (): void => {
    const sessions = this.#toFlush;
    this.#toFlush = this.#spareFlush;
    for (const session of sessions) {
      session.flushPending = false;
      try {
        session.flush();
      } catch (error) {
        this.writer.take();
        session.crash(error);
      }
    }
    sessions.length = 0;
    this.#spareFlush = sessions;
  };
}

function transactionRow(of: Transaction): Record<string, string | number | boolean | null> {
  const { id, state, producerId, epoch, startedMs, timeoutMs } = of;
  const since = state === 'Ongoing' ? startedMs : null;
  return { id, state, producerId, epoch, partitions: of.partitions.size, since, timeoutMs };
}

function connectionRow(session: Session): Record<string, string | number | boolean | null> {
  const { connection, principal, software } = session;
  return {
    id: connection.id,
    peer: `${connection.peer.address}:${connection.peer.port}`,
    principal: principal?.name ?? null,
    client: session.clientId,
    software: software.name === '' ? null : `${software.name} ${software.version}`,
    encrypted: connection.encrypted,
    inFlight: session.callsInFlight,
  };
}

function producerCount(streams: Broker['streams']): number {
  let count = 0;
  for (const { partitions } of streams.list()) {
    for (const { log } of partitions) count += log.producerCount;
  }
  return count;
}
