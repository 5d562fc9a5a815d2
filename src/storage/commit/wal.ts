/**
 * The write-ahead files: where the next entry goes, the file after it, and those that wait to be
 * reorganised. One write at a time. Not the commit protocol (`committer.ts`), not recovery.
 */
import { assert, crc32c, type Log, type Timer, type Timers } from '#kit';
import { type Files, isDiskFull } from '../files/files.ts';
import { Gather } from '../files/gather.ts';
import type { EngineLimits } from '../limits.ts';
import type { Entry } from './entry.ts';
import {
  bodiesAt,
  encodeHeader,
  encodeTrailer,
  entryBytes,
  HEADER_BYTES,
  TRAILER_BYTES,
} from './entry-codec.ts';
import type { Instruments } from './instruments.ts';
import type { RecentRows } from './recent-rows.ts';
import { preallocate, WalFile, walName } from './wal-file.ts';
import type { WalSink } from './wal-sink.ts';

/** Recycled files that are kept for later; further ones are removed. */
const POOL_MAX = 1;
/** Zeros for the next file run ahead of the entries in this one by this factor, or they hurry. */
const ZEROS_AHEAD = 4;
/** Zeros before the entries of the same file, or they hurry. */
const ZEROS_BEFORE = 8 * 2 ** 20;
/** Pause after a step of zeros of 1 MiB that are in no hurry. */
const ZEROS_PAUSE_MS = 40;

export interface WalParts {
  readonly files: Files;
  readonly directory: string;
  readonly limits: EngineLimits;
  readonly timers: Timers;
  readonly rows: RecentRows;
  readonly log: Log;
  readonly instruments: Instruments;
  readonly nowMs: () => number;
  /** A file is full, and all of its entries are committed or about to be. */
  readonly onFinished: () => void;
  /** Space for the next file was not found, or was found again. */
  readonly onSpace: (full: boolean) => void;
  /** The disk failed otherwise. */
  readonly onFailed: (error: unknown) => void;
}

export class Wal implements WalSink {
  current: WalFile | null = null;
  /** Full files, oldest first. */
  finished: WalFile[] = [];
  full = false;
  /** Number of this run, for entry headers. */
  writer = 0;

  readonly #parts: WalParts;
  readonly #gather = new Gather();
  #spare: WalFile | null = null;
  #pool: WalFile[] = [];
  #nextGeneration = 1;
  #preparing: Promise<void> | null = null;
  #firstFill: Promise<void> | null = null;
  #spareWaiters: { resolve: () => void; reject: (error: unknown) => void }[] = [];
  /** Ends the pause of the zeros at once; there is one such pause at a time. */
  #hurryZeros: (() => void) | null = null;
  /** An entry waits for space. */
  #waits = false;
  #givingUp = false;
  #retry: Timer | null = null;
  #retryMs: number;
  #closed = false;
  /** Why the first commit failed that did; no later one is tried. */
  #broken: { readonly error: unknown } | null = null;

  constructor(parts: WalParts) {
    this.#parts = parts;
    this.#retryMs = parts.limits.fullRetryMs;
  }

  get nextGeneration(): number {
    return this.#nextGeneration;
  }

  get room(): number {
    return this.current?.room ?? 0;
  }

  get backlog(): number {
    return this.finished.length;
  }

