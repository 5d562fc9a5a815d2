/** Writes one segment front to back: runs in ascending order of their logs, then the directory. */
import type { SegmentName } from './checkpoint-codec.ts';
import type { Files, OpenFile } from './files.ts';
import { Gather } from './gather.ts';
import { baseOf, countOf, markDamaged, maxTimeOf, moveRow, ROW_BYTES } from './row-codec.ts';
import { Segment } from './segment.ts';
import { encodeRun, encodeSegmentTrailer, segmentFileName } from './segment-codec.ts';

/** One segment is written at a time, under this name until it is whole. */
const NEW_NAME = 'segment.new';
const WRITE_BYTES = 2 ** 20;
const FIRST_ROWS = 64;

export class SegmentWriter {
  /** Bytes written so far. */
  position = 0;

  readonly #files: Files;
  readonly #folder: string;
  readonly #file: OpenFile;
  readonly #gather = new Gather();
  readonly #directory: Buffer[] = [];
  #buffered = 0;
  #rows = Buffer.allocUnsafe(FIRST_ROWS * ROW_BYTES);
  #rowCount = 0;
  #bodiesAt = 0;
  #maxTimeMs = -1;
  #minTimeMs = Number.MAX_SAFE_INTEGER;

  private constructor(files: Files, folder: string, file: OpenFile) {
    this.#files = files;
    this.#folder = folder;
    this.#file = file;
  }

  static async create(files: Files, folder: string): Promise<SegmentWriter> {
    const path = `${folder}/${NEW_NAME}`;
    await files.remove(path);
    return new SegmentWriter(files, folder, await files.open(path, true));
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
      ...{ removed, logStart },
    };
    this.#directory.push(encodeRun(run));
    await this.#put(Buffer.from(rows));
    this.#bodiesAt = this.position;
    this.#rowCount = 0;
    this.#maxTimeMs = -1;
    this.#minTimeMs = Number.MAX_SAFE_INTEGER;
  }

  /** Makes it durable under its name. */
  async finish(name: SegmentName, lastSequence: number): Promise<Segment> {
    const directory = Buffer.concat(this.#directory);
    const directoryAt = this.position;
    const runCount = this.#directory.length;
    await this.#put(directory);
    await this.#put(encodeSegmentTrailer({ name, runCount, directoryAt, lastSequence }));
    await this.#flush();
    await this.#file.sync();
    await this.#file.close();
    const path = `${this.#folder}/${segmentFileName(name)}`;
    await this.#files.rename(`${this.#folder}/${NEW_NAME}`, path);
    return new Segment(this.#folder, name, this.position, lastSequence, directory);
  }

  /** Leaves nothing behind. */
  async abandon(): Promise<void> {
    await this.#file.close();
    await this.#files.remove(`${this.#folder}/${NEW_NAME}`);
  }

  async #put(bytes: Buffer): Promise<void> {
    this.#gather.add(bytes);
    this.position += bytes.length;
    this.#buffered += bytes.length;
    if (this.#buffered >= WRITE_BYTES) await this.#flush();
  }

  async #flush(): Promise<void> {
    await this.#file.write(this.#gather.chunks(), this.position - this.#buffered);
    this.#gather.reset();
    this.#buffered = 0;
  }
}
