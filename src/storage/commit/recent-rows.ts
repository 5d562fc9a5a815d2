/**
 * The index of everything that lies in write-ahead files, and the cache of recent batches. Rows are
 * numbered in append order over all logs; a log keeps the numbers of its rows. The rows of one
 * entry lie side by side here exactly as they go to disk, so sealing copies nothing.
 *
 * A batch stays in memory from its append until it is the oldest and the cache is over its bound;
 * one that is not committed yet is never let go.
 */
import type { StoredBatch } from '../log-engine.ts';
import { baseOf, bodyAtOf, bodyBytesOf, endOf, ROW_BYTES } from './row-codec.ts';

const CHUNK_ROWS = 1024;

class Chunk {
  readonly rows = Buffer.alloc(CHUNK_ROWS * ROW_BYTES);
  /** Where the bodies of the row's entry begin in its file. Set when the entry is sealed. */
  readonly bodiesAt = new Float64Array(CHUNK_ROWS);
  readonly held: (StoredBatch | null)[] = new Array<StoredBatch | null>(CHUNK_ROWS).fill(null);
}

export class RecentRows {
  /** The number that the next row gets. */
  next = 0;
  heldBytes = 0;

  readonly #cacheBytes: number;
  /** Rows before this one are forgotten; a multiple of the chunk size. */
  start = 0;
  #chunks: Chunk[] = [];
  /** Rows before this one are not in the cache. */
  #evicted = 0;

  constructor(cacheBytes: number) {
    this.#cacheBytes = cacheBytes;
  }

  /**
   * Makes room for one more row and returns its number. The caller fills it with `rowsOf`, `at`.
   */
  add(): number {
    const row = this.next++;
    if (row - this.start >= this.#chunks.length * CHUNK_ROWS) this.#chunks.push(new Chunk());
    return row;
  }

  /** The buffer that holds a row; its place in there is `at(row)`. */
  rowsOf(row: number): Buffer {
    return this.#chunk(row).rows;
  }

  at(row: number): number {
    return (row % CHUNK_ROWS) * ROW_BYTES;
  }

  base(row: number): number {
    return baseOf(this.rowsOf(row), this.at(row));
  }

  end(row: number): number {
    return endOf(this.rowsOf(row), this.at(row));
  }

  bodyBytes(row: number): number {
    return bodyBytesOf(this.rowsOf(row), this.at(row));
  }

  /** Position of the body in the write-ahead file. Only for rows of sealed entries. */
  position(row: number): number {
    const chunk = this.#chunk(row);
    return chunk.bodiesAt[row % CHUNK_ROWS]! + bodyAtOf(chunk.rows, this.at(row));
  }

  held(row: number): StoredBatch | null {
    return this.#chunk(row).held[row % CHUNK_ROWS]!;
  }

  hold(row: number, batch: StoredBatch): void {
    this.#chunk(row).held[row % CHUNK_ROWS] = batch;
    this.heldBytes += batch.bytes.length;
  }

  /** The encoded rows [first, first + count) as slices, in order. */
  slices(first: number, count: number): Buffer[] {
    const slices: Buffer[] = [];
    const end = first + count;
    for (let row = first; row < end; ) {
      const next = Math.min(end, row - (row % CHUNK_ROWS) + CHUNK_ROWS);
      const at = this.at(row);
      slices.push(this.rowsOf(row).subarray(at, at + (next - row) * ROW_BYTES));
      row = next;
    }
    return slices;
  }

  /** Says where the bodies of an entry went. */
  place(first: number, count: number, bodiesAt: number): void {
    for (let row = first; row < first + count; row++) {
      this.#chunk(row).bodiesAt[row % CHUNK_ROWS] = bodiesAt;
    }
  }

  /** Keeps the cache within its bound; rows from `committed` on stay. */
  evict(committed: number): void {
    while (this.heldBytes > this.#cacheBytes && this.#evicted < committed) {
      this.#letGo(this.#evicted++);
    }
  }

  /** Forgets the rows before `row`: they were reorganised into segments. */
  forget(row: number): void {
    while (this.#evicted < row) this.#letGo(this.#evicted++);
    while (this.#chunks.length > 0 && this.start + CHUNK_ROWS <= row) {
      this.#chunks.shift();
      this.start += CHUNK_ROWS;
    }
  }

  #letGo(row: number): void {
    const chunk = this.#chunk(row);
    const batch = chunk.held[row % CHUNK_ROWS]!;
    if (batch === null) return;
    chunk.held[row % CHUNK_ROWS] = null;
    this.heldBytes -= batch.bytes.length;
  }

  #chunk(row: number): Chunk {
    return this.#chunks[(row - this.start - (row % CHUNK_ROWS)) / CHUNK_ROWS]!;
  }
}
