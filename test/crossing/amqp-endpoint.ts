/** AMQP 0-9-1 through amqplib: the default exchange, and a durable queue of the flat name. */
import amqp, { type ConsumeMessage, type Options } from 'amqplib';
import { Inbox } from '../clients/inbox.ts';
import type { Server } from '../clients/server.ts';
import { bufferOrNull, type Endpoint, grouped, numberOrNull } from './endpoint.ts';
import type { HeaderValue, Outcome, Sample, Seen } from './sample.ts';

/** Headers of the table, and those that the server adds for AMQP readers. */
const TABLE_HEADERS = ['x-key', 'x-correlation-id', 'timestamp_in_ms'];
const SERVER_HEADERS = ['x-stream-offset', 'x-delivery-count'];

export async function amqpEndpoint(server: Server): Promise<Endpoint> {
  const connection = await amqp.connect(`amqp://${server.address('amqp')}`);
  connection.on('error', () => {});
  const channel = await connection.createConfirmChannel();
  return {
    protocol: 'amqp',
    async read(queue) {
      const inbox = new Inbox<Outcome>();
      await channel.assertQueue(queue, { durable: true });
      const put = (message: ConsumeMessage | null) => {
        if (message === null) return;
        channel.ack(message);
        inbox.put(seen(message));
      };
      await channel.consume(queue, put);
      return inbox;
    },
    async publish(queue, sample) {
      channel.sendToQueue(queue, sample.value ?? Buffer.alloc(0), properties(sample));
      await channel.waitForConfirms();
    },
    close: () => connection.close(),
  };
}

function properties(sample: Sample): Options.Publish {
  const { timestampMs } = sample;
  const headers: Record<string, unknown> = grouped(sample.headers ?? []);
  if (sample.key !== undefined) headers['x-key'] = sample.key;
  if (timestampMs !== undefined) headers['timestamp_in_ms'] = timestampMs;
  return {
    headers,
    persistent: true,
    ...(sample.messageId === undefined ? {} : { messageId: sample.messageId }),
    ...(sample.correlation === undefined ? {} : { correlationId: sample.correlation.toString() }),
    ...(sample.reply === undefined ? {} : { replyTo: sample.reply }),
    ...(sample.contentType === undefined ? {} : { contentType: sample.contentType }),
    ...(sample.priority === undefined ? {} : { priority: sample.priority }),
    ...(sample.expiryMs === undefined ? {} : { expiration: String(sample.expiryMs) }),
    ...(timestampMs === undefined ? {} : { timestamp: Math.floor(timestampMs / 1000) }),
  };
}

function seen({ content, fields, properties: given }: ConsumeMessage): Seen {
  const table: Record<string, unknown> = given.headers ?? {};
  const special = new Set([...TABLE_HEADERS, ...SERVER_HEADERS]);
  const pairs = Object.entries(table).filter(([name]) => !special.has(name));
  const hints: Record<string, string> = {};
  for (const [name, value] of pairs) {
    if (name.startsWith('_b.t.')) hints[name.slice('_b.t.'.length)] = String(value);
  }
  const shown = pairs.filter(([name]) => !name.startsWith('_b.'));
  const headers = shown.flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((each): [string, HeaderValue] => [name, each]),
  );
  const textOf = (value: unknown) => (value === undefined ? null : String(value));
  const correlation = given.correlationId ?? table['x-correlation-id'];
  const seconds = numberOrNull(textOf(given.timestamp));
  const exact = numberOrNull(textOf(table['timestamp_in_ms']));
  // Both forms of the time must agree.
  const agree = exact === null || seconds === Math.floor(exact / 1000);
  return {
    name: fields.routingKey,
    value: content,
    markedNull: '_b.null' in table,
    hints,
    key: textOf(table['x-key']),
    messageId: textOf(given.messageId),
    correlation: bufferOrNull(correlation as string | Buffer | undefined),
    reply: textOf(given.replyTo),
    contentType: textOf(given.contentType),
    priority: numberOrNull(textOf(given.priority)),
    timestampMs: agree ? (exact ?? (seconds === null ? null : seconds * 1000)) : Number.NaN,
    expiryMs: numberOrNull(textOf(given.expiration)),
    headers,
  };
}
