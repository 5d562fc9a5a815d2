/** Reads Kafka partitions with one fetch in flight, and walks what came where it lies. */

import {
  Client,
  errorInFetch,
  fetchRequest,
  OFFSET_FROM_END,
  RECORDS_AFTER_ERROR,
} from './kafka-client.ts';
import { Signal } from './wire.ts';

/**
 * Base offset and batch length lie before these bytes, the leader epoch after; both are the
 * broker's.
 */
const BATCH_MAGIC_AT = 16;

/** Fetches from offset 0 up to `records`; batches must be dense and, if given, equal `batch`. */
export async function readAll(
  port: number,
  topic: string,
  records: number,
  batch: Buffer | undefined,
): Promise<{ records: number; seconds: number }> {
  const client = await Client.open(port);
  const all = new Signal();
  let position = 0;
  const next = fetchLoop(client, topic, (bytes, from, end) => {
    position = walkBatches(bytes, from, end, position, batch);
    if (position >= records) all.fire();
    else next(position);
  });
  const started = performance.now();
  next(position);
  await all.promise;
  const seconds = (performance.now() - started) / 1000;
  await client.wire.close();
  return { records: position, seconds };
}

/** Seconds for the records from one offset to another. */
export async function readFrom(
  port: number,
  topic: string,
  from: number,
  to: number,
): Promise<number> {
  const client = await Client.open(port);
  const all = new Signal();
  let position = from;
  const next = fetchLoop(client, topic, (bytes, start, end) => {
    position = walkBatches(bytes, start, end, position, undefined);
    if (position >= to) all.fire();
    else next(position);
  });
  const started = performance.now();
  next(position);
  await all.promise;
  await client.wire.close();
  return (performance.now() - started) / 1000;
}

/** Answers the function that asks for records from an offset; `onRecords` gets what came. */
export function fetchLoop(
  client: Client,
  topic: string,
  onRecords: (bytes: Buffer, from: number, end: number) => void,
): (offset: number) => void {
  const message = fetchRequest(topic);
  const offsetAt = message.length - OFFSET_FROM_END;
  const errorAt = errorInFetch(topic);
  client.onAnswer = (bytes, start, end) => {
    const error = bytes.readInt16BE(start + errorAt);
    if (error !== 0) throw new Error(`Fetch answered error ${error}`);
    onRecords(bytes, start + errorAt + RECORDS_AFTER_ERROR + 4, end);
  };
  return (offset) => {
    message.writeInt32BE(Math.floor(offset / 2 ** 32), offsetAt);
    message.writeUInt32BE(offset % 2 ** 32, offsetAt + 4);
    client.wire.send(message);
  };
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
