/** Every bound of the tiered store, with its default. Sizes in bytes, times in ms. */

const MIB = 2 ** 20;

export interface TierLimits {
  /** What uploaded objects may take on the local disk together with those that wait. */
  readonly cacheBytes: number;
  /** Memory for bytes that were fetched, and are being fetched ahead. */
  readonly readBytes: number;
  /** An end of at least this stays on the local disk: whoever opens an object reads it first. */
  readonly tailBytesMin: number;
  /** What is fetched is kept in blocks of this size. */
  readonly blockBytes: number;
  /** Largest range of one request. */
  readonly fetchBytesMax: number;
  /** How far a sequential reader is read ahead of, at most. */
  readonly aheadBytesMax: number;
  /** Sequential readers that are followed. */
  readonly readersMax: number;
  /** Objects that are uploaded at the same time. */
  readonly uploadsMax: number;
  /** Deletes in one request to the bucket. */
  readonly deletesMax: number;
  /** Pieces in which an object is copied. */
  readonly copyBytes: number;
  /** First and last pause before a bucket that is away is tried again. */
  readonly retryMs: number;
  readonly retryMsMax: number;
}

export const TIER_LIMITS: TierLimits = {
  cacheBytes: 1024 * MIB,
  readBytes: 64 * MIB,
  tailBytesMin: 16_384,
  blockBytes: MIB / 4,
  fetchBytesMax: 4 * MIB,
  aheadBytesMax: 8 * MIB,
  readersMax: 1_024,
  uploadsMax: 2,
  deletesMax: 500,
  copyBytes: MIB,
  retryMs: 1_000,
  retryMsMax: 60_000,
};
