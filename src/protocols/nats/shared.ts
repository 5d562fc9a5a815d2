/**
 * What all NATS connections of a server share: broker, limits, caches, counters, and the outboxes
 * that have something to send at the end of this turn. Connections do not know each other.
 */
import {
  type Broker,
  type Message,
  type Origin,
  type Origination,
  originOf,
  type Principal,
} from '#broker';
import type { Connection, Host } from '#contract';
import { BrokerError, type Counter } from '#kit';
import { ChunkPool } from './chunk-pool.ts';
import { writeHeaders } from './message-headers.ts';
import type { NatsOptions } from './options.ts';
import type { Outbox } from './outbox.ts';
import { Subjects } from './subjects.ts';
import { Token } from './token.ts';

export interface NatsCounters {
  readonly messagesIn: Counter;
  readonly messagesOut: Counter;
  readonly bytesIn: Counter;
  readonly bytesOut: Counter;
  readonly slowConsumers: Counter;
  readonly refused: Counter;
}

const NO_BYTES = Buffer.alloc(0);

/** Where a client comes from, and what rules may ask of it. */
export function originationOf({ peer, terms }: Connection): Origination {
  const { address, loopback, identity } = peer;
  const facts = { protocol: 'nats', peerHost: address, commonName: identity?.commonName };
  return { loopback, anonymous: terms.anonymous, facts };
}

export class Shared {
  readonly host: Host;
  readonly broker: Broker;
  readonly options: NatsOptions;
  readonly origin: Origin = originOf('nats');
  readonly subjects: Subjects;
  readonly token: Token;
  readonly pool = new ChunkPool();
  readonly count: NatsCounters;
  #dirty: Outbox[] = [];
  #sent: Outbox[] = [];
  #soon = false;
  #blockOf: Message | null = null;
  #block: Buffer = NO_BYTES;

  constructor(host: Host, options: NatsOptions) {
    this.host = host;
    this.broker = host.broker;
    this.options = options;
    this.subjects = new Subjects(host.broker);
    this.token = new Token(options.token);
    this.count = counters(host);
  }

  /** The principal of a client without credentials; null where it needs some. */
  anonymous(wire: Connection): Principal | null {
    if (this.token.needed) return null;
    try {
      return this.broker.anonymous(originationOf(wire));
    } catch (error) {
      if (error instanceof BrokerError && error.code === 'not-authorized') return null;
      throw error;
    }
  }

  /** The principal of a client with this token; null when it is not the right one. */
  holder(token: string, wire: Connection): Principal | null {
    if (!this.token.isRight(token)) return null;
    // The token is what lets a client in from elsewhere.
    return this.broker.anonymous({ ...originationOf(wire), anonymous: 'everyone' });
  }

  /** The header block that NATS clients see; empty when there is none. Kept for all who get it. */
  headersOf(message: Message): Buffer {
    if (message.origin === this.origin) return message.native ?? NO_BYTES;
    if (message !== this.#blockOf) {
      this.#blockOf = message;
      this.#block = writeHeaders(message, this.host.clock.nowMs()) ?? NO_BYTES;
    }
    return this.#block;
  }

  /** One call per turn of the loop sends for all connections. */
  readonly flushLater = (outbox: Outbox): void => {
    this.#dirty.push(outbox);
    if (!this.#soon) {
      this.#soon = true;
      this.host.timers.soon(this.#flush);
    }
  };

  readonly #flush = (): void => {
    this.#soon = false;
    for (const outbox of this.#sent) outbox.reclaim();
    const dirty = this.#dirty;
    this.#dirty = [];
    this.#sent = [];
    this.#blockOf = null;
    for (const outbox of dirty) {
      outbox.flush();
      if (outbox.lends) this.#sent.push(outbox);
    }
    if (this.#sent.length === 0) return;
    // Once more, when these bytes have left: idle connections keep no chunk.
    this.#soon = true;
    this.host.timers.soon(this.#flush);
  };
}

function counters(host: Host): NatsCounters {
  const make = (what: string, help: string) => host.metrics.counter(`robustmq_nats_${what}`, help);
  return {
    messagesIn: make('messages_received_total', 'Messages that NATS clients published.'),
    messagesOut: make('messages_sent_total', 'Messages that were sent to NATS clients.'),
    bytesIn: make('payload_received_bytes_total', 'Bytes of published headers and payloads.'),
    bytesOut: make('payload_sent_bytes_total', 'Bytes of headers and payloads sent to clients.'),
    slowConsumers: make('slow_consumers_total', 'Connections closed because they read too slowly.'),
    refused: make('refused_total', 'Publishes and subscriptions that were refused.'),
  };
}
