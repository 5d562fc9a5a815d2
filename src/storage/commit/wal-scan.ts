/**
 * Finds entries in write-ahead files that may hold anything: whole entries, torn ones, flipped
 * bits, leftovers of an earlier generation. Judges bytes only; what follows from it is decided in
 * `replay.ts`.
 */
import { crc32c } from '#kit';
import { isSealed, repairBit } from '../recovery/repair.ts';
import {
  bodiesAt,
  decodeHeader,
  ENTRY_ALIGN,
  type EntryHeader,
  entryFault,
  HEADER_BYTES,
} from './entry-codec.ts';
import { ROW_BYTES } from './row-codec.ts';
import type { WalFile } from './wal-file.ts';

const WINDOW_BYTES = 2 ** 20;
const MAGIC_BYTE = 0x52;

/** A file with a window on it, so that many small entries cost few reads. */
export class ScannedFile {
  readonly wal: WalFile;
  readonly #window: Buffer;
  #start = 0;
  #count = 0;

  constructor(wal: WalFile, window: Buffer) {
    this.wal = wal;
    this.#window = window;
  }

  /** Bytes from `position` on, fewer at the end of the file. Valid until the next call. */
  async view(position: number, length: number): Promise<Buffer> {
    if (length > this.#window.length) {
      const bytes = Buffer.allocUnsafeSlow(length);
      return bytes.subarray(0, await this.wal.file.read(bytes, position));
    }
    const inside = position >= this.#start && position + length <= this.#start + this.#count;
    if (!inside) {
      this.#start = position;
      this.#count = await this.wal.file.read(this.#window, position);
    }
    const from = position - this.#start;
    return this.#window.subarray(from, Math.min(this.#count, from + length));
  }

  forget(): void {
    this.#count = 0;
  }
}

export function makeWindow(): Buffer {
  return Buffer.allocUnsafeSlow(WINDOW_BYTES);
}

export interface FoundEntry {
  readonly header: EntryHeader;
  readonly position: number;
  /** A copy of the index rows; those beyond repair are left out. */
  readonly rows: Buffer;
  /** Index records that were put right, and such that could not be. */
  readonly repaired: number;
  readonly lostRows: number;
}

/**
 * The entry at `position` when its header and index are whole and it belongs to this generation.
 */
export async function entryAt(file: ScannedFile, position: number): Promise<FoundEntry | null> {
  const header = decodeHeader(await file.view(position, HEADER_BYTES));
  if (header === null || header.generation !== file.wal.generation) return null;
  if (position + header.entryBytes > file.wal.size) return null;
  const rows = await indexOf(file, position, header);
  if (crc32c(rows) !== header.indexCrc) return null;
  return { header, position, rows: Buffer.from(rows), repaired: 0, lostRows: 0 };
}

/** The same with one flipped bit per index record put right; for entries known to be committed. */
export async function salvageAt(file: ScannedFile, position: number): Promise<FoundEntry | null> {
  const record = Buffer.from(await file.view(position, HEADER_BYTES));
  let repaired = 0;
  if (record.length === HEADER_BYTES && !isSealed(record) && repairBit(record)) repaired++;
  const header = decodeHeader(record);
  if (header === null || header.generation !== file.wal.generation) return null;
  if (position + header.entryBytes > file.wal.size) return null;
  const index = Buffer.from(await indexOf(file, position, header));
  const kept: Buffer[] = [];
  let lostRows = 0;
  for (let at = 0; at < index.length; at += ROW_BYTES) {
    const row = index.subarray(at, at + ROW_BYTES);
    if (isSealed(row)) kept.push(row);
    else if (repairBit(row)) repaired += kept.push(row) > 0 ? 1 : 0;
    else lostRows++;
  }
  return { header, position, rows: Buffer.concat(kept), repaired, lostRows };
}

/** Null when every byte of the entry is as it was written. */
export async function faultOf(file: ScannedFile, entry: FoundEntry): Promise<string | null> {
  return entryFault(await file.view(entry.position, entry.header.entryBytes));
}

/**
 * Position of the first header at or after `from` with a sequence above `after`, or -1. Mostly it
 * looks through all that was never written, after a crash: while it looks at one piece, the next
 * one is read.
 */
export async function findHeader(file: ScannedFile, from: number, after: number): Promise<number> {
  const { size } = file.wal;
  if (from + HEADER_BYTES > size) return -1;
  const bytes = Math.min(WINDOW_BYTES, size - from);
  const windows = [Buffer.allocUnsafeSlow(bytes), Buffer.allocUnsafeSlow(bytes)];
  const reads = [file.wal.file.read(windows[0]!, from)];
  for (let position = from, piece = 0; ; position += bytes, piece++) {
    const count = await reads[piece % 2]!;
    const isLast = count < bytes || position + bytes >= size;
    if (!isLast) {
      const next = file.wal.file.read(windows[(piece + 1) % 2]!, position + bytes);
      next.catch(() => {});
      reads[(piece + 1) % 2] = next;
    }
    const found = headerIn(windows[piece % 2]!.subarray(0, count), file.wal.generation, after);
    if (found >= 0) return position + found;
    if (isLast) return -1;
  }
}

/** Where in these bytes, which begin where an entry may, the first such header is; -1: nowhere. */
function headerIn(bytes: Buffer, generation: number, after: number): number {
  for (let at = 0; at + HEADER_BYTES <= bytes.length; at += ENTRY_ALIGN) {
    if (bytes[at] !== MAGIC_BYTE) continue;
    const header = decodeHeader(bytes.subarray(at, at + HEADER_BYTES));
    if (header?.generation === generation && header.sequence > after) return at;
  }
  return -1;
}

async function indexOf(file: ScannedFile, position: number, header: EntryHeader): Promise<Buffer> {
  const first = bodiesAt(header.rowCount);
  const view = await file.view(position, first);
  return view.subarray(HEADER_BYTES, first);
}
