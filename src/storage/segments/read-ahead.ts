/**
 * Reads runs for a job that takes them in the order in which they lie: a window on each segment
 * serves thousands of short runs with few reads. Not for readers, which come from anywhere.
 */

import { ROW_BYTES } from '../commit/row-codec.ts';
import type { ByteSource } from './body-reader.ts';
import type { RunSource } from './pieces.ts';
import type { LogRun, Segment } from './segment.ts';
import type { SegmentStore } from './segment-store.ts';

const WINDOW_BYTES = 2 ** 18;

interface Window {
  from: number;
  bytes: Buffer;
}

export class ReadAhead implements RunSource {
  readonly #store: SegmentStore;
  readonly #windows = new Map<Segment, Window>();

  constructor(store: SegmentStore) {
    this.#store = store;
  }

  async *blocks(run: LogRun): AsyncGenerator<Buffer> {
    const end = run.rowsAt + run.rowCount * ROW_BYTES;
    if (end - run.bodiesAt > WINDOW_BYTES) {
      yield* this.#store.blocks(run);
      return;
    }
    // The rows come after the bodies, and are wanted first.
    await this.use(run.segment, (source) => source.read(run.bodiesAt, end - run.bodiesAt));
    yield* this.#store.blocks(run, (segment, work) => this.use(segment, work));
  }

  use<T>(segment: Segment, work: (source: ByteSource) => Promise<T>): Promise<T> {
    return this.#store.use(segment, (source) =>
      work({ read: (from, length) => this.#read(segment, source, from, length) }),
    );
  }

  async #read(segment: Segment, source: ByteSource, from: number, length: number): Promise<Buffer> {
    const known = this.#windows.get(segment);
    if (known !== undefined && from >= known.from) {
      const at = from - known.from;
      if (at + length <= known.bytes.length) return known.bytes.subarray(at, at + length);
    }
    if (length > WINDOW_BYTES) return source.read(from, length);
    const bytes = await source.read(from, WINDOW_BYTES);
    this.#windows.set(segment, { from, bytes });
    return bytes.subarray(0, length);
  }
}
