/**
 * RecordBatch v2, the stored form of every record (Kafka protocol guide, "Record Batch"). Written
 * here for records of all protocols but Kafka's own producers, whose batches are stored as they
 * came.
 */
import {
  BrokerError,
  crc32c,
  type Position,
  ProtocolError,
  readSigned,
  signedSize,
  writeSigned,
} from '#kit';
import { decompress } from './compression.ts';
import { storedHeaders } from './envelope.ts';
import type { Header, Message } from './message.ts';
import { NO_HEADERS } from './message.ts';

const BATCH_HEADER_BYTES = 61;
const AT_LENGTH = 8;
const AT_EPOCH = 12;
const AT_MAGIC = 16;
const AT_CRC = 17;
const AT_ATTRIBUTES = 21;
const AT_LAST_DELTA = 23;
const AT_BASE_TIME = 27;
const AT_MAX_TIME = 35;
const AT_PRODUCER = 43;
const AT_COUNT = 57;
const MAGIC = 2;

const FIRST_CAPACITY = 512;
/** Up to this many bytes a loop beats the call that compares. */
const COMPARE_BYTES_MAX = 96;
/** After headers that differ from those before them. */
const PASSED_RECORDS = 8;
/** Latest time of a record; the difference of two times then fits a variable-length number. */
const TIME_MS_MAX = 2 ** 52 - 1;
/** Records that one batch may open to: a small compressed one could hold millions. */
const RECORDS_MAX = 1 << 17;

/** Builds one batch, record by record, in one buffer. */
export class BatchBuilder {
  #bytes: Buffer;
  #at = BATCH_HEADER_BYTES;
  #baseTimeMs = 0;
  count = 0;
  maxTimeMs = -1;

  /**
   * @param capacity bytes to begin with; the size of the last batch of this log is a good guess
   * @param into where to begin instead: the finished batch may lie there
   */
  constructor(capacity: number, into: Buffer | null = null) {
    // Not from the shared pool: the finished batch would keep its neighbours there alive.
    this.#bytes = into ?? Buffer.allocUnsafeSlow(Math.max(capacity, FIRST_CAPACITY));
  }

  get size(): number {
    return this.#at;
  }

