/**
 * Reads every entry of write-ahead files, bodies too, and holds it against its checksums. Which of
 * the files count is decided by who calls. A last entry that is not whole may be torn and never
 * acknowledged: that is told to the caller, not called damage.
 */

import {
  bodiesAt,
  ENTRY_ALIGN,
  encodeTrailer,
  entryFault,
  HEADER_BYTES,
  TRAILER_BYTES,
} from '../commit/entry-codec.ts';
import {
  baseOf,
  bodyAtOf,
  bodyBytesOf,
  endOf,
  isIntact,
  KIND,
  kindOf,
  logOf,
  ROW_BYTES,
} from '../commit/row-codec.ts';
import type { WalFile } from '../commit/wal-file.ts';
import {
  entryAt,
  type FoundEntry,
  findHeader,
  makeWindow,
  ScannedFile,
  salvageAt,
} from '../commit/wal-scan.ts';
import { type CheckWatch, type Finding, judge, NO_RANGE } from './check-report.ts';

export interface WalCheck {
  readonly entries: number;
  /** Of the last entry that was found; -1 without any. */
  readonly lastSequence: number;
  /** Bytes at the very end that may be a torn entry. */
  readonly tornBytes: number;
}

/**
 * @param wals files with live entries, by generation
 * @param expected sequence of the first entry that must be there; -1 when that is not known
 * @param committed sequence up to which every entry is known to have been committed
 * @param end in the last file, where entries that count end; others are not looked at
 */
export async function checkWals(
  wals: readonly WalFile[],
  expected: number,
  committed: number,
  watch: CheckWatch,
  end = Number.POSITIVE_INFINITY,
): Promise<WalCheck> {
  const check = new WalsCheck(watch, expected, committed);
  for (const [index, wal] of wals.entries()) {
    await check.file(wal, index === wals.length - 1 ? end : Number.POSITIVE_INFINITY);
  }
  check.finish();
  const { entries, lastSequence, tornBytes } = check;
  return { entries, lastSequence, tornBytes };
}

class WalsCheck {
  entries = 0;
  lastSequence = -1;
  tornBytes = 0;
  readonly #watch: CheckWatch;
  readonly #committed: number;
  #expected: number;
  /** What was found of an entry that nothing valid follows yet: it may be torn. */
  #pending: Finding[] = [];
  /** The end of a file that held no entry any more, should entries be missing. */
  #end: { file: string; position: number; bytes: number } | null = null;

  constructor(watch: CheckWatch, expected: number, committed: number) {
    this.#watch = watch;
    this.#expected = expected;
    this.#committed = committed;
  }

  async file(wal: WalFile, end: number): Promise<void> {
    const file = new ScannedFile(wal, makeWindow());
    const name = wal.path.slice(wal.path.lastIndexOf('/') + 1);
    let position = 0;
    while (position < Math.min(end, wal.size)) {
      const entry = (await entryAt(file, position)) ?? (await salvageAt(file, position));
      if (entry !== null && entry.header.sequence >= this.#expected) {
        this.#follows(name, position, entry.header.sequence);
        await this.#entry(file, name, entry);
        if (entry.header.sequence <= this.#committed) this.#settle();
        position += entry.header.entryBytes;
        this.#expected = entry.header.sequence + 1;
        this.lastSequence = entry.header.sequence;
        continue;
      }
      file.forget();
      const next = await findHeader(file, position + ENTRY_ALIGN, this.#expected - 1);
      if (next < 0) {
        this.#end = { file: name, position, bytes: ENTRY_ALIGN };
        return;
      }
      this.#settle();
      this.#damaged(name, position, next - position, 'entries');
      const found = (await entryAt(file, next)) ?? (await salvageAt(file, next));
      this.#expected = found?.header.sequence ?? this.#expected;
      this.#end = null;
      position = next;
    }
    this.#end = { file: name, position, bytes: 0 };
  }

  finish(): void {
    // Whatever is wrong with the last entry: it may be that it was never whole.
    for (const { bytes } of this.#pending) this.tornBytes += bytes;
    this.#pending = [];
  }

  /** A valid entry proves that what came before it was committed. */
  #follows(name: string, position: number, sequence: number): void {
    this.#settle();
    if (this.#expected >= 0 && sequence > this.#expected) {
      const { file, position: at, bytes } = this.#end ?? { file: name, position, bytes: 0 };
      this.#damaged(file, at, bytes, `${sequence - this.#expected} entries are missing`);
    }
    this.#end = null;
  }

  #settle(): void {
    for (const finding of this.#pending) this.#watch.found(finding);
    this.#pending = [];
  }

  #damaged(file: string, position: number, bytes: number, what: string): void {
    this.#watch.found({ file, position, bytes, what, kind: 'damaged', ...NO_RANGE, patch: null });
  }

  async #entry(file: ScannedFile, name: string, entry: FoundEntry): Promise<void> {
    this.entries++;
    const { position, header } = entry;
    const bytes = Buffer.from(await file.view(position, header.entryBytes));
    await this.#watch.passed(bytes.length);
    if (entryFault(bytes) === null) return;
    const note = (
      at: number,
      length: number,
      what: string,
      patch: Buffer | null,
      range: { logId: number; from: number; to: number } = NO_RANGE,
    ): void => {
      this.#pending.push({
        file: name,
        ...{ position: position + at, bytes: length, what },
        kind: patch === null ? 'damaged' : 'mendable',
        ...range,
        patch: patch === null ? null : { position: position + at, bytes: patch },
      });
    };
    const whole = bytes.subarray(0, HEADER_BYTES);
    const mended = judge(whole);
    if (Buffer.isBuffer(mended)) note(0, HEADER_BYTES, 'entry header', mended);
    const first = bodiesAt(header.rowCount);
    for (let at = HEADER_BYTES; at < first; at += ROW_BYTES) {
      const record = bytes.subarray(at, at + ROW_BYTES);
      const verdict = judge(record);
      if (verdict === 'damaged') {
        note(at, ROW_BYTES, 'index row', null);
        continue;
      }
      const row = verdict ?? record;
      const range = { logId: logOf(row, 0), from: baseOf(row, 0), to: endOf(row, 0) };
      if (verdict !== null) note(at, ROW_BYTES, 'index row', verdict, range);
      if (kindOf(row, 0) === KIND.control) continue;
      const from = first + bodyAtOf(row, 0);
      const body = bytes.subarray(from, from + bodyBytesOf(row, 0));
      if (!isIntact(row, 0, body)) note(from, body.length, 'body', null, range);
    }
    const padding = first + header.bodyBytes;
    const trailerAt = header.entryBytes - TRAILER_BYTES;
    if (bytes.subarray(padding, trailerAt).some((byte) => byte !== 0)) {
      note(padding, trailerAt - padding, 'padding', Buffer.alloc(trailerAt - padding));
    }
    const trailer = encodeTrailer(Buffer.isBuffer(mended) ? mended : whole);
    if (!bytes.subarray(trailerAt).equals(trailer)) {
      note(trailerAt, TRAILER_BYTES, 'entry trailer', trailer);
    }
  }
}
