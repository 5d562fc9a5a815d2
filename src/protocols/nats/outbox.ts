/**
 * Frames -> bytes: the output of one connection. All frames of a turn of the event loop are written
 * into one chunk, which leaves once; a large body leaves as a chunk of its own, uncopied. No
 * message costs an allocation. Knows no meaning: the caller says what to write and when the turn
 * ends.
 */
import { CHUNK_BYTES_MAX, type ChunkPool } from './chunk-pool.ts';

/** What an outbox needs of a connection. */
export interface Pipe {
  write(chunk: Uint8Array): boolean;
  readonly pendingBytes: number;
}

/** Bodies above this are not copied. */
const COPY_BYTES_MAX = 16 * 1024;
/** Up to this a loop beats a call. */
const LOOP_BYTES_MAX = 16;
/** `H`, spaces, two sizes of up to nine digits, and two line ends. */
const FRAME_EXTRA_BYTES = 32;
const CR = 13;
const LF = 10;
const SPACE = 32;
const LETTER_H = 72;
const EMPTY = Buffer.alloc(0);
const LINE_END = Buffer.from('\r\n');
const NOTHING: Buffer[] = [];

export class Outbox {
  readonly #pipe: Pipe;
  readonly #pool: ChunkPool;
  /** Asked for once per turn in which something was written. */
  readonly #flushLater: (outbox: Outbox) => void;
  #chunk: Buffer = EMPTY;
  #used = 0;
  #asked = false;
  /** What this connection needed in its last turn: the size to begin the next one with. */
  #usual = 0;
  /**
   * Full-sized chunks that left in this turn, until `reclaim` knows whether the kernel has them.
   */
  #left: Buffer[] = NOTHING;
  /** All bytes that were ever handed over, for the write deadline. */
  written = 0;
  /** The send buffer is over its mark; set here, cleared by whoever hears that it drained. */
  full = false;

  constructor(pipe: Pipe, pool: ChunkPool, flushLater: (outbox: Outbox) => void) {
    this.#pipe = pipe;
    this.#pool = pool;
    this.#flushLater = flushLater;
  }

  /** Bytes that have not reached the kernel. */
  get pendingBytes(): number {
    return this.#used + this.#pipe.pendingBytes;
  }

  /** A frame without a body, whole and constant. */
  control(frame: Buffer): void {
    const at = this.#reserve(frame.length);
    if (at < 0) this.#own(frame);
    else this.#used = copy(this.#chunk, at, frame);
  }

  /**
   * MSG or HMSG. `head` is the line up to and with the space before the reply: `MSG subject sid `.
   * An empty header block makes it a MSG.
   */
  message(head: Buffer, reply: Buffer, headers: Buffer, body: Buffer): void {
    const total = headers.length + body.length;
    const copied = total <= COPY_BYTES_MAX;
    const line = head.length + reply.length + FRAME_EXTRA_BYTES;
    const start = this.#reserve(copied ? line + total : line);
    if (start < 0) {
      this.#longMessage(head, reply, headers, body);
      return;
    }
    const chunk = this.#chunk;
    let at = start;
    if (headers.length > 0) chunk[at++] = LETTER_H;
    at = copy(chunk, at, head);
    at = this.#sizes(at, reply, headers.length, total);
    if (copied) {
      if (headers.length > 0) at = copy(chunk, at, headers);
      at = copy(chunk, at, body);
      chunk[at++] = CR;
      chunk[at++] = LF;
      this.#used = at;
      return;
    }
    this.#used = at;
    if (headers.length > 0) this.#own(headers);
    this.#own(body);
    this.control(LINE_END);
  }

  /** Hands over what the turn wrote. */
  flush(): void {
    this.#asked = false;
    this.#usual = this.#used;
    const chunk = this.#chunk;
    const used = this.#used;
    if (used === 0) return;
    this.#chunk = EMPTY;
    this.#used = 0;
    this.#leave(chunk, used);
  }

  /** Chunks of it are on their way that can be used again. */
  get lends(): boolean {
    return this.#left.length > 0;
  }

