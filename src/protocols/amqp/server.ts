/** The running protocol: the virtual host, the connections, what they share, and their end. */
import { originOf, payToll } from '#broker';
import type { Connection, Host, Instance } from '#contract';
import type { Log, Random, Timers, Values } from '#kit';
import { AmqpConnection } from './connection.ts';
import { DeadLetters } from './dead-letters.ts';
import { DelayedExchanges } from './delayed-exchange.ts';
import type { Tuning } from './negotiation.ts';
import type { options } from './options.ts';
import { watchRights } from './rights.ts';
import { VirtualHost } from './virtual-host.ts';

const CLUSTER_PREFIX = 'robustmq@';

export class AmqpServer implements Instance {
  readonly host: VirtualHost;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
  readonly product: string;
  readonly version: string;
  readonly clusterName: string;
  readonly tuning: Tuning;
  readonly messageBytesMax: number;
  /** Why the broker takes no messages. */
  healthReason = '';
  readonly #connections = new Set<AmqpConnection>();
  readonly #delayed: DelayedExchanges;
  readonly #endHealth: () => void;
  readonly #endRights: () => void;
  #closed: (() => void) | null = null;

  constructor(given: Host, values: Values<typeof options>) {
    const { broker, clock, timers, random, log } = given;
    this.timers = timers;
    this.random = random;
    this.log = log;
    this.product = values.product;
    this.version = given.version;
    this.clusterName = CLUSTER_PREFIX + given.serverId;
    this.tuning = {
      channelMax: values.channelMax,
      frameMax: values.frameMax,
      heartbeatMs: Math.round(values.heartbeat / 1000) * 1000,
    };
    this.messageBytesMax = Math.min(values.maxMessage, broker.limits.messageBytesMax);
    this.host = new VirtualHost({ broker, clock, timers, log, origin: originOf('amqp') });
    const deadLetters = new DeadLetters(this.host, log);
    this.host.deadLetters = (queue, death, sink) => deadLetters.send(queue, death, sink);
    this.#delayed = new DelayedExchanges(this.host, log);
    this.host.delay = (...kept) => this.#delayed.keep(...kept);
    const soon = (call: () => void): void => timers.soon(call);
    this.#endRights = watchRights(broker, this.#connections, soon);
    this.#endHealth = broker.onHealth((_health, reason) => {
      this.healthReason = reason;
      for (const connection of this.#connections) connection.tellHealth();
    });
  }

  accept(socket: Connection): void {
    const connection = new AmqpConnection(socket, this);
    this.#connections.add(connection);
    socket.handle(connection);
  }

  /** Takes what a connection has published from the quota of its user. */
  collect(connection: AmqpConnection): void {
    const { principal, clientName } = connection;
    payToll(connection, this.host.broker.quotas, this.timers, principal!.name, clientName);
  }

  /** The socket is gone. */
  gone(connection: AmqpConnection): void {
    this.#connections.delete(connection);
    if (this.#connections.size === 0) this.#closed?.();
  }

  *list(noun: string): Iterable<Readonly<Record<string, string | number | boolean | null>>> {
    if (noun === 'connections') {
      for (const { socket, client, userName, channels, state } of this.#connections) {
        const { address, port } = socket.peer;
        yield {
          id: socket.id,
          name: client.name,
          user: userName,
          peer: `${address}:${port}`,
          channels: channels.size,
          state,
        };
      }
    } else if (noun === 'exchanges') {
      for (const { facts } of this.host.exchanges.values()) {
        const { name, type, durable, autoDelete, internal } = facts;
        yield { name, type, durable, autoDelete, internal };
      }
    } else if (noun === 'queues') {
      for (const { facts, queue } of this.host.queues.values()) {
        const { name, durable, exclusive, autoDelete } = facts;
        const counts = { ready: queue.readyCount, unacked: queue.unackedCount };
        yield { name, durable, exclusive, autoDelete, ...counts, consumers: queue.consumerCount };
      }
    } else if (noun === 'bindings') {
      for (const { source, destination, key } of this.host.allBindings()) {
        yield { source: source.name, destination: destination.name, key };
      }
    }
  }

  async close(): Promise<void> {
    this.#endHealth();
    this.#endRights();
    this.#delayed.end();
    if (this.#connections.size > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#closed = resolve;
      for (const connection of [...this.#connections]) connection.shutdown();
      await promise;
    }
    this.host.close();
  }
}
