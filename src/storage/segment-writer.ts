/** Writes one segment front to back: runs in ascending order of their logs, then the directory. */
import type { SegmentName } from './checkpoint-codec.ts';
import type { EngineCore } from './engine.ts';
import { Gather } from './gather.ts';
import type { WriteChunks } from './object-store.ts';
import {
  appendTimeOf,
  baseOf,
  bodyBytesOf,
  countOf,
  horizonOf,
  isCompacted,
  markDamaged,
  maxTimeOf,
  moveRow,
  ROW_BYTES,
} from './row-codec.ts';
import { Segment } from './segment.ts';
import {
  type Dirt,
  encodeRun,
  encodeSegmentTrailer,
  SEGMENT_TRAILER_BYTES,
  segmentFileName,
} from './segment-codec.ts';

const WRITE_BYTES = 2 ** 20;
const FIRST_ROWS = 64;

/** Makes a segment of what `fill` writes; durable when it has resolved, not there if it rejects. */
export async function writeSegment(
  core: EngineCore,
  name: SegmentName,
  lastSequence: number,
  fill: (writer: SegmentWriter) => Promise<void>,
): Promise<Segment> {
  let directory: Buffer = Buffer.alloc(0);
  let bytes = 0;
  await core.objects.put(segmentFileName(name), async (write) => {
    const writer = new SegmentWriter(write);
    await fill(writer);
    core.instruments.reorganised.add(writer.position);
    directory = await writer.finish(name, lastSequence);
    bytes = writer.position;
    return directory.length + SEGMENT_TRAILER_BYTES;
  });
  return new Segment(core.options.directory, name, bytes, lastSequence, directory);
}

export class SegmentWriter {
  /** Bytes written so far. */
  position = 0;

  readonly #write: WriteChunks;
  readonly #gather = new Gather();
  readonly #directory: Buffer[] = [];
  #buffered = 0;
  #rows = Buffer.allocUnsafe(FIRST_ROWS * ROW_BYTES);
  #rowCount = 0;
  #bodiesAt = 0;
  #maxTimeMs = -1;
  #minTimeMs = Number.MAX_SAFE_INTEGER;

  constructor(write: WriteChunks) {
    this.#write = write;
  }

  /** Adds a batch to the run that is open. `body` null: it was damaged and is left out. */
  async add(rows: Buffer, at: number, body: Buffer | null): Promise<void> {
    const to = this.#rowCount * ROW_BYTES;
    if (to === this.#rows.length) {
      this.#rows = Buffer.concat([this.#rows, Buffer.allocUnsafe(this.#rows.length)]);
    }
    moveRow(rows, at, this.#rows, to, this.position - this.#bodiesAt);
    if (body === null) markDamaged(this.#rows, to);
    this.#rowCount++;
    this.#maxTimeMs = Math.max(this.#maxTimeMs, maxTimeOf(rows, at));
    this.#minTimeMs = Math.min(this.#minTimeMs, maxTimeOf(rows, at));
    if (body !== null) await this.#put(body);
  }

  /** True when the open run has batches. */
  get runHasBatches(): boolean {
    return this.#rowCount > 0;
  }

  /** Ends the run of a log. Without batches it only records where the log starts. */
  async endRun(log: number, logStart: number, removed: boolean): Promise<void> {
    const rows = this.#rows.subarray(0, this.#rowCount * ROW_BYTES);
    const last = rows.length - ROW_BYTES;
    const run = {
      log,
      firstOffset: rows.length === 0 ? logStart : baseOf(rows, 0),
      endOffset: rows.length === 0 ? logStart : baseOf(rows, last) + countOf(rows, last),
      minTimeMs: this.#minTimeMs,
      maxTimeMs: this.#maxTimeMs,
      bodiesAt: this.#bodiesAt,
      bodyBytes: this.position - this.#bodiesAt,
      rowsAt: this.position,
      rowCount: this.#rowCount,
      ...{ removed, logStart, dirt: dirtOf(rows) },
    };
    this.#directory.push(encodeRun(run));
    await this.#put(Buffer.from(rows));
    this.#bodiesAt = this.position;
    this.#rowCount = 0;
    this.#maxTimeMs = -1;
    this.#minTimeMs = Number.MAX_SAFE_INTEGER;
  }

  /** Writes what closes the segment; its directory. */
  async finish(name: SegmentName, lastSequence: number): Promise<Buffer> {
    const directory = Buffer.concat(this.#directory);
    const directoryAt = this.position;
    const runCount = this.#directory.length;
    await this.#put(directory);
    await this.#put(encodeSegmentTrailer({ name, runCount, directoryAt, lastSequence }));
    await this.#flush();
    return directory;
  }

  async #put(bytes: Buffer): Promise<void> {
    this.#gather.add(bytes);
    this.position += bytes.length;
    this.#buffered += bytes.length;
    if (this.#buffered >= WRITE_BYTES) await this.#flush();
  }

  async #flush(): Promise<void> {
    await this.#write(this.#gather.chunks());
    this.#gather.reset();
    this.#buffered = 0;
  }
}

function dirtOf(rows: Buffer): Dirt {
  let [bytes, sinceMs, untilMs, horizon] = [0, -1, -1, 0];
  for (let at = 0; at < rows.length; at += ROW_BYTES) {
    if (isCompacted(rows, at)) {
      const own = horizonOf(rows, at);
      if (own > 0 && (horizon === 0 || own < horizon)) horizon = own;
      continue;
    }
    bytes += bodyBytesOf(rows, at);
    untilMs = Math.max(untilMs, appendTimeOf(rows, at));
    if (sinceMs < 0) sinceMs = appendTimeOf(rows, at);
  }
  return { bytes, sinceMs, untilMs, horizon };
}
