/** What a check of stored data finds, and who is told. Types, and judging one record. */
import { isSealed, repairBit } from '../recovery/repair.ts';

/**
 * `damaged`: something cannot be served. `mendable`: it is served, because one flipped bit is put
 * right at each read or there is a second copy. `gap`: it cannot be served, and that is known: it
 * was set aside before.
 */
type ProblemKind = 'damaged' | 'mendable' | 'gap';

export interface StorageProblem {
  /** In the data directory. */
  readonly file: string;
  readonly position: number;
  readonly bytes: number;
  readonly what: string;
  readonly kind: ProblemKind;
  /** The log, and its offsets from `from` to before `to`; -1, 0, 0 when that is not known. */
  readonly logId: number;
  readonly from: number;
  readonly to: number;
}

/** A problem with what would mend it: these bytes at this position of the file. */
export interface Finding extends StorageProblem {
  readonly patch: { readonly position: number; readonly bytes: Buffer } | null;
}

export interface CheckWatch {
  found(finding: Finding): void;
  /** So many bytes were read. Resolves when the next ones may be. */
  passed(bytes: number): Promise<void>;
}

/** Reads bytes of what is checked, fewer at its end. */
export type ReadBytes = (from: number, length: number) => Promise<Buffer>;

export const NO_RANGE = { logId: -1, from: 0, to: 0 } as const;

/**
 * Judges a record that ends in its own CRC-32C: null when it is whole; the record put right when
 * one bit was wrong; 'damaged' otherwise.
 */
export function judge(record: Buffer): null | Buffer | 'damaged' {
  if (isSealed(record)) return null;
  const copy = Buffer.from(record);
  return repairBit(copy) ? copy : 'damaged';
}
