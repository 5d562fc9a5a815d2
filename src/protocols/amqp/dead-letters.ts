/**
 * Dead letters: a message that a queue gives up goes to its dead letter exchange, with the history
 * in `x-death` that RabbitMQ writes. Its end in the old queue commits together with the copy.
 */
import type { Death, DeathReason, Message, PublishSink } from '#broker';
import type { Log } from '#kit';
import type { AmqpQueue } from './amqp-queue.ts';
import { readContent } from './content.ts';
import { AmqpError } from './errors.ts';
import { findEntry, type Table, type TableEntry, textEntry, textOf } from './field-table.ts';
import { utf8Bytes } from './output.ts';
import { type Properties, parseProperties, propertyBytes } from './properties.ts';
import { Publisher, type Route } from './publisher.ts';
import { nativeProperties, shownNames, shownProperties, unpackNative } from './shown-properties.ts';
import type { VirtualHost } from './virtual-host.ts';

/** As RabbitMQ names them. */
const REASONS: Readonly<Record<DeathReason, string>> = {
  rejected: 'rejected',
  expired: 'expired',
  'max-deliveries': 'delivery_limit',
  'max-length': 'maxlen',
};

export class DeadLetters {
  readonly #host: VirtualHost;
  readonly #log: Log;
  readonly #publisher: Publisher;

  constructor(host: VirtualHost, log: Log) {
    this.#host = host;
    this.#log = log;
    this.#publisher = Publisher.ofServer(host, this);
  }

  /**
   * @returns what was published; null when there is nowhere to go: it is dropped, as in RabbitMQ
   * @throws BrokerError when the broker cannot take it now
   */
  send(queue: AmqpQueue, death: Death, sink: PublishSink | null): Message | null {
    const { deadLetterExchange, deadLetterKey } = queue.limits;
    if (deadLetterExchange === null) return null;
    const { message } = death;
    const reason = REASONS[death.reason];
    const from = origin(message, queue.name, this.#host.origin);
    const exchange = this.#host.exchanges.get(deadLetterExchange);
    if (exchange === undefined) return null;
    const key = deadLetterKey ?? from.routingKey;
    const properties = this.#died(message, from, queue, reason);
    if (reason !== 'rejected' && this.#cycle(properties, exchange.name, key)) return null;
    const names = shortStrings(exchange.name, key);
    const route = this.#openRoute(names);
    if (route === null) return null;
    const content = readContent(propertyBytes(properties));
    const value = message.value ?? Buffer.alloc(0);
    const outcome = this.#publisher.publish(route, content, value, sink, 0);
    return outcome === 'routed' ? this.#publisher.published : null;
  }

  /** An exchange that takes nothing from outside, say, gets no dead letters either. */
  #openRoute(names: Buffer): Route | null {
    try {
      return this.#publisher.open(names, 0, names.length);
    } catch (error) {
      if (!(error instanceof AmqpError)) throw error;
      this.#log.warn('dead letter dropped', { reason: error.message });
      return null;
    }
  }

  /** The properties after this death. */
  #died(message: Message, from: Origin, queue: AmqpQueue, reason: string): Properties {
    const properties =
      message.native !== null && message.origin === this.#host.origin
        ? parseProperties(nativeProperties(message.native))
        : parseProperties(shownProperties(message, this.#host.clock.nowMs()));
    const { expiration, headers = [], ...rest } = properties;
    const deaths = deathsOf(headers);
    const known = deaths.findIndex(
      (death) => textOf(death, 'queue') === queue.name && textOf(death, 'reason') === reason,
    );
    const count = known < 0 ? 1n : countOf(deaths[known]!) + 1n;
    if (known >= 0) deaths.splice(known, 1);
    const seconds = BigInt(Math.floor(this.#host.clock.nowMs() / 1000));
    const death: TableEntry[] = [
      { name: 'count', type: 'l', value: count },
      textEntry('reason', reason),
      textEntry('queue', queue.name),
      { name: 'time', type: 'T', value: seconds },
      textEntry('exchange', from.exchange),
      {
        name: 'routing-keys',
        type: 'A',
        value: [{ type: 'S', value: utf8Bytes(from.routingKey) }],
      },
    ];
    // A message that expired by its own time must not expire again at once.
    if (expiration !== undefined) death.push(textEntry('original-expiration', expiration));
    deaths.unshift(death);
    return { ...rest, headers: withDeaths(headers, deaths, from, queue, reason) };
  }

  /** An automatic death that leads back to a queue where it died before would go on for ever. */
  #cycle(properties: Properties, exchange: string, key: string): boolean {
    const deaths = deathsOf(properties.headers ?? []);
    if (deaths.some((death) => textOf(death, 'reason') === 'rejected')) return false;
    const start = this.#host.exchanges.get(exchange);
    if (start === undefined) return false;
    const queues = this.#host.router.route(start, key, properties.headers ?? []);
    const died = new Set(deaths.slice(1).map((death) => textOf(death, 'queue')));
    died.add(textOf(deaths[0] ?? [], 'queue'));
    return [...queues].some(({ name }) => died.has(name));
  }
}

interface Origin {
  readonly exchange: string;
  readonly routingKey: string;
}

function origin(message: Message, queueName: string, amqp: number): Origin {
  if (message.native !== null && message.origin === amqp) return unpackNative(message.native);
  return unpackNative(shownNames(message, queueName));
}

function shortStrings(...texts: string[]): Buffer {
  return Buffer.concat(
    texts.flatMap((text) => {
      const bytes = utf8Bytes(text);
      return [Buffer.of(bytes.length), bytes];
    }),
  );
}

function deathsOf(headers: Table): Table[] {
  const entry = findEntry(headers, 'x-death');
  if (entry?.type !== 'A') return [];
  return (entry.value as readonly { type: string; value: unknown }[])
    .filter(({ type }) => type === 'F')
    .map(({ value }) => value as Table);
}

function countOf(death: Table): bigint {
  const value = findEntry(death, 'count')?.value;
  return typeof value === 'bigint' ? value : 1n;
}

function withDeaths(
  headers: Table,
  deaths: readonly Table[],
  from: Origin,
  queue: AmqpQueue,
  reason: string,
): Table {
  const own = (name: string): boolean =>
    name === 'x-death' || name.startsWith('x-last-death-') || name === 'CC' || name === 'BCC';
  const kept = headers.filter(({ name }) => !own(name));
  const first =
    findEntry(headers, 'x-first-death-queue') === undefined
      ? [
          textEntry('x-first-death-exchange', from.exchange),
          textEntry('x-first-death-queue', queue.name),
          textEntry('x-first-death-reason', reason),
        ]
      : [];
  return [
    ...kept,
    { name: 'x-death', type: 'A', value: deaths.map((value) => ({ type: 'F' as const, value })) },
    ...first,
    textEntry('x-last-death-exchange', from.exchange),
    textEntry('x-last-death-queue', queue.name),
    textEntry('x-last-death-reason', reason),
  ];
}
