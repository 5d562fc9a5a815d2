/**
 * Recovery of what lies in write-ahead files: entry headers and index rows are read, bodies are
 * not, but for those of the last entry. A torn tail is cut at the last whole entry; a bad entry
 * before a valid later one is damage, which is reported and stepped over. Nothing is skipped
 * silently.
 */

import {
  bodiesAt,
  decodeHeader,
  ENTRY_ALIGN,
  FLAG_MORE,
  HEADER_BYTES,
} from '../commit/entry-codec.ts';
import type { RecentRows } from '../commit/recent-rows.ts';
import {
  appendTimeOf,
  attributesOf,
  baseOf,
  bodyBytesOf,
  CONTROL,
  endOf,
  KIND,
  kindOf,
  logOf,
  ROW_BYTES,
  readFacts,
} from '../commit/row-codec.ts';
import type { WalFile } from '../commit/wal-file.ts';
import {
  entryAt,
  type FoundEntry,
  faultOf,
  findHeader,
  makeWindow,
  ScannedFile,
  salvageAt,
} from '../commit/wal-scan.ts';
import type { DamagedRange } from '../log-engine.ts';
import type { Shard } from '../shard.ts';
import type { DamageReports } from './damage.ts';

export interface ReplayParts {
  readonly rows: RecentRows;
  readonly damage: DamageReports;
  readonly logs: Map<number, Shard>;
  readonly makeLog: (id: number) => Shard;
  /** Entries up to this one are in the checkpoint: only their places are needed. */
  readonly checkpointed: number;
  /** For logs that the checkpoint holds in a later state: their last entry in it. */
  readonly ages: ReadonlyMap<number, number>;
  /** Entries up to this one were committed. */
  readonly known: number;
  /** True when nothing is known of what came before: the first entry may have any sequence. */
  readonly blind: boolean;
  /** True without a checkpoint: a log begins where it is first seen. */
  readonly headless: boolean;
  /** The entry after which the engine stopped in order; -1 when it did not. */
  readonly cleanAfter: number;
}

interface Pending {
  readonly file: ScannedFile;
  readonly entry: FoundEntry;
}

export class Replay {
  entries = 0;
  tornBytes = 0;
  damaged: DamagedRange[] = [];
  /** The sequence that the next entry must have. */
  expected: number;

  readonly #parts: ReplayParts;
  #blind: boolean;
  /**
   * A whole-looking entry that nothing valid follows yet: it may be torn. Before it, those that do
   * not count without it.
   */
  #pending: Pending[] = [];

  constructor(parts: ReplayParts, expected: number) {
    this.#parts = parts;
    this.#blind = parts.blind;
    this.expected = expected;
  }

  /** @param wals files that were not reorganised, by generation */
  async run(wals: readonly WalFile[]): Promise<void> {
    const window = makeWindow();
    const files = wals.map((wal) => new ScannedFile(wal, window));
    for (let index = 0; index < files.length; index++) {
      // The window is shared: it holds bytes of another file.
      for (const other of files) other.forget();
      if (await this.#isEnd(files, index)) break;
    }
    await this.#settleTail();
    if (this.expected <= this.#parts.known) {
      this.#lost(this.expected, this.#parts.known, wals.at(-1)?.path ?? '', 'missing');
      this.expected = this.#parts.known + 1;
    }
    // A log that the checkpoint left out because it was removed may seem to have a gap until its
    // removal is replayed.
    const { logs, damage } = this.#parts;
    this.damaged = this.damaged.filter(({ logId }) => logId < 0 || logs.has(logId));
    for (const range of this.damaged) damage.report(range);
  }

  /** Goes through one file. @returns true when nothing comes after it, in other files neither */
  async #isEnd(files: readonly ScannedFile[], index: number): Promise<boolean> {
    const file = files[index]!;
    let position = 0;
    while (position < file.wal.size) {
      const entry = await entryAt(file, position);
      if (entry !== null && (this.#blind || entry.header.sequence === this.expected)) {
        this.#advance(file, entry);
      } else {
        const next = await this.#later(files, index, position);
        if (next === 'end') {
          await this.#torn(file, position, entry);
          return true;
        }
        if (next === 'next file') return false;
        const salvaged = await salvageAt(file, position);
        if (salvaged === null || salvaged.header.sequence !== this.expected) {
          const lost = next.sequence > this.expected && !this.#blind;
          if (lost) this.#lost(this.expected, next.sequence - 1, file.wal.path, 'bad entry');
          this.#applyPending();
          this.expected = next.sequence;
          if (next.position < 0) return false;
          position = next.position;
          continue;
        }
        this.#tellSalvage(file, salvaged);
        this.#advance(file, salvaged);
        position += salvaged.header.entryBytes;
        continue;
      }
      position += entry.header.entryBytes;
    }
    return false;
  }

  #advance(file: ScannedFile, entry: FoundEntry): void {
    const last = this.#pending.at(-1);
    if (last !== undefined && !goesOn(last.entry)) this.#applyPending();
    this.#pending.push({ file, entry });
    this.#blind = false;
    this.expected = entry.header.sequence + 1;
  }

