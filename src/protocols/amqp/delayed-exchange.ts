/**
 * Exchanges of the type x-delayed-message: a message with the header x-delay waits so many
 * milliseconds in the broker's time engine, over restarts too, before the exchange routes it [A64].
 */
import type { PublishSink } from '#broker';
import type { Log } from '#kit';
import { type Content, DELAY_HEADER, readContent } from './content.ts';
import { AmqpError } from './errors.ts';
import { integerOf, type Table } from './field-table.ts';
import { parseProperties, propertyBytes } from './properties.ts';
import { Publisher, type Route } from './publisher.ts';
import type { VirtualHost } from './virtual-host.ts';

const KIND = 'amqp.delayed';
export class DelayedExchanges {
  readonly #host: VirtualHost;
  readonly #log: Log;
  readonly #publisher: Publisher;

  constructor(host: VirtualHost, log: Log) {
    this.#host = host;
    this.#log = log;
    this.#publisher = Publisher.ofServer(host, this);
    host.broker.time.register(KIND, ({ value }) => this.#publish(value));
  }

  /** Keeps a message that is due later; the sink is told when that is on disk. */
  keep(
    route: Route,
    content: Content,
    value: Buffer,
    delayMs: number,
    sink: PublishSink | null,
    token: number,
  ): void {
    const { broker, clock } = this.#host;
    const lengths = Buffer.allocUnsafe(8);
    lengths.writeUInt32BE(route.names.length, 0);
    lengths.writeUInt32BE(content.bytes.length, 4);
    const packed = Buffer.concat([lengths, route.names, content.bytes, value]);
    broker.time.add(KIND, clock.nowMs() + delayMs, packed);
    if (sink !== null) broker.state.committed((error) => sink.published(token, error));
  }

  end(): void {
    this.#host.broker.time.unregister(KIND);
  }

  /** @throws BrokerError when the broker cannot take it now: the time engine asks again */
  #publish(packed: Buffer): void {
    const contentAt = 8 + packed.readUInt32BE(0);
    const valueAt = contentAt + packed.readUInt32BE(4);
    try {
      const route = this.#publisher.open(packed, 8, contentAt);
      const { headers = [], ...rest } = parseProperties(packed.subarray(contentAt, valueAt));
      const content = readContent(propertyBytes({ ...rest, headers: waited(headers) }));
      this.#publisher.publish(route, content, packed.subarray(valueAt), null, 0);
    } catch (error) {
      if (!(error instanceof AmqpError)) throw error;
      this.#log.warn('delayed message dropped', { reason: error.message });
    }
  }
}

/** A delay that is over is shown as a negative number, as the plugin does; it waits no more. */
function waited(headers: Table): Table {
  return headers.map((entry) => {
    const delayMs = entry.name === DELAY_HEADER ? integerOf(entry) : undefined;
    return delayMs === undefined
      ? entry
      : { name: DELAY_HEADER, type: 'l', value: BigInt(-delayMs) };
  });
}
