/**
 * Framing: bytes as they come off the socket -> whole frames, parsed in place. Pure: no I/O, no
 * clock. Frames that lie whole in one chunk are never copied; one that is cut over chunks is joined
 * once. Knows frame types and sizes, not what is in them.
 */
import { ProtocolError } from '#kit';
import { FRAME_END, FRAME_HEADER_BYTES, FRAME_OVERHEAD_BYTES } from './output.ts';

export const FRAME = { method: 1, header: 2, body: 3, heartbeat: 8 } as const;

const FRAME_ERROR = 501;

/** Takes one frame: its payload lies in `buffer` from `at` to before `end`. */
export type FrameSink = (
  type: number,
  channel: number,
  buffer: Buffer,
  at: number,
  end: number,
) => void;

export class FrameReader {
  readonly #sink: FrameSink;
  /** Largest payload of a frame. */
  frameMax: number;
  /** Chunks that were not read yet; the first is read from `#at`. */
  readonly #chunks: Buffer[] = [];
  #at = 0;
  #bytes = 0;
  /** Bytes needed before anything can be read, so that a large frame is joined only once. */
  #wanted = FRAME_HEADER_BYTES;
  #held = false;
  #reading = false;

  constructor(frameMax: number, sink: FrameSink) {
    this.frameMax = frameMax;
    this.#sink = sink;
  }

  /** Bytes received and not yet given to the sink. */
  get waitingBytes(): number {
    return this.#bytes;
  }

  get held(): boolean {
    return this.#held;
  }

  /** Stops after the frame that is being given out; what comes meanwhile is kept. */
  hold(): void {
    this.#held = true;
  }

  /** Goes on after `hold`. Throws what the sink throws, and `ProtocolError` for a broken frame. */
  release(): void {
    this.#held = false;
    this.#read();
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    this.#read();
  }

  #read(): void {
    if (this.#reading) return;
    this.#reading = true;
    try {
      while (!this.#held && this.#bytes >= this.#wanted && this.#readFrame());
    } finally {
      this.#reading = false;
    }
  }

  /** False when more bytes are needed. */
  #readFrame(): boolean {
    let buffer = this.#chunks[0]!;
    if (buffer.length - this.#at < this.#wanted) buffer = this.#join();
    const at = this.#at;
    const type = buffer[at]!;
    if (type !== FRAME.method && type !== FRAME.body && type !== FRAME.header) {
      if (type !== FRAME.heartbeat) {
        throw new ProtocolError('frame type', 0, `unknown type ${type}`, FRAME_ERROR);
      }
    }
    const size = readLong(buffer, at + 3);
    const total = size + FRAME_OVERHEAD_BYTES;
    // Some clients count the payload alone; RabbitMQ lets them, so eight bytes more are fine.
    if (size > this.frameMax) {
      throw new ProtocolError(
        'frame size',
        3,
        `${size} bytes in a frame are more than frame_max ${this.frameMax}`,
        FRAME_ERROR,
      );
    }
    if (this.#bytes < total) {
      this.#wanted = total;
      return false;
    }
    if (buffer.length - at < total) {
      this.#wanted = total;
      return true;
    }
    const end = at + FRAME_HEADER_BYTES + size;
    if (buffer[end] !== FRAME_END) {
      throw new ProtocolError(
        'frame end',
        end - at,
        `octet is ${buffer[end]} and not ${FRAME_END}`,
        FRAME_ERROR,
      );
    }
    this.#wanted = FRAME_HEADER_BYTES;
    this.#bytes -= total;
    if (end + 1 === buffer.length) {
      this.#chunks.shift();
      this.#at = 0;
    } else {
      this.#at = end + 1;
    }
    const channel = (buffer[at + 1]! << 8) | buffer[at + 2]!;
    this.#sink(type, channel, buffer, at + FRAME_HEADER_BYTES, end);
    return true;
  }

  /**
   * Makes the first chunk hold what is wanted, and nothing after that: most chunks begin in the
   * middle of a frame, and only that one is copied.
   */
  #join(): Buffer {
    const chunks = this.#chunks;
    const joined = Buffer.allocUnsafe(this.#wanted);
    let bytes = chunks[0]!.copy(joined, 0, this.#at);
    let count = 1;
    while (bytes < joined.length) {
      const next = chunks[count]!;
      const taken = next.copy(joined, bytes);
      bytes += taken;
      if (taken === next.length) count++;
      else chunks[count] = next.subarray(taken);
    }
    chunks.splice(0, count, joined);
    this.#at = 0;
    return joined;
  }
}

/** Three for each message: the methods of `Buffer` check again what is known to be there. */
function readLong(buffer: Buffer, at: number): number {
  return (
    ((buffer[at]! << 24) | (buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) | buffer[at + 3]!) >>> 0
  );
}
