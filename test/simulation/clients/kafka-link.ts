/** Kafka's requests and answers over a wire, with the room's own codec. */
import { crc32c, writeSigned } from '#kit';
import { apiOf } from '../../../src/protocols/kafka/codec.ts';
import { Reader } from '../../../src/protocols/kafka/reader.ts';
import type { Decoded, Encodable, MessagePair } from '../../../src/protocols/kafka/rows.ts';
import { Writer } from '../../../src/protocols/kafka/writer.ts';
import { Answer, Lost } from '../actor.ts';
import type { Wire } from '../network.ts';
import type { Scheduler } from '../scheduler.ts';

const ANSWER_TIMEOUT_MS = 8_000;
const API_VERSIONS = 18;

export class KafkaLink {
  readonly wire: Wire;
  readonly #scheduler: Scheduler;
  #correlation = 0;
  #waiting = new Map<number, Answer<Reader>>();
  #received: Buffer = Buffer.alloc(0);

  constructor(wire: Wire, scheduler: Scheduler) {
    this.wire = wire;
    this.#scheduler = scheduler;
    wire.onData = (chunk) => this.#receive(chunk);
    wire.onClosed = () => this.#lose('closed');
  }

  /** Rejects with `Lost` when the connection ends first or nothing comes for long. */
  async ask<Pair extends MessagePair>(
    pair: Pair,
    version: number,
    body: Encodable<Pair['request']>,
  ): Promise<Decoded<Pair['response']>> {
    const reader = await this.#send(pair, version, body);
    if (version >= pair.flexible && pair.key !== API_VERSIONS) reader.skipTags('header.tags');
    return apiOf(pair).response.read(reader, version);
  }

  #send<Pair extends MessagePair>(
    pair: Pair,
    version: number,
    body: Encodable<Pair['request']>,
  ): Promise<Reader> {
    const answer = new Answer<Reader>();
    if (this.wire.closed) {
      answer.reject(new Lost('closed'));
      return answer.promise;
    }
    const correlation = ++this.#correlation;
    const writer = new Writer();
    const mark = writer.open();
    writer.int16(pair.key);
    writer.int16(version);
    writer.int32(correlation);
    writer.string(this.wire.name);
    if (version >= pair.flexible) writer.unsigned(0);
    apiOf(pair).request.write(writer, version, body);
    writer.close(mark);
    this.#waiting.set(correlation, answer);
    this.wire.send(Buffer.concat(writer.take()));
    this.#scheduler.after(ANSWER_TIMEOUT_MS, () => {
      if (!this.#waiting.has(correlation)) return;
      this.wire.reset();
      this.#lose(`no answer to ${pair.name}`);
    });
    return answer.promise;
  }

  #receive(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    while (this.#received.length >= 4) {
      const end = 4 + this.#received.readInt32BE(0);
      if (this.#received.length < end) return;
      const reader = new Reader(Buffer.from(this.#received.subarray(4, end)));
      this.#received = this.#received.subarray(end);
      const correlation = reader.int32('correlationId');
      const answer = this.#waiting.get(correlation);
      if (answer === undefined) throw new Error(`an answer to nothing: ${correlation}`);
      this.#waiting.delete(correlation);
      answer.resolve(reader);
    }
  }

  #lose(why: string): void {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const answer of waiting) answer.reject(new Lost(why));
  }
}

export interface BatchFields {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  readonly timestampMs: number;
  /** Part of a transaction. */
  readonly isTransactional?: boolean;
}

const HEADER_BYTES = 61;
const KEY_BYTES_MAX = 32;
const TRANSACTIONAL = 0x10;

/** A record batch of format 2 without headers. */
export function batchOf(
  values: readonly Buffer[],
  fields: BatchFields,
  keys: readonly (string | null)[] = [],
): Buffer {
  const records = values.map((value, delta) => recordOf(value, delta, keys[delta] ?? null));
  const bytes = Buffer.concat([Buffer.alloc(HEADER_BYTES), ...records]);
  bytes.writeInt32BE(bytes.length - 12, 8);
  bytes.writeInt32BE(-1, 12);
  bytes.writeInt8(2, 16);
  if (fields.isTransactional === true) bytes.writeInt16BE(TRANSACTIONAL, 21);
  bytes.writeInt32BE(values.length - 1, 23);
  bytes.writeBigInt64BE(BigInt(fields.timestampMs), 27);
  bytes.writeBigInt64BE(BigInt(fields.timestampMs), 35);
  bytes.writeBigInt64BE(BigInt(fields.producerId), 43);
  bytes.writeInt16BE(fields.producerEpoch, 51);
  bytes.writeInt32BE(fields.baseSequence, 53);
  bytes.writeInt32BE(values.length, 57);
  bytes.writeUInt32BE(crc32c(bytes.subarray(21)), 17);
  return bytes;
}

function recordOf(value: Buffer, delta: number, key: string | null): Buffer {
  const body = Buffer.alloc(value.length + KEY_BYTES_MAX + 32);
  let at = writeSigned(body, 1, 0);
  at = writeSigned(body, at, delta);
  at = writeSigned(body, at, key === null ? -1 : key.length);
  if (key !== null) at += body.write(key, at, 'latin1');
  at = writeSigned(body, at, value.length);
  at += value.copy(body, at);
  at = writeSigned(body, at, 0);
  const size = Buffer.alloc(5);
  return Buffer.concat([size.subarray(0, writeSigned(size, 0, at)), body.subarray(0, at)]);
}
