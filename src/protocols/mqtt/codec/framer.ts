/**
 * Cuts a byte stream into packets, whatever the chunks are. Packets that lie in one chunk are
 * read in place; one that spans chunks is put together once, in a buffer that grows with what has
 * really arrived, so announcing a large packet costs the sender's bytes and not our memory.
 */
import { ProtocolError } from '#kit';
import { malformed, type PacketReader } from './reader.ts';
import { REASON } from './reason-codes.ts';

/** First size of the buffer for a packet that spans chunks, as a multiple of what is there. */
const GROWTH = 4;

export class Framer {
  #bytes: Buffer | null = null;
  #at = 0;
  #end = 0;
  /**
   * True when `#bytes` is ours, with room behind `#end`; otherwise it is a chunk of the socket.
   */
  #owned = false;
  /** Size of the packet at `#at` as far as known, to not look again at every small chunk. */
  #needed = 0;
  /** Size of the packet that `next` gave last. */
  #size = 0;

  /** Bytes that wait to be cut. */
  get waiting(): number {
    return this.#end - this.#at;
  }

  /**
   * First byte of the next packet, -1 while there is none: whoever is not wanted is known by it.
   */
  get firstByte(): number {
    return this.#bytes === null || this.waiting === 0 ? -1 : this.#bytes[this.#at]!;
  }

  push(chunk: Buffer): void {
    const unread = this.#end - this.#at;
    if (this.#bytes === null || unread === 0) {
      this.#bytes = chunk;
      this.#at = 0;
      this.#end = chunk.length;
      this.#owned = false;
      return;
    }
    const total = unread + chunk.length;
    if (!this.#owned || this.#end + chunk.length > this.#bytes.length) {
      const size = Math.max(total, Math.min(this.#needed, total * GROWTH));
      const grown = Buffer.allocUnsafeSlow(size);
      this.#bytes.copy(grown, 0, this.#at, this.#end);
      this.#bytes = grown;
      this.#at = 0;
      this.#end = unread;
      this.#owned = true;
    }
    chunk.copy(this.#bytes, this.#end);
    this.#end += chunk.length;
  }

  /**
   * Fills `reader` with the next whole packet, and answers false when more bytes are needed. The
   * packet stays the next one until `consume`: a packet that cannot be taken now is met again.
   * Throws 0x95 as soon as the length is known to be over the limit (M15), 0x81 for a bad length.
   */
  next(reader: PacketReader, packetBytesMax: number): boolean {
    const bytes = this.#bytes;
    const start = this.#at;
    const unread = this.#end - start;
    if (bytes === null || unread < 2 || unread < this.#needed) return false;
    let at = start + 1;
    let length = 0;
    let shift = 0;
    for (;;) {
      if (at >= this.#end) return false;
      const byte = bytes[at++]!;
      length |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        reader.padded = byte === 0 && shift > 0;
        break;
      }
      shift += 7;
      if (shift === 28) throw malformed('remaining length', 1, 'has more than four bytes');
    }
    const size = at - start + length;
    if (size > packetBytesMax) {
      const detail = `packet of ${size} bytes, at most ${packetBytesMax} are allowed`;
      throw new ProtocolError('remaining length', 1, detail, REASON.packetTooLarge);
    }
    if (unread < size) {
      this.#needed = size;
      return false;
    }
    reader.bytes = bytes;
    reader.truncated = false;
    reader.header = bytes[start]!;
    reader.start = at;
    reader.at = at;
    reader.end = start + size;
    this.#size = size;
    return true;
  }

  /** The packet that `next` gave is done with. */
  consume(): void {
    this.#at += this.#size;
    this.#size = 0;
    this.#needed = 0;
    if (this.#at === this.#end) {
      this.#bytes = null;
      this.#owned = false;
      this.#at = 0;
      this.#end = 0;
    }
  }

  clear(): void {
    this.#bytes = null;
    this.#at = 0;
    this.#end = 0;
    this.#needed = 0;
    this.#owned = false;
  }
}