  /**
   * @param homeText canonical address that needs no header, since the stream's name tells it
   * @param routeKey key of a message that brings none; readers of the message do not see it
   */
  add(message: Message, homeText: string, routeKey: Buffer | null = null): void {
    const key = message.key ?? routeKey;
    const givenMs = message.timestampMs >= 0 ? message.timestampMs : message.appendTimeMs;
    const timeMs = Math.min(givenMs, TIME_MS_MAX);
    if (this.count === 0) this.#baseTimeMs = timeMs;
    if (timeMs > this.maxTimeMs) this.maxTimeMs = timeMs;
    const headers = storedHeaders(message, homeText, key !== message.key);
    const { value } = message;
    const timeDelta = timeMs - this.#baseTimeMs;
    const size =
      1 +
      signedSize(timeDelta) +
      signedSize(this.count) +
      blobSize(key) +
      blobSize(value) +
      headers.length;
    const bytes = this.#room(size + 5);
    let at = writeSigned(bytes, this.#at, size);
    bytes[at++] = 0;
    at = writeSigned(bytes, at, timeDelta);
    at = writeSigned(bytes, at, this.count);
    at = writeBlob(bytes, at, key);
    at = writeBlob(bytes, at, value);
    bytes.set(headers, at);
    at += headers.length;
    this.#at = at;
    this.count++;
  }

  /** The finished batch, base offset still 0 (the log writes it). The builder is used up. */
  finish(): Buffer {
    const bytes = this.#bytes;
    bytes.fill(0, 0, AT_MAGIC);
    bytes.writeInt32BE(this.#at - AT_EPOCH, AT_LENGTH);
    bytes[AT_MAGIC] = MAGIC;
    bytes.writeInt16BE(0, AT_ATTRIBUTES);
    bytes.writeInt32BE(this.count - 1, AT_LAST_DELTA);
    bytes.writeBigInt64BE(BigInt(this.#baseTimeMs), AT_BASE_TIME);
    bytes.writeBigInt64BE(BigInt(this.maxTimeMs), AT_MAX_TIME);
    // No producer: id, epoch and sequence are -1.
    bytes.fill(0xff, AT_PRODUCER, AT_COUNT);
    bytes.writeInt32BE(this.count, AT_COUNT);
    bytes.writeUInt32BE(crc32c(bytes.subarray(AT_ATTRIBUTES, this.#at)), AT_CRC);
    // A buffer that is mostly empty must not stay alive behind a small batch.
    if (this.#at * 2 < bytes.length) return Buffer.from(bytes.subarray(0, this.#at));
    return bytes.subarray(0, this.#at);
  }

  #room(size: number): Buffer {
    if (this.#at + size <= this.#bytes.length) return this.#bytes;
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#at + size));
    this.#bytes.copy(larger, 0, 0, this.#at);
    this.#bytes = larger;
    return larger;
  }
}

function blobSize(blob: Buffer | null): number {
  return blob === null ? 1 : signedSize(blob.length) + blob.length;
}

function writeBlob(target: Buffer, at: number, blob: Buffer | null): number {
  if (blob === null) return writeSigned(target, at, -1);
  at = writeSigned(target, at, blob.length);
  target.set(blob, at);
  return at + blob.length;
}

/** One record of a batch, its buffers being views on the batch (or on its decompressed form). */
export interface StoredRecord {
  readonly offset: number;
  readonly timeMs: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly Header[];
}

export function isControlBatch(attributes: number): boolean {
  return (attributes & 0x20) !== 0;
}

/**
 * The records of a batch whose checksum is known to be good.
 * @param bytesMax bound for what a compressed batch may become
 * @throws ProtocolError when the records are not what the header says
 * @throws BrokerError `message-too-large` when it would open to too much
 */
export function readRecords(batch: Buffer, baseOffset: number, bytesMax: number): StoredRecord[] {
  if (batch.length < BATCH_HEADER_BYTES) {
    throw new ProtocolError('batch', batch.length, 'shorter than its header');
  }
  const attributes = batch.readInt16BE(AT_ATTRIBUTES);
  const baseTimeMs = Number(batch.readBigInt64BE(AT_BASE_TIME));
  const maxTimeMs = Number(batch.readBigInt64BE(AT_MAX_TIME));
  const logAppendTime = (attributes & 0x08) !== 0;
  const count = batch.readInt32BE(AT_COUNT);
  if (count > RECORDS_MAX) {
    throw new BrokerError('message-too-large', `a batch would open to ${count} records.`);
  }
  const lastDelta = batch.readInt32BE(AT_LAST_DELTA);
  let deltaBefore = -1;
  const payload = decompress(attributes & 0x07, batch.subarray(BATCH_HEADER_BYTES), bytesMax);
  const records: StoredRecord[] = [];
  const position: Position = { at: 0 };
  const like = new LastHeaders(payload);
  for (let index = 0; index < count; index++) {
    const length = readSigned(payload, position, 'record length');
    const end = position.at + length;
    if (length < 0 || end > payload.length) {
      throw new ProtocolError('record length', position.at, `${length} passes the batch`);
    }
    position.at++;
    const timeDelta = readSigned(payload, position, 'timestamp delta');
    const offsetDelta = readSigned(payload, position, 'offset delta');
    // Nobody but its reader sees into a producer's batch: it must not speak for other offsets.
    if (offsetDelta <= deltaBefore || offsetDelta > lastDelta) {
      throw new ProtocolError('offset delta', position.at, `${offsetDelta} is out of order`);
    }
    deltaBefore = offsetDelta;
    const key = readBlob(payload, position, 'key');
    const value = readBlob(payload, position, 'value');
    const headers = like.read(position, end);
    if (position.at !== end) {
      throw new ProtocolError('record', position.at, `ends at ${position.at}, not at ${end}`);
    }
    const timeMs = knownTime(logAppendTime ? maxTimeMs : baseTimeMs + timeDelta);
    records.push({ offset: baseOffset + offsetDelta, timeMs, key, value, headers });
  }
  return records;
}

/** Records of one publisher mostly have the same headers: equal bytes give the same object. */
class LastHeaders {
  readonly #bytes: Buffer;
  #at = 0;
  #end = 0;
  #headers = NO_HEADERS;
  /** Records that are not compared: where all differ it would only cost. */
  #passing = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** @param end of the record, where its headers must end as well */
  read(position: Position, end: number): readonly Header[] {
    const { at } = position;
    if (this.#passing > 0) this.#passing--;
    else if (this.#isLike(at, end)) {
      position.at = end;
      return this.#headers;
    } else if (this.#end > 0) this.#passing = PASSED_RECORDS;
    this.#headers = readHeaders(this.#bytes, position);
    this.#at = at;
    this.#end = position.at;
    return this.#headers;
  }

  #isLike(at: number, end: number): boolean {
    const length = end - at;
    if (length <= 0 || length !== this.#end - this.#at) return false;
    const bytes = this.#bytes;
    if (length > COMPARE_BYTES_MAX) {
      return bytes.compare(bytes, this.#at, this.#end, at, end) === 0;
    }
    for (let index = 0, before = this.#at; index < length; index++) {
      if (bytes[before + index] !== bytes[at + index]) return false;
    }
    return true;
  }
}

/** A time that no clock shows is none. */
function knownTime(timeMs: number): number {
  return timeMs >= 0 && timeMs <= TIME_MS_MAX ? timeMs : -1;
}

function readHeaders(bytes: Buffer, position: Position): readonly Header[] {
  const count = readSigned(bytes, position, 'header count');
  if (count === 0) return NO_HEADERS;
  if (count < 0 || count > bytes.length - position.at) {
    throw new ProtocolError('header count', position.at, `${count} is not possible`);
  }
  const headers: Header[] = [];
  for (let index = 0; index < count; index++) {
    const name = readName(bytes, position);
    headers.push({ name, value: readBlob(bytes, position, 'header value') });
  }
  return headers;
}

/** Names that were read lately, by their length and ends: the same ones come again and again. */
const NAME_SLOTS = 64;
const NAME_BYTES_MAX = 32;
const nameBytes: (Buffer | undefined)[] = new Array<Buffer | undefined>(NAME_SLOTS).fill(undefined);
const nameTexts: string[] = new Array<string>(NAME_SLOTS).fill('');

function readName(bytes: Buffer, position: Position): string {
  const length = readSigned(bytes, position, 'header name');
  if (length === -1) throw new ProtocolError('header name', position.at, 'is null');
  const { at } = position;
  const end = at + length;
  if (length < 0 || end > bytes.length) {
    throw new ProtocolError('header name', at, `length ${length} passes the end`);
  }
  position.at = end;
  if (length === 0 || length > NAME_BYTES_MAX) return bytes.toString('utf8', at, end);
  const slot = (length * 31 + bytes[at]! + bytes[end - 1]! * 7) % NAME_SLOTS;
  const known = nameBytes[slot];
  if (known !== undefined && isAt(known, bytes, at, length)) return nameTexts[slot]!;
  const text = bytes.toString('utf8', at, end);
  nameBytes[slot] = Buffer.from(bytes.subarray(at, end));
  nameTexts[slot] = text;
  return text;
}

function isAt(known: Buffer, bytes: Buffer, at: number, length: number): boolean {
  if (known.length !== length) return false;
  for (let index = 0; index < length; index++) if (known[index] !== bytes[at + index]) return false;
  return true;
}

function readBlob(bytes: Buffer, position: Position, field: string): Buffer | null {
  const length = readSigned(bytes, position, field);
  if (length === -1) return null;
  const { at } = position;
  if (length < 0 || at + length > bytes.length) {
    throw new ProtocolError(field, at, `length ${length} passes the end`);
  }
  position.at = at + length;
  return bytes.subarray(at, at + length);
}
