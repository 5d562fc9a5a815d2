/**
 * Dead letters: a message that a queue gives up goes to its dead letter exchange, with the history
 * in `x-death` that RabbitMQ writes. It leaves its queue only when it is stored in the next one.
 */
import { type Delivery, type Message, SERVER_PRINCIPAL } from '#broker';
import { BrokerError, type Log } from '#kit';
import type { AmqpQueue, DeathReason } from './amqp-queue.ts';
import { readContent } from './content.ts';
import { findEntry, type Table, type TableEntry, textEntry, textOf } from './field-table.ts';
import { utf8Bytes } from './output.ts';
import { type Properties, parseProperties, propertyBytes } from './properties.ts';
import { Publisher } from './publisher.ts';
import { nativeProperties, shownNames, shownProperties, unpackNative } from './shown-properties.ts';
import { DEFAULT_EXCHANGE, type VirtualHost } from './virtual-host.ts';

export class DeadLetters {
  readonly #host: VirtualHost;
  readonly #log: Log;
  readonly #publisher: Publisher;

  constructor(host: VirtualHost, log: Log) {
    this.#host = host;
    this.#log = log;
    this.#publisher = new Publisher(host, {
      principal: SERVER_PRINCIPAL,
      producer: '',
      source: this,
    });
  }

  /** @param done called when the message may leave its queue */
  send(queue: AmqpQueue, delivery: Delivery, reason: DeathReason, done: () => void): void {
    const { deadLetterExchange, deadLetterKey } = queue.limits;
    const { message } = delivery;
    const from = origin(message, queue.name, this.#host.origin);
    const exchange = this.#host.exchanges.get(deadLetterExchange ?? DEFAULT_EXCHANGE);
    // Without its exchange the message is dropped, as in RabbitMQ.
    if (exchange === undefined) {
      done();
      return;
    }
    const key = deadLetterKey ?? from.routingKey;
    const properties = this.#died(message, from, queue, reason);
    if (reason !== 'rejected' && this.#cycle(properties, exchange.name, key)) {
      done();
      return;
    }
    const { broker } = this.#host;
    if (broker.busy) {
      broker.onRoom(() => this.send(queue, delivery, reason, done));
      return;
    }
    try {
      const names = shortStrings(exchange.name, key);
      const route = this.#publisher.open(names, 0, names.length);
      const content = readContent(propertyBytes(properties));
      const sink = {
        published: (_token: number, error: BrokerError | null) => {
          // What could not be stored stays unacknowledged and comes back after a restart.
          if (error === null) done();
          else
            this.#log.warn('dead letter not stored', { queue: queue.name, reason: error.message });
        },
      };
      this.#publisher.publish(route, content, message.value ?? Buffer.alloc(0), sink, 0);
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error;
      this.#log.warn('dead letter not stored', { queue: queue.name, reason: error.message });
    }
  }

  /** The properties after this death. */
  #died(message: Message, from: Origin, queue: AmqpQueue, reason: DeathReason): Properties {
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
  reason: DeathReason,
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