  get bytes(): number {
    let bytes = (this.current?.size ?? 0) + (this.#spare?.size ?? 0);
    for (const file of this.finished) bytes += file.size;
    for (const file of this.#pool) bytes += file.size;
    return bytes;
  }

  /**
   * Begins a new file after what recovery found; `reusable` are whole files without live entries.
   */
  async start(nextGeneration: number, finished: WalFile[], reusable: WalFile[]): Promise<void> {
    this.#nextGeneration = nextGeneration;
    this.finished = finished;
    this.#pool = reusable;
    this.#prepare();
    await this.#preparing;
    if (this.#spare !== null) this.#rollTo(this.#spare, this.#parts.rows.next);
  }

  async commit(entry: Entry): Promise<void> {
    if (this.#broken !== null) throw this.#broken.error;
    try {
      await this.#write(entry);
    } catch (error) {
      this.#broken = { error };
      throw error;
    }
  }

  /** The file that holds a row of a committed entry. */
  fileOf(row: number): WalFile {
    const { current, finished } = this;
    if (current !== null && row >= current.firstRow) return current;
    let index = finished.length - 1;
    while (index > 0 && row < finished[index]!.firstRow) index--;
    return finished[index]!;
  }

  /** Gives a reorganised file back for new entries, once nobody reads it any more. */
  recycle(file: WalFile): void {
    this.finished = this.finished.filter((other) => other !== file);
    const give = (): void => {
      file.retired = null;
      if (this.#closed) void file.file.close();
      else if (this.#pool.length < POOL_MAX || this.full) this.#pool.push(file);
      else void this.#discard(file);
      this.kick();
    };
    if (file.readers === 0) give();
    else file.retired = give;
  }

  /** Lets go of a file that is a segment from now on, once nobody reads it here any more. */
  handOver(file: WalFile): void {
    this.finished = this.finished.filter((other) => other !== file);
    const close = (): void => {
      file.retired = null;
      void file.file.close().catch((error: unknown) => this.#parts.onFailed(error));
    };
    if (file.readers === 0) close();
    else file.retired = close;
  }

  /** Ends the file that is being filled with the next entry; all that is full is reorganised. */
  endEarly(): void {
    if (this.current !== null && this.current.written > 0) this.current.early = true;
    for (const file of this.finished) file.early = true;
  }

  /** Tries again now to prepare the next file: space may have returned. */
  kick(): void {
    this.#retry?.cancel();
    this.#retry = null;
    this.#prepare();
  }

  /** From here on an entry that finds no space fails instead of waiting: the engine is stopping. */
  giveUpWhenFull(): void {
    this.#givingUp = true;
    if (this.full) this.kick();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#retry?.cancel();
    if (this.current !== null) this.current.abandoned = true;
    this.#hurryZeros?.();
    await this.#firstFill;
    await this.#preparing;
    const files = [this.current, this.#spare, ...this.finished, ...this.#pool];
    for (const file of files) await file?.file.close();
  }

  async #write(entry: Entry): Promise<void> {
    const bytes = entryBytes(entry.rowCount, entry.bodyBytes);
    const file = await this.#fileFor(entry, bytes);
    const position = file.written;
    this.#parts.rows.place(entry.firstRow, entry.rowCount, position + bodiesAt(entry.rowCount));
    this.#encode(entry, bytes, file.generation);
    try {
      await file.file.writeThrough(this.#gather.chunks(), position);
    } finally {
      this.#gather.reset();
    }
    this.#parts.instruments.walWritten.value += bytes;
    file.written = position + bytes;
    file.endRow = entry.endRow;
    file.lastSequence = entry.sequence;
  }

  #encode(entry: Entry, bytes: number, generation: number): void {
    const slices = this.#parts.rows.slices(entry.firstRow, entry.rowCount);
    let indexCrc = 0;
    for (const slice of slices) indexCrc = crc32c(slice, indexCrc);
    const header = encodeHeader({
      flags: entry.flags,
      writer: this.writer,
      generation,
      rowCount: entry.rowCount,
      sequence: entry.sequence,
      timeMs: this.#parts.nowMs(),
      entryBytes: bytes,
      indexCrc,
      bodyBytes: entry.bodyBytes,
    });
    const used = bodiesAt(entry.rowCount) + entry.bodyBytes + TRAILER_BYTES;
    this.#gather.add(header.subarray(0, HEADER_BYTES));
    for (const slice of slices) this.#gather.add(slice);
    for (const body of entry.bodies) this.#gather.add(body);
    this.#gather.add(Buffer.alloc(bytes - used));
    this.#gather.add(encodeTrailer(header));
  }

  async #fileFor(entry: Entry, bytes: number): Promise<WalFile> {
    const { walRowsMax, walFileBytes } = this.#parts.limits;
    assert(bytes <= walFileBytes, 'an entry fits into a write-ahead file');
    for (;;) {
      const file = this.current;
      const rows = file === null ? 0 : entry.endRow - file.firstRow;
      const ends = file !== null && file.written > 0 && (rows > walRowsMax || file.early);
      if (file === null || file.room < bytes || ends) {
        while (this.#spare === null) await this.#inHurry(this.#spareReady());
        this.#rollTo(this.#spare, entry.firstRow);
      } else if (file.filled >= file.written + bytes) {
        return file;
      } else {
        await this.#inHurry(file.filling);
      }
    }
  }

  /** Waits for space that zeros are being written to: they do not rest meanwhile. */
  async #inHurry(space: Promise<void> | null): Promise<void> {
    this.#waits = true;
    this.#hurryZeros?.();
    try {
      await space;
    } finally {
      this.#waits = false;
    }
  }

  /** After a step of zeros: a pause for others, unless entries are near. */
  #rest(file: WalFile): Promise<void> | undefined {
    const { current } = this;
    const needed =
      file === current ? file.written + ZEROS_BEFORE : (current?.written ?? 0) * ZEROS_AHEAD;
    if (this.#waits || this.#closed || file.filled < needed) return undefined;
    return new Promise((go) => {
      const end = (): void => {
        timer.cancel();
        this.#hurryZeros = null;
        go();
      };
      const timer = this.#parts.timers.after(ZEROS_PAUSE_MS, end);
      this.#hurryZeros = end;
    });
  }

  #rollTo(file: WalFile, firstRow: number): void {
    const last = this.current;
    file.firstRow = firstRow;
    file.endRow = firstRow;
    this.current = file;
    this.#spare = null;
    if (last !== null) {
      this.finished.push(last);
      this.#parts.onFinished();
    }
    this.#prepare();
  }

  #spareReady(): Promise<void> {
    this.#prepare();
    return new Promise((resolve, reject) => this.#spareWaiters.push({ resolve, reject }));
  }

  #prepare(): void {
    if (this.#preparing !== null || this.#closed || this.#spare !== null) return;
    this.#preparing = this.#makeSpare().then(
      () => {
        this.#preparing = null;
        this.#found();
      },
      (error: unknown) => {
        this.#preparing = null;
        if (isDiskFull(error)) this.#missing(error);
        else if (!this.#closed) this.#parts.onFailed(error);
      },
    );
  }

  #found(): void {
    this.#retryMs = this.#parts.limits.fullRetryMs;
    this.#setFull(false);
    const waiters = this.#spareWaiters;
    this.#spareWaiters = [];
    for (const waiter of waiters) waiter.resolve();
  }

  #missing(error: unknown): void {
    this.#setFull(true);
    if (this.#givingUp) {
      for (const waiter of this.#spareWaiters.splice(0)) waiter.reject(error);
    }
    if (this.#closed) return;
    this.#retry = this.#parts.timers.after(this.#retryMs, () => this.kick());
    this.#retryMs = Math.min(this.#retryMs * 2, this.#parts.limits.fullRetryMsMax);
  }

  #setFull(full: boolean): void {
    if (this.full === full) return;
    this.full = full;
    this.#parts.onSpace(full);
  }

  async #makeSpare(): Promise<void> {
    const { files, directory, limits, instruments } = this.#parts;
    const generation = this.#nextGeneration;
    const path = `${directory}/${walName(generation)}`;
    const old = this.#pool.pop();
    if (old !== undefined) {
      await files.rename(old.path, path);
      this.#nextGeneration++;
      this.#spare = new WalFile(generation, path, old.file, old.size, old.size);
      return;
    }
    // One file at a time gets its zeros.
    await this.#firstFill;
    const { free } = await files.space(directory);
    if (free < limits.walFileBytes + limits.reserveBytes) {
      throw Object.assign(new Error(`only ${free} bytes are free`), { code: 'ENOSPC' });
    }
    const file = await files.open(path, true);
    const spare = new WalFile(generation, path, file, limits.walFileBytes, 0);
    const filled = preallocate(spare, instruments.walPrepared, () => this.#rest(spare));
    if (this.current === null) {
      // Nothing can be written yet: begin at once, the zeros run ahead of the entries.
      this.#firstFill = filled.catch((error: unknown) => {
        if (!isDiskFull(error) && !this.#closed) this.#parts.onFailed(error);
      });
    } else {
      await filled.catch(async (error: unknown) => {
        await file.close();
        await files.remove(path);
        throw error;
      });
    }
    this.#nextGeneration++;
    this.#spare = spare;
  }

  async #discard(file: WalFile): Promise<void> {
    try {
      await file.file.close();
      await this.#parts.files.remove(file.path);
    } catch (error) {
      this.#parts.log.warn('a write-ahead file could not be removed', {
        file: file.path,
        error: String(error),
      });
    }
  }
}
