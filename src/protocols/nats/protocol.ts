/** NATS as the server sees it: options, listeners, nouns for admin, and the running instance. */
import type { Connection, Host, Instance, Protocol } from '#contract';
import { NatsConnection } from './connection.ts';
import { SAYS } from './errors.ts';
import { errFrame } from './frames.ts';
import { type NatsOptions, OPTIONS } from './options.ts';
import { watchRights } from './rights.ts';
import { Shared } from './shared.ts';

const PAYLOAD_BYTES_WARN = 8 << 20;

export const nats: Protocol<typeof OPTIONS> = {
  name: 'nats',
  options: OPTIONS,
  listeners: (options) => [
    { name: 'nats', transport: 'tcp', listen: options.listen, upgradable: true },
    { name: 'nats-tls', transport: 'tls', listen: options.tlsListen },
    { name: 'nats-ws', transport: 'ws', listen: options.wsListen, path: '*' },
    { name: 'nats-wss', transport: 'wss', listen: options.wssListen, path: '*' },
  ],
  resources: [
    {
      noun: 'connections',
      columns: [
        'id',
        'state',
        'address',
        'listener',
        'user',
        'name',
        'lang',
        'version',
        'subscriptions',
        'messagesIn',
        'messagesOut',
        'pendingBytes',
        'roundTripMs',
      ],
    },
    {
      noun: 'subscriptions',
      columns: ['connection', 'sid', 'subject', 'group', 'delivered', 'max'],
    },
  ],
  open: (host, options) => new NatsInstance(host, options),
};

type Row = Readonly<Record<string, string | number | boolean | null>>;

class NatsInstance implements Instance {
  readonly #shared: Shared;
  readonly #endRights: () => void;
  readonly #connections = new Set<NatsConnection>();
  #closing: (() => void) | null = null;

  constructor(host: Host, options: NatsOptions) {
    this.#shared = new Shared(host, options);
    const soon = (call: () => void): void => host.timers.soon(call);
    this.#endRights = watchRights(host.broker, this.#connections, soon);
    if (options.payloadBytesMax > PAYLOAD_BYTES_WARN) {
      host.log.warn('payload-bytes-max above 8 MiB: large messages hold up small ones');
    }
  }

  accept(wire: Connection): void {
    if (this.#connections.size >= this.#shared.options.connectionsMax) {
      refuse(wire);
      return;
    }
    const connection = new NatsConnection(this.#shared, wire, this.#gone);
    this.#connections.add(connection);
    wire.handle(connection);
    connection.greet();
  }

  *list(noun: string): Iterable<Row> {
    for (const connection of this.#connections) {
      if (noun === 'connections') yield connectionRow(connection);
      else if (noun === 'subscriptions') yield* subscriptionRows(connection);
    }
  }

  /**
   * Lame duck: every client is told to look for another server, gets what is queued, and is closed.
   */
  close(): Promise<void> {
    this.#endRights();
    return new Promise((resolve) => {
      this.#closing = resolve;
      for (const connection of this.#connections) connection.leave();
      this.#resolveWhenEmpty();
    });
  }

  readonly #gone = (connection: NatsConnection): void => {
    this.#connections.delete(connection);
    this.#resolveWhenEmpty();
  };

  #resolveWhenEmpty(): void {
    if (this.#connections.size > 0) return;
    this.#closing?.();
    this.#closing = null;
  }
}

function refuse(wire: Connection): void {
  wire.handle({ data() {}, drain() {}, closed() {} });
  wire.write(errFrame(SAYS.maximumConnections));
  wire.end();
}

function connectionRow(connection: NatsConnection): Row {
  const { wire, options, principal } = connection;
  return {
    id: wire.id,
    state: connection.state,
    address: wire.peer.address,
    listener: wire.listener,
    user: principal?.name ?? null,
    name: options.name,
    lang: options.lang,
    version: options.version,
    subscriptions: connection.subscriptions.size,
    messagesIn: connection.messagesIn,
    messagesOut: connection.messagesOut,
    pendingBytes: connection.outbox.pendingBytes,
    roundTripMs: connection.heartbeat.roundTripMs,
  };
}

function* subscriptionRows(connection: NatsConnection): Iterable<Row> {
  for (const subscription of connection.subscriptions.values()) {
    yield {
      connection: connection.wire.id,
      sid: subscription.sid,
      subject: subscription.subject,
      group: subscription.group,
      delivered: subscription.delivered,
      max: subscription.max,
    };
  }
}
