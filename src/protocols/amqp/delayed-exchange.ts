/**
 * Exchanges of the type x-delayed-message: a message with the header x-delay waits so many
 * milliseconds in the broker's time engine, over restarts too, before the exchange routes it [A64].
 * It is published then in the name of who sent it, with the rights that one has by then.
 */
import type { PublishSink } from '#broker';
import type { Log } from '#kit';
import { type Content, DELAY_HEADER, readContent } from './content.ts';
import { AmqpError } from './errors.ts';
import { integerOf, type Table } from './field-table.ts';
import { parseProperties, propertyBytes } from './properties.ts';
import { Publisher, type Route, type Sender } from './publisher.ts';
import type { VirtualHost } from './virtual-host.ts';

const KIND = 'amqp.delayed';
/** Lengths of names, content and sender. */
const LENGTHS_BYTES = 12;

/** Who sent it: id and name of the principal, name of the client. */
type StoredSender = readonly [id: number, name: string, producer: string];

export class DelayedExchanges {
  readonly #host: VirtualHost;
  readonly #log: Log;

  constructor(host: VirtualHost, log: Log) {
    this.#host = host;
    this.#log = log;
    host.broker.time.register(KIND, ({ value }) => this.#publish(value));
  }

  /** Keeps a message that is due later; the sink is told when that is on disk. */
  keep(
    sender: Sender,
    route: Route,
    content: Content,
    value: Buffer,
    delayMs: number,
    sink: PublishSink | null,
    token: number,
  ): void {
    const { broker, clock } = this.#host;
    const { principal, producer } = sender;
    const stored: StoredSender = [principal.id, principal.name, producer];
    const head = Buffer.from(JSON.stringify(stored));
    const lengths = Buffer.allocUnsafe(LENGTHS_BYTES);
    lengths.writeUInt32BE(route.names.length, 0);
    lengths.writeUInt32BE(content.bytes.length, 4);
    lengths.writeUInt32BE(head.length, 8);
    const packed = Buffer.concat([lengths, route.names, content.bytes, head, value]);
    broker.time.add(KIND, clock.nowMs() + delayMs, packed);
    if (sink !== null) broker.state.committed((error) => sink.published(token, error));
  }

  end(): void {
    this.#host.broker.time.unregister(KIND);
  }

  /** @throws BrokerError when the broker cannot take it now: the time engine asks again */
  #publish(packed: Buffer): void {
    const contentAt = LENGTHS_BYTES + packed.readUInt32BE(0);
    const headAt = contentAt + packed.readUInt32BE(4);
    const valueAt = headAt + packed.readUInt32BE(8);
    const sender = this.#sender(packed.toString('utf8', headAt, valueAt));
    if (sender === null) return;
    try {
      const publisher = new Publisher(this.#host, sender);
      const route = publisher.open(packed, LENGTHS_BYTES, contentAt);
      const { headers = [], ...rest } = parseProperties(packed.subarray(contentAt, headAt));
      const content = readContent(propertyBytes({ ...rest, headers: waited(headers) }));
      publisher.publish(route, content, packed.subarray(valueAt), null, 0);
    } catch (error) {
      if (!(error instanceof AmqpError)) throw error;
      this.#log.warn('delayed message dropped', { reason: error.message });
    }
  }

  /** Who the sender is today; null when that user is gone. */
  #sender(stored: string): Sender | null {
    const [id, name, producer] = JSON.parse(stored) as StoredSender;
    const then = { id, name, anonymous: false, superuser: false };
    const principal = this.#host.broker.principals.today(then);
    if (principal !== null) return { principal, producer, source: this, mayRepeat: true };
    this.#log.warn('delayed message dropped', { reason: `its user '${name}' is gone` });
    return null;
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