  /** A turn later: the chunks can be used again when everything that was written has left. */
  reclaim(): void {
    const left = this.#left;
    if (left.length === 0) return;
    this.#left = NOTHING;
    if (this.#pipe.pendingBytes > 0) return;
    for (const chunk of left) this.#pool.give(chunk);
  }

  #leave(chunk: Buffer, used: number): void {
    this.#send(used === chunk.length ? chunk : chunk.subarray(0, used));
    if (chunk.length !== CHUNK_BYTES_MAX) return;
    if (this.#left === NOTHING) this.#left = [];
    this.#left.push(chunk);
  }

  /** The rest of a message's line, from the reply on. */
  #sizes(at: number, reply: Buffer, headerSize: number, total: number): number {
    const chunk = this.#chunk;
    if (reply.length > 0) {
      at = copy(chunk, at, reply);
      chunk[at++] = SPACE;
    }
    if (headerSize > 0) {
      at = writeNumber(chunk, at, headerSize);
      chunk[at++] = SPACE;
    }
    at = writeNumber(chunk, at, total);
    chunk[at++] = CR;
    chunk[at++] = LF;
    return at;
  }

  /** A line that no chunk holds (a subject of tens of KiB from another protocol). */
  #longMessage(head: Buffer, reply: Buffer, headers: Buffer, body: Buffer): void {
    const total = headers.length + body.length;
    const sizes = headers.length > 0 ? `${headers.length} ${total}` : `${total}`;
    const hasReply = reply.length > 0;
    this.#own(
      Buffer.concat([
        Buffer.from(headers.length > 0 ? 'H' : ''),
        head,
        reply,
        Buffer.from(`${hasReply ? ' ' : ''}${sizes}\r\n`),
        headers,
        body,
        LINE_END,
      ]),
    );
  }

  /** Room for `count` more bytes; answers where they begin, or -1 when no chunk is that large. */
  #reserve(count: number): number {
    if (this.#used + count > this.#chunk.length) {
      if (count > CHUNK_BYTES_MAX) return -1;
      this.#makeRoom(count);
    }
    if (!this.#asked) this.#ask();
    return this.#used;
  }

  #makeRoom(count: number): void {
    const old = this.#chunk;
    const used = this.#used;
    if (used + count <= CHUNK_BYTES_MAX) {
      this.#chunk = this.#pool.take(Math.max(used + count, used === 0 ? this.#usual : 0));
      old.copy(this.#chunk, 0, 0, used);
      return;
    }
    this.#leave(old, used);
    this.#chunk = this.#pool.take(CHUNK_BYTES_MAX);
    this.#used = 0;
  }

  /** A chunk that is not copied, after what was written before it. */
  #own(bytes: Buffer): void {
    if (this.#used > 0) {
      // The chunk goes on behind the part that leaves now: no byte of it is written twice.
      const rest = this.#chunk.subarray(this.#used);
      this.#send(this.#chunk.subarray(0, this.#used));
      this.#chunk = rest;
      this.#used = 0;
    }
    if (!this.#asked) this.#ask();
    this.#send(bytes);
  }

  #send(bytes: Buffer): void {
    this.written += bytes.length;
    if (!this.#pipe.write(bytes)) this.full = true;
  }

  #ask(): void {
    this.#asked = true;
    this.#flushLater(this);
  }
}

function copy(target: Buffer, at: number, source: Buffer): number {
  const count = source.length;
  if (count > LOOP_BYTES_MAX) {
    target.set(source, at);
    return at + count;
  }
  for (let index = 0; index < count; index++) target[at + index] = source[index]!;
  return at + count;
}

function writeNumber(target: Buffer, at: number, value: number): number {
  if (value < 10) {
    target[at] = 48 + value;
    return at + 1;
  }
  let digits = 2;
  for (let limit = 100; value >= limit; limit *= 10) digits++;
  let rest = value;
  for (let place = at + digits - 1; place >= at; place--) {
    const tens = (rest / 10) | 0;
    target[place] = 48 + (rest - tens * 10);
    rest = tens;
  }
  return at + digits;
}