  /**
   * What comes after `position`, where no expected entry is: the next file in order, a valid entry
   * from further on (position -1: in a later file), or nothing.
   */
  async #later(
    files: readonly ScannedFile[],
    index: number,
    position: number,
  ): Promise<'end' | 'next file' | { sequence: number; position: number }> {
    if (await this.#startsNext(files, index)) return 'next file';
    if (this.expected - 1 === this.#parts.cleanAfter) {
      return index + 1 < files.length ? 'next file' : 'end';
    }
    const from = position + ENTRY_ALIGN;
    for (let at = index; at < files.length; at++) {
      const file = files[at]!;
      for (const other of files) other.forget();
      const found = await findHeader(file, at === index ? from : 0, this.expected - 1);
      if (found < 0) continue;
      const entry = await salvageAt(file, found);
      if (entry === null) continue;
      return { sequence: entry.header.sequence, position: at === index ? found : -1 };
    }
    return 'end';
  }

  /** True when a following file begins with exactly the expected entry. */
  async #startsNext(files: readonly ScannedFile[], index: number): Promise<boolean> {
    for (const file of files.slice(index + 1)) {
      for (const other of files) other.forget();
      const entry = await entryAt(file, 0);
      if (entry?.header.sequence === this.expected) {
        for (const other of files) other.forget();
        return true;
      }
    }
    for (const other of files) other.forget();
    return false;
  }

  /** Everything ends here. Bytes of an entry that was being written are cut. */
  async #torn(file: ScannedFile, position: number, entry: FoundEntry | null): Promise<void> {
    const header = entry?.header ?? decodeHeader(await file.view(position, HEADER_BYTES));
    if (header === null || header.generation !== file.wal.generation) return;
    if (header.sequence !== this.expected || header.sequence <= this.#parts.known) return;
    await this.#cut(file, position, header.entryBytes);
  }

  /** Takes a torn entry away for good: a later start must not judge it anew. */
  async #cut(file: ScannedFile, position: number, bytes: number): Promise<void> {
    this.tornBytes += bytes;
    await file.wal.file.writeThrough([Buffer.alloc(ENTRY_ALIGN)], position);
  }

  /** The last entry of all has nothing after it that proves it whole: its bodies are read. */
  async #settleTail(): Promise<void> {
    const last = this.#pending.at(-1);
    if (last === undefined) return;
    const { file, entry } = last;
    const known = entry.header.sequence <= this.#parts.known;
    file.forget();
    if (!known && (goesOn(entry) || (await faultOf(file, entry)) !== null))
      return this.#cutPending();
    if (!known && entry.header.sequence !== this.#parts.cleanAfter) await rewrite(file, entry);
    this.#applyPending();
  }

  /** From the last to the first: a crash meanwhile leaves a tail that is cut again. */
  async #cutPending(): Promise<void> {
    for (const { file, entry } of this.#pending.splice(0).reverse()) {
      this.expected = entry.header.sequence;
      await this.#cut(file, entry.position, entry.header.entryBytes);
    }
  }

  #applyPending(): void {
    for (const { file, entry } of this.#pending.splice(0)) this.#apply(file, entry);
  }

  #apply(file: ScannedFile, entry: FoundEntry): void {
    this.entries++;
    const { rows } = this.#parts;
    const first = rows.next;
    for (let at = 0; at < entry.rows.length; at += ROW_BYTES) {
      const row = rows.add();
      entry.rows.copy(rows.rowsOf(row), rows.at(row), at, at + ROW_BYTES);
    }
    rows.place(first, rows.next - first, bodiesOf(entry));
    if (file.wal.lastSequence < 0) file.wal.firstRow = first;
    file.wal.endRow = rows.next;
    file.wal.lastSequence = entry.header.sequence;
    file.wal.written = entry.position + entry.header.entryBytes;
    for (let row = first; row < rows.next; row++) this.#applyRow(row, entry, file.wal.path);
  }

  #applyRow(row: number, entry: FoundEntry, path: string): void {
    const { rows: recent, logs, makeLog, checkpointed, ages } = this.#parts;
    const [rows, at] = [recent.rowsOf(row), recent.at(row)];
    const id = logOf(rows, at);
    const base = baseOf(rows, at);
    const old = entry.header.sequence <= (ages.get(id) ?? checkpointed);
    if (kindOf(rows, at) === KIND.control) {
      if (!old) this.#applyControl(id, attributesOf(rows, at), base, path);
      return;
    }
    let log = logs.get(id);
    if (old) {
      // Logs that the checkpoint does not know were removed.
      if (log !== undefined && endOf(rows, at) > log.startOffset) {
        log.addPlace(row, bodyBytesOf(rows, at));
      }
      return;
    }
    if (log === undefined) {
      log = makeLog(id);
      if (this.#parts.headless) log.startOffset = base;
      if (this.#parts.headless) log.endOffset = base;
    }
    if (base < log.endOffset) {
      this.#damage(id, base, endOf(rows, at), path, 'two batches claim these offsets');
      return;
    }
    // Without a checkpoint a log's start may be known before its batches are.
    const next = Math.max(log.endOffset, log.startOffset);
    if (base > next) this.#damage(id, next, base, path, 'index rows are lost');
    log.endOffset = endOf(rows, at);
    log.highWatermark = log.endOffset;
    log.remember(readFacts(rows, at), base, appendTimeOf(rows, at));
    if (log.endOffset <= log.startOffset) return;
    log.addPlace(row, bodyBytesOf(rows, at));
    log.bytes += bodyBytesOf(rows, at);
    log.batches++;
  }

  #applyControl(id: number, what: number, offset: number, path: string): void {
    const log = this.#parts.logs.get(id);
    if (what === CONTROL.remove) {
      this.#parts.logs.delete(id);
    } else if (log !== undefined && what === CONTROL.trim) {
      if (offset > log.startOffset) log.trimTo(offset, this.#parts.rows);
    } else if (what === CONTROL.head && offset > (log?.endOffset ?? 0)) {
      const known = log ?? this.#parts.makeLog(id);
      this.#damage(id, known.endOffset, offset, path, 'index rows are lost');
      known.endOffset = offset;
      known.highWatermark = offset;
    }
  }

  #tellSalvage(file: ScannedFile, entry: FoundEntry): void {
    if (entry.repaired > 0) this.#parts.damage.repaired(file.wal.path, entry.position);
    if (entry.lostRows === 0) return;
    const { sequence } = entry.header;
    this.#lost(sequence, sequence, file.wal.path, `${entry.lostRows} index rows of an entry`);
  }

  /** Entries whose logs are not known. Gaps in logs tell later which offsets were in them. */
  #lost(from: number, to: number, file: string, reason: string): void {
    this.#damage(-1, from, to + 1, file, `entries lost: ${reason}`);
  }

  #damage(logId: number, from: number, to: number, file: string, reason: string): void {
    this.damaged.push({ logId, from, to, file, reason });
  }
}

/** True for an entry that does not count without the next one. */
function goesOn(entry: FoundEntry): boolean {
  return (entry.header.flags & FLAG_MORE) !== 0;
}

/** Position in the file where the bodies of an entry begin. */
function bodiesOf(entry: FoundEntry): number {
  return entry.position + bodiesAt(entry.header.rowCount);
}

/**
 * Its sync may have failed before the process was killed: then it is whole in the system's cache
 * only, and no later sync would write it, because its pages count as clean. Writing it again does.
 */
async function rewrite(file: ScannedFile, { position, header }: FoundEntry): Promise<void> {
  const bytes = await file.view(position, header.entryBytes);
  await file.wal.file.writeThrough([bytes], position);
}
