/**
 * Kafka loads: one idempotence-free producer with batches encoded once (acks=all, five requests in
 * flight as the Java client has), and one consumer that reads a partition from its start with one
 * fetch in flight. Versions without tagged fields, which brokers of the last five years all speak.
 */

import { ByteWriter } from './bytes.ts';
import { crc32c } from './crc32c.ts';
import { numbered } from './payload.ts';
import { announce, measure, Pump, resultOf, ringOf, settle, sleep } from './pump.ts';
import type { LoadResult, LoadSpec } from './spec.ts';
import { type Scanner, Signal, Wire } from './wire.ts';

export const PRODUCE = 0;
export const FETCH = 1;
export const CREATE_TOPICS = 19;
const PRODUCE_VERSION = 8;
const FETCH_VERSION = 11;
const CREATE_TOPICS_VERSION = 4;
/** The Java consumer's defaults: max.partition.fetch.bytes and fetch.max.bytes. */
const PARTITION_BYTES = 1 << 20;
const RESPONSE_BYTES = 50 << 20;
const READ_BUFFER_BYTES = 8 << 20;
const READY_TRIES = 100;
const CREATED_AT_ONCE = 1_000;

/** A RecordBatch v2 without keys, headers, compression and producer id. */
export function recordBatch(records: number, payload: (index: number) => Buffer): Buffer {
  const body = new ByteWriter();
  for (let i = 0; i < records; i++) {
    const value = payload(i);
    const record = new ByteWriter().u8(0).zigzag(0).zigzag(i).zigzag(-1);
    const bytes = record.zigzag(value.length).raw(value).zigzag(0).done();
    body.zigzag(bytes.length).raw(bytes);
  }
  const now = Date.now();
  const checked = new ByteWriter()
    .i16(0)
    .i32(records - 1)
    .i64(now)
    .i64(now);
  checked.i64(-1).i16(-1).i32(-1).i32(records).raw(body.done());
  const tail = checked.done();
  const batch = new ByteWriter()
    .i64(0)
    .i32(tail.length + 9)
    .i32(-1)
    .u8(2);
  return batch
    .i32(crc32c(tail) | 0)
    .raw(tail)
    .done();
}

function request(apiKey: number, version: number, body: Buffer): Buffer {
  const head = new ByteWriter().i16(apiKey).i16(version).i32(0).text16('bench').done();
  return new ByteWriter()
    .i32(head.length + body.length)
    .raw(head)
    .raw(body)
    .done();
}

function produceRequest(topic: string, batch: Buffer): Buffer {
  const body = new ByteWriter().i16(-1).i16(-1).i32(30_000).i32(1).text16(topic);
  return request(PRODUCE, PRODUCE_VERSION, body.i32(1).i32(0).i32(batch.length).raw(batch).done());
}

function fetchRequest(topic: string): Buffer {
  const body = new ByteWriter().i32(-1).i32(500).i32(1).i32(RESPONSE_BYTES).u8(0).i32(0).i32(-1);
  body.i32(1).text16(topic).i32(1).i32(0).i32(-1).i64(0).i64(-1).i32(PARTITION_BYTES);
  return request(FETCH, FETCH_VERSION, body.i32(0).text16('').done());
}

function createRequest(...topics: string[]): Buffer {
  const body = new ByteWriter().i32(topics.length);
  for (const topic of topics) body.text16(topic).i32(1).i16(1).i32(0).i32(0);
  return request(CREATE_TOPICS, CREATE_TOPICS_VERSION, body.i32(15_000).u8(0).done());
}

/** Where a value stands in an answer, counted from its length prefix. */
const errorInProduce = (topic: string) => 4 + 4 + 4 + 2 + topic.length + 4 + 4;
const errorInCreate = (topic: string) => 4 + 4 + 4 + 4 + 2 + topic.length;
const errorInFetch = (topic: string) => 4 + 4 + 4 + 2 + 4 + 4 + 2 + topic.length + 4 + 4;
/** After the error code: three offsets, no aborted transactions, preferred replica. */
const RECORDS_AFTER_ERROR = 2 + 8 + 8 + 8 + 4 + 4;

class Client implements Scanner {
  answers = 0;
  onAnswer: ((bytes: Buffer, start: number, end: number) => void) | undefined;
  onRead: (() => void) | undefined;
  wire!: Wire;

  static async open(port: number): Promise<Client> {
    const client = new Client();
    client.wire = await Wire.open(port, client, READ_BUFFER_BYTES);
    return client;
  }

  scan(bytes: Buffer, end: number): number {
    let at = 0;
    while (end - at >= 4) {
      const next = at + 4 + bytes.readInt32BE(at);
      if (next > end) break;
      this.answers++;
      this.onAnswer?.(bytes, at, next);
      at = next;
    }
    this.onRead?.();
    return at;
  }

  /** One request, one answer, its error code. */
  async ask(message: Buffer, errorAt: number): Promise<number> {
    const answer = new Signal<number>();
    this.onAnswer = (bytes, start) => answer.fire(bytes.readInt16BE(start + errorAt));
    this.wire.send(message);
    const error = await answer.promise;
    this.onAnswer = undefined;
    return error;
  }
}

/** Creates many topics of one partition; the first refusal ends it. */
export async function createTopics(port: number, topics: readonly string[]): Promise<void> {
  const client = await Client.open(port);
  for (let i = 0; i < topics.length; i += CREATED_AT_ONCE) {
    const some = topics.slice(i, i + CREATED_AT_ONCE);
    const error = await client.ask(createRequest(...some), errorInCreate(some[0]!));
    if (error !== 0) throw new Error(`CreateTopics answered error ${error}`);
  }
  await client.wire.close();
}

