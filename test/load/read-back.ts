/** Reads streams back with Kafka, all of them with one consumer, and hands over each record. */
import { type Consumer, Kafka, logLevel } from 'kafkajs';
import { deadline } from '../clients/program.ts';
import type { Server } from '../clients/server.ts';
import type { Findings } from './findings.ts';
import type { ReadLog } from './stored-log.ts';

const READ_TIMEOUT_MS = 180_000;
const PARTITION_BYTES = 4 << 20;

interface Span {
  readonly log: ReadLog;
  readonly from: number;
  readonly end: number;
}

let readers = 0;

/** @param whole from the first offset on, not only what is new */
export async function readBack(
  server: Server,
  logs: readonly ReadLog[],
  whole: boolean,
  brokenAtMs: number,
  findings: Findings,
): Promise<void> {
  const kafka = new Kafka({
    brokers: [server.address('kafka')],
    logLevel: logLevel.NOTHING,
    retry: { retries: 10, initialRetryTime: 50, maxRetryTime: 500 },
  });
  const spans = await spansOf(kafka, logs, whole);
  const wanted = spans.filter(({ from, end }) => from < end);
  if (wanted.length > 0) {
    const consumer = kafka.consumer({
      groupId: `read-back-${process.pid}-${++readers}`,
      maxWaitTimeInMs: 50,
      maxBytesPerPartition: PARTITION_BYTES,
    });
    await consumer.connect();
    try {
      await readSpans(consumer, wanted, findings);
    } catch (error) {
      findings.add('stuck', 'read back', String(error));
    } finally {
      await consumer.disconnect();
    }
  }
  for (const { log, end } of spans) log.finish(end, brokenAtMs, findings);
}

async function spansOf(kafka: Kafka, logs: readonly ReadLog[], whole: boolean): Promise<Span[]> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    const ends = new Map<string, number>();
    for (const topic of new Set(logs.map((log) => log.topic))) {
      for (const { partition, high } of await admin.fetchTopicOffsets(topic)) {
        ends.set(`${topic}/${partition}`, Number(high));
      }
    }
    return logs.map((log) => ({ log, from: log.rewind(whole), end: ends.get(log.name) ?? 0 }));
  } finally {
    await admin.disconnect();
  }
}

async function readSpans(consumer: Consumer, spans: readonly Span[], findings: Findings) {
  const open = new Map(spans.map((span) => [span.log.name, span]));
  const { promise: complete, resolve, reject } = Promise.withResolvers<void>();
  consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
  for (const topic of new Set(spans.map(({ log }) => log.topic))) {
    await consumer.subscribe({ topic, fromBeginning: true });
  }
  await consumer.run({
    autoCommit: false,
    partitionsConsumedConcurrently: 1,
    eachBatch: async ({ batch }) => {
      const name = `${batch.topic}/${batch.partition}`;
      const span = open.get(name);
      if (span === undefined) return;
      for (const { offset, value } of batch.messages) {
        if (Number(offset) < span.end) span.log.record(Number(offset), value, findings);
      }
      if (Number(batch.lastOffset()) < span.end - 1) return;
      open.delete(name);
      if (open.size === 0) resolve();
    },
  });
  for (const { log, from } of spans) {
    consumer.seek({ topic: log.topic, partition: log.partition, offset: String(from) });
  }
  const sentence = () => `could not read to the end: ${[...open.keys()].join(', ')}`;
  await deadline(complete, READ_TIMEOUT_MS, sentence);
}
