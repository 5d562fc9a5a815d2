/** Kafka through kafkajs. A reader is a group that starts at the beginning of its topic. */
import { Kafka, type KafkaMessage, logLevel } from 'kafkajs';
import { Inbox } from '../clients/inbox.ts';
import type { Server } from '../clients/server.ts';
import { bufferOrNull, type Endpoint, grouped, numberOrNull } from './endpoint.ts';
import type { Outcome, Sample, Seen } from './sample.ts';

process.env['KAFKAJS_NO_PARTITIONER_WARNING'] = '1';

export async function kafkaEndpoint(server: Server): Promise<Endpoint> {
  const kafka = new Kafka({
    clientId: 'crossing',
    brokers: [server.address('kafka')],
    logLevel: logLevel.NOTHING,
    retry: { retries: 2 },
  });
  const producer = kafka.producer();
  await producer.connect();
  const admin = kafka.admin();
  await admin.connect();
  const opened: { disconnect(): Promise<void> }[] = [producer, admin];
  return {
    protocol: 'kafka',
    async read(topic) {
      const topics = [{ topic, numPartitions: 1, replicationFactor: 1 }];
      await admin.createTopics({ topics }); // False, without an error, when it exists.
      const inbox = new Inbox<Outcome>();
      const consumer = kafka.consumer({ groupId: `crossing-${topic}`, maxWaitTimeInMs: 500 });
      opened.push(consumer);
      await consumer.connect();
      await consumer.subscribe({ topic, fromBeginning: true });
      await consumer.run({ eachMessage: async ({ message }) => inbox.put(seen(topic, message)) });
      return inbox;
    },
    async publish(topic, sample) {
      await producer.send({ topic, messages: [record(sample)] });
    },
    async close() {
      for (const each of opened.reverse()) await each.disconnect();
    },
  };
}

function record(sample: Sample) {
  const own = (name: string, value: string | Buffer | number | undefined) =>
    value === undefined ? [] : [[name, Buffer.from(value as string)] as const];
  const { expiryMs, priority } = sample;
  const headers = grouped<string | Buffer>([
    ...(sample.headers ?? []).map(([name, value]) => [name, value as string | Buffer] as const),
    ...own('message-id', sample.messageId),
    ...own('correlation-id', sample.correlation),
    ...own('reply-topic', sample.reply),
    ...own('content-type', sample.contentType),
    ...own('expires-at', expiryMs === undefined ? undefined : String(Date.now() + expiryMs)),
    ...own('priority', priority === undefined ? undefined : String(priority)),
  ]);
  return {
    key: sample.key ?? null,
    value: sample.value,
    headers,
    ...(sample.timestampMs === undefined ? {} : { timestamp: String(sample.timestampMs) }),
  };
}

function seen(topic: string, message: KafkaMessage): Seen {
  const pairs = Object.entries(message.headers ?? {}).flatMap(([name, values]) =>
    [values].flat().map((value): [string, Buffer] => [name, Buffer.from(value ?? '')]),
  );
  const hints: Record<string, string> = {};
  for (const [name, value] of pairs) {
    if (name.startsWith('_b.t.')) hints[name.slice('_b.t.'.length)] = String(value);
  }
  const headers = pairs.filter(([name]) => !name.startsWith('_b.'));
  const take = (name: string): Buffer | null => {
    const at = headers.findIndex(([each]) => each === name);
    return at === -1 ? null : (headers.splice(at, 1)[0]?.[1] ?? null);
  };
  const textOf = (name: string) => take(name)?.toString() ?? null;
  const expiresAt = numberOrNull(textOf('expires-at'));
  return {
    name: topic,
    value: message.value,
    markedNull: false,
    hints,
    key: message.key?.toString() ?? null,
    messageId: textOf('message-id'),
    correlation: bufferOrNull(take('correlation-id')),
    reply: textOf('reply-topic'),
    contentType: textOf('content-type'),
    priority: numberOrNull(textOf('priority')),
    timestampMs: Number(message.timestamp),
    expiryMs: expiresAt === null ? null : expiresAt - Date.now(),
    headers,
  };
}
