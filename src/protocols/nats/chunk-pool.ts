/**
 * Output chunks of all NATS connections. Large ones are used again once the kernel has taken their
 * bytes; small ones are cut from Node's own pool and left to the garbage collector.
 */

/** Sizes that an output chunk may have; a busy connection climbs to the last. */
const CHUNK_BYTES = [512, 8 * 1024, 64 * 1024] as const;
export const CHUNK_BYTES_MAX = 64 * 1024;

const SPARE_MAX = 64;

export class ChunkPool {
  readonly #spare: Buffer[] = [];

  take(bytesMin: number): Buffer {
    for (const size of CHUNK_BYTES) {
      if (size < bytesMin || size === CHUNK_BYTES_MAX) continue;
      return Buffer.allocUnsafe(size);
    }
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES_MAX);
  }

  /** Gives back a chunk whose bytes nobody reads any more. */
  give(chunk: Buffer): void {
    if (chunk.length === CHUNK_BYTES_MAX && this.#spare.length < SPARE_MAX) this.#spare.push(chunk);
  }
}