/** Creates a topic with one partition and waits until it takes records. */
async function prepareTopic(client: Client, topic: string): Promise<void> {
  const created = await client.ask(createRequest(topic), errorInCreate(topic));
  if (created !== 0) throw new Error(`CreateTopics answered error ${created}`);
  const probe = produceRequest(
    topic,
    recordBatch(1, () => Buffer.from('probe')),
  );
  for (let i = 0, error = -1; error !== 0; i++) {
    error = await client.ask(probe, errorInProduce(topic));
    if (error !== 0 && i === READY_TRIES) throw new Error(`Produce answers error ${error}`);
    if (error !== 0) await sleep(100);
  }
}

function producePump(client: Client, spec: LoadSpec, topic: string, batch: Buffer): Pump {
  const ring = ringOf(Math.max(2, spec.window), (i) => {
    const message = produceRequest(topic, batch);
    message.writeInt32BE(i, 8);
    return message;
  });
  const pump = new Pump(client.wire, ring, spec.window);
  const errorAt = errorInProduce(topic);
  client.answers = 0;
  client.onAnswer = (bytes, start) => {
    const error = bytes.readInt16BE(start + errorAt);
    if (error !== 0) throw new Error(`Produce answered error ${error}`);
  };
  client.onRead = () => {
    const answers = client.answers;
    client.answers = 0;
    if (answers > 0) pump.completed(answers);
  };
  return pump;
}

export async function kafkaProduce(spec: LoadSpec): Promise<LoadResult> {
  const topic = `bench-${spec.name}`;
  const client = await Client.open(spec.port);
  await prepareTopic(client, topic);
  const batch = recordBatch(spec.batch, (i) => numbered(i, spec.payloadBytes));
  const pump = producePump(client, spec, topic, batch);
  const result = await measure(spec, pump, spec.batch);
  await settle(pump);
  await client.wire.close();
  if (!spec.audit) return result;
  const least = 1 + pump.done * spec.batch;
  const read = await readAll(spec.port, topic, least, batch);
  return { ...result, verified: `read back all of ${read.records} acknowledged records` };
}

export async function kafkaFetch(spec: LoadSpec): Promise<LoadResult> {
  const topic = `bench-${spec.name}`;
  const client = await Client.open(spec.port);
  await prepareTopic(client, topic);
  const batch = recordBatch(spec.batch, (i) => numbered(i, spec.payloadBytes));
  const pump = producePump(client, spec, topic, batch);
  pump.start(Math.ceil(spec.records / spec.batch));
  await settle(pump);
  await client.wire.close();

  const records = 1 + pump.done * spec.batch;
  announce('begin');
  const cpu = process.cpuUsage();
  const { seconds } = await readAll(spec.port, topic, records, spec.verify ? batch : undefined);
  const used = process.cpuUsage(cpu);
  announce('end');
  const result = resultOf(spec, records, seconds, (used.user + used.system) / 1e6 / seconds, 0);
  return spec.verify
    ? { ...result, verified: 'offsets dense, batch bodies byte for byte' }
    : result;
}

/**
 * Base offset and batch length lie before these bytes, the leader epoch after; both are the
 * broker's.
 */
const BATCH_MAGIC_AT = 16;

/** Fetches from offset 0 up to `records`; batches must be dense and, if given, equal `batch`. */
async function readAll(
  port: number,
  topic: string,
  records: number,
  batch: Buffer | undefined,
): Promise<{ records: number; seconds: number }> {
  const client = await Client.open(port);
  const message = fetchRequest(topic);
  const offsetAt = message.length - 4 - 2 - 4 - 8 - 8;
  const errorAt = errorInFetch(topic);
  const all = new Signal();
  let position = 0;
  const next = () => {
    message.writeBigInt64BE(BigInt(position), offsetAt);
    client.wire.send(message);
  };
  client.onAnswer = (bytes, start, end) => {
    const error = bytes.readInt16BE(start + errorAt);
    if (error !== 0) throw new Error(`Fetch answered error ${error}`);
    const from = start + errorAt + RECORDS_AFTER_ERROR + 4;
    position = walkBatches(bytes, from, end, position, batch);
    if (position >= records) all.fire();
    else next();
  };
  const started = performance.now();
  next();
  await all.promise;
  const seconds = (performance.now() - started) / 1000;
  await client.wire.close();
  return { records: position, seconds };
}

/** Walks whole batches and answers the next offset to ask for. */
function walkBatches(
  bytes: Buffer,
  from: number,
  end: number,
  position: number,
  expected: Buffer | undefined,
): number {
  let at = from;
  while (end - at >= 61) {
    const next = at + 12 + bytes.readInt32BE(at + 8);
    if (next > end) break;
    const base = bytes.readInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4);
    if (base > position) throw new Error(`offset ${position} is missing: ${base} came`);
    position = base + bytes.readInt32BE(at + 23) + 1;
    if (expected !== undefined && next - at === expected.length) {
      const same = bytes.compare(expected, BATCH_MAGIC_AT, undefined, at + BATCH_MAGIC_AT, next);
      if (same !== 0) throw new Error(`the batch at offset ${base} differs from what was sent`);
    }
    at = next;
  }
  return position;
}
