/**
 * Collects the pieces of one write: small ones are copied side by side, large ones are passed on as
 * they are, so that neither thousands of tiny buffers nor megabytes of copies go to the system.
 */

const COPY_BELOW_BYTES = 16_384;
const BLOCK_BYTES = 262_144;
/** Blocks kept for the next write. */
const BLOCKS_KEPT = 4;

export class Gather {
  readonly #blocks: Buffer[] = [];
  #chunks: Uint8Array[] = [];
  #block = 0;
  /** The part of the current block that is filled but not yet a chunk: [from, to). */
  #from = 0;
  #to = 0;

  add(piece: Buffer): void {
    if (piece.length >= COPY_BELOW_BYTES) {
      this.#close();
      this.#chunks.push(piece);
      return;
    }
    if (this.#to + piece.length > BLOCK_BYTES) {
      this.#close();
      this.#block++;
      this.#from = 0;
      this.#to = 0;
    }
    let block = this.#blocks[this.#block];
    if (block === undefined) {
      block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
      this.#blocks.push(block);
    }
    piece.copy(block, this.#to);
    this.#to += piece.length;
  }

  /** The chunks to write. They stay valid until the next `add` after `reset`. */
  chunks(): readonly Uint8Array[] {
    this.#close();
    return this.#chunks;
  }

  reset(): void {
    this.#chunks = [];
    this.#block = 0;
    this.#from = 0;
    this.#to = 0;
    this.#blocks.length = Math.min(this.#blocks.length, BLOCKS_KEPT);
  }

  #close(): void {
    if (this.#to === this.#from) return;
    this.#chunks.push(this.#blocks[this.#block]!.subarray(this.#from, this.#to));
    this.#from = this.#to;
  }
}
