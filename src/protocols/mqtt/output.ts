/**
 * What leaves for one client in one turn of the event loop: packets are put into one buffer and
 * written once. A packet that is shared by many clients is not copied when it is the only one.
 */
import type { Connection } from '#contract';
import type { Timers } from '#kit';
import { type EncodedPublish, INLINE_BYTES_MAX } from './codec/index.ts';

const BUFFER_BYTES = 512;
/** A buffer is sent when it has grown to this. */
const BUFFER_BYTES_MAX = 64 << 10;
/** Up to this many bytes a loop beats a native copy. */
const LOOP_BYTES_MAX = 48;

/** Flushes all outputs that were written to, once, at the end of the turn. */
export class Flusher {
  readonly #timers: Timers;
  #waiting: Output[] = [];
  #spare: Output[] = [];
  readonly #flush = (): void => this.#flushAll();

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  add(output: Output): void {
    if (this.#waiting.length === 0) this.#timers.soon(this.#flush);
    this.#waiting.push(output);
  }

  #flushAll(): void {
    const waiting = this.#waiting;
    this.#waiting = this.#spare;
    for (const output of waiting) output.flush();
    waiting.length = 0;
    this.#spare = waiting;
  }
}

export class Output {
  readonly #connection: Pick<Connection, 'write' | 'pendingBytes'>;
  readonly #flusher: Flusher;
  #buffer: Buffer | null = null;
  #at = 0;
  /** The only packet so far, when it is a whole one that others may share. */
  #single: Buffer | null = null;
  #listed = false;
  /** The connection asked to wait; it says when that is over. */
  full = false;
  /** About as much as the last turns wrote: room for the next. */
  #lastBytes = 0;
  /** What the connection held when this turn's output began, with what was sent since. */
  #pendingBefore = 0;

  /** @param connection or one of its streams */
  constructor(connection: Pick<Connection, 'write' | 'pendingBytes'>, flusher: Flusher) {
    this.#connection = connection;
    this.#flusher = flusher;
  }

  /** Bytes that the client has not taken: here and in the connection. Asked once per message. */
  get pendingBytes(): number {
    const before = this.#listed ? this.#pendingBefore : this.#connection.pendingBytes;
    return before + this.#at + (this.#single?.length ?? 0);
  }

  /** A whole packet, or a part of one; the bytes must not change any more. */
  append(bytes: Buffer): void {
    this.#list();
    if (bytes.length > INLINE_BYTES_MAX) {
      this.#send();
      this.#write(bytes);
      return;
    }
    if (this.#single === null && this.#at === 0) {
      this.#single = bytes;
      return;
    }
    this.#reserve(bytes.length);
    this.#buffer!.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** A PUBLISH with this packet identifier and DUP flag, from one encoding for all receivers. */
  publish(encoded: EncodedPublish, packetId: number, dup: boolean): void {
    const { head, headBytes, payload, packetIdAt } = encoded;
    if (packetIdAt === 0 && encoded.stays) {
      this.append(head);
      if (payload.length > 0) this.append(payload);
      return;
    }
    this.#list();
    const inline = payload.length <= INLINE_BYTES_MAX;
    this.#reserve(inline ? headBytes + payload.length : headBytes);
    const at = this.#at;
    const buffer = this.#buffer!;
    if (headBytes > LOOP_BYTES_MAX) head.copy(buffer, at, 0, headBytes);
    else for (let index = 0; index < headBytes; index++) buffer[at + index] = head[index]!;
    if (packetIdAt > 0) {
      if (dup) buffer[at] = buffer[at]! | 8; // [MQTT-3.3.1-1]
      buffer[at + packetIdAt] = packetId >>> 8;
      buffer[at + packetIdAt + 1] = packetId & 0xff;
    }
    this.#at = at + headBytes;
    if (payload.length === 0) return;
    if (inline) {
      buffer.set(payload, this.#at);
      this.#at += payload.length;
    } else this.append(payload);
  }

  /** An acknowledgement without reason: four bytes. */
  ack(header: number, packetId: number): void {
    this.#list();
    this.#reserve(4);
    const at = this.#at;
    const buffer = this.#buffer!;
    buffer[at] = header;
    buffer[at + 1] = 2;
    buffer[at + 2] = packetId >>> 8;
    buffer[at + 3] = packetId & 0xff;
    this.#at = at + 4;
  }

  flush(): void {
    this.#listed = false;
    this.#send();
  }

  discard(): void {
    this.#buffer = null;
    this.#single = null;
    this.#at = 0;
  }

  #list(): void {
    if (this.#listed) return;
    this.#listed = true;
    this.#pendingBefore = this.#connection.pendingBytes;
    this.#flusher.add(this);
  }

  /** Room for `count` bytes behind what is there; moves a single packet into the buffer. */
  #reserve(count: number): void {
    const single = this.#single;
    if (single !== null) {
      this.#single = null;
      this.#reserve(single.length + count);
      this.#buffer!.set(single, this.#at);
      this.#at += single.length;
      return;
    }
    if (this.#buffer !== null && this.#at + count <= this.#buffer.length) return;
    if (this.#at + count > BUFFER_BYTES_MAX && this.#at > 0) this.#send();
    const guess =
      this.#at === 0 ? this.#lastBytes : Math.min((this.#at + count) * 2, BUFFER_BYTES_MAX);
    const size = Math.max(BUFFER_BYTES, this.#at + count, guess);
    const grown = Buffer.allocUnsafe(size);
    if (this.#at > 0) this.#buffer!.copy(grown, 0, 0, this.#at);
    this.#buffer = grown;
  }

  #send(): void {
    const single = this.#single;
    if (single !== null) {
      this.#single = null;
      this.#write(single);
      return;
    }
    if (this.#at === 0) return;
    const bytes = this.#buffer!.subarray(0, this.#at);
    this.#lastBytes = Math.min(Math.max(this.#at, this.#lastBytes >>> 1), BUFFER_BYTES_MAX);
    this.#buffer = null;
    this.#at = 0;
    this.#write(bytes);
  }

  #write(bytes: Buffer): void {
    this.#pendingBefore += bytes.length;
    if (!this.#connection.write(bytes)) this.full = true;
  }
}
