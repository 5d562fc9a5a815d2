/**
 * A Kafka client that is just enough to load a broker: requests as bytes, answers by their error
 * code. Versions without tagged fields, which brokers of the last five years all speak.
 */

import { ByteWriter } from './bytes.ts';
import { crc32c } from './crc32c.ts';
import { sleep } from './pump.ts';
import { type Scanner, Signal, Wire } from './wire.ts';

export const PRODUCE = 0;
export const FETCH = 1;
const LIST_OFFSETS = 2;
export const CREATE_TOPICS = 19;
export const DELETE_TOPICS = 20;
const PRODUCE_VERSION = 8;
const FETCH_VERSION = 11;
const LIST_OFFSETS_VERSION = 2;
const CREATE_TOPICS_VERSION = 4;
const DELETE_TOPICS_VERSION = 3;
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

/** A request with the first header that Kafka had: no tagged fields. */
export function request(apiKey: number, version: number, body: Buffer): Buffer {
  const head = new ByteWriter().i16(apiKey).i16(version).i32(0).text16('bench').done();
  return new ByteWriter()
    .i32(head.length + body.length)
    .raw(head)
    .raw(body)
    .done();
}

export function produceRequest(topic: string, batch: Buffer): Buffer {
  const body = new ByteWriter().i16(-1).i16(-1).i32(30_000).i32(1).text16(topic);
  return request(PRODUCE, PRODUCE_VERSION, body.i32(1).i32(0).i32(batch.length).raw(batch).done());
}

export function fetchRequest(topic: string): Buffer {
  const body = new ByteWriter().i32(-1).i32(500).i32(1).i32(RESPONSE_BYTES).u8(0).i32(0).i32(-1);
  body.i32(1).text16(topic).i32(1).i32(0).i32(-1).i64(0).i64(-1).i32(PARTITION_BYTES);
  return request(FETCH, FETCH_VERSION, body.i32(0).text16('').done());
}

function createRequest(...topics: string[]): Buffer {
  const body = new ByteWriter().i32(topics.length);
  for (const topic of topics) body.text16(topic).i32(1).i16(1).i32(0).i32(0);
  return request(CREATE_TOPICS, CREATE_TOPICS_VERSION, body.i32(15_000).u8(0).done());
}

function deleteRequest(topic: string): Buffer {
  const body = new ByteWriter().i32(1).text16(topic).i32(15_000);
  return request(DELETE_TOPICS, DELETE_TOPICS_VERSION, body.done());
}

/** Where a value stands in an answer, counted from its length prefix. */
export const errorInProduce = (topic: string) => 4 + 4 + 4 + 2 + topic.length + 4 + 4;
const errorInCreate = (topic: string) => 4 + 4 + 4 + 4 + 2 + topic.length;
export const errorInFetch = (topic: string) => 4 + 4 + 4 + 2 + 4 + 4 + 2 + topic.length + 4 + 4;
/** Where the fetch offset stands, counted from the end of the request. */
export const OFFSET_FROM_END = 4 + 2 + 4 + 8 + 8;
/** After the error code: three offsets, no aborted transactions, preferred replica. */
export const RECORDS_AFTER_ERROR = 2 + 8 + 8 + 8 + 4 + 4;

export class Client implements Scanner {
  answers = 0;
  onAnswer: ((bytes: Buffer, start: number, end: number) => void) | undefined;
  onRead: (() => void) | undefined;
  wire!: Wire;

  static async open(port: number, readBytes = READ_BUFFER_BYTES): Promise<Client> {
    const client = new Client();
    client.wire = await Wire.open(port, client, readBytes);
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
export async function prepareTopic(client: Client, topic: string): Promise<void> {
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

/** A broker that stays up between rounds need not carry the records of earlier ones. */
export async function deleteTopic(port: number, topic: string): Promise<void> {
  const client = await Client.open(port);
  const error = await client.ask(deleteRequest(topic), errorInCreate(topic));
  if (error !== 0) throw new Error(`DeleteTopics answered error ${error}`);
  await client.wire.close();
}

/** The offset after the last record of a partition. */
export async function endOffset(client: Client, topic: string): Promise<number> {
  const body = new ByteWriter().i32(-1).u8(0).i32(1).text16(topic).i32(1).i32(0).i64(-1);
  const answer = new Signal<number>();
  // Throttle time, one topic, one partition: its number, error code, timestamp, then the offset.
  const errorAt = 4 + 4 + 4 + 4 + 2 + topic.length + 4 + 4;
  client.onAnswer = (bytes, start) => {
    const error = bytes.readInt16BE(start + errorAt);
    if (error !== 0) throw new Error(`ListOffsets answered error ${error}`);
    answer.fire(Number(bytes.readBigInt64BE(start + errorAt + 2 + 8)));
  };
  client.wire.send(request(LIST_OFFSETS, LIST_OFFSETS_VERSION, body.done()));
  const offset = await answer.promise;
  client.onAnswer = undefined;
  return offset;
}
