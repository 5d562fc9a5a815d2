/** Every bound of the storage engine, with its default. Sizes in bytes, times in ms. */

const MIB = 2 ** 20;

export interface EngineLimits {
  /** Size of one write-ahead file. */
  readonly walFileBytes: number;
  /** Batches in one write-ahead file; bounds the memory of its index (80 bytes each). */
  readonly walRowsMax: number;
  /** Finished write-ahead files that wait for reorganisation; more makes the engine busy. */
  readonly walBacklogMax: number;
  /** Largest entry. A single batch must fit in. At most half a write-ahead file. */
  readonly entryBytesMax: number;
  /** An entry that is larger at the end of a turn of the event loop takes no more batches. */
  readonly entryBytesSoft: number;
  /** Bytes that may wait for their commit; beyond it appends are refused as `busy`. */
  readonly inFlightBytesMax: number;
  /** Memory for recent batches, which readers get without touching the disk. */
  readonly cacheBytes: number;
  /** Longest time that an `async` append stays only in memory while nothing else is written. */
  readonly asyncIntervalMs: number;
  /** `async` bytes that are written without waiting for that interval. */
  readonly asyncBytesMax: number;
  /** Pause after which a commit mark proves the last entry to be whole. */
  readonly idleMarkMs: number;
  /** Free space that is never preallocated: room for segments, checkpoints and metadata. */
  readonly reserveBytes: number;
  /** First and last pause between attempts to go on while the disk is full. */
  readonly fullRetryMs: number;
  readonly fullRetryMsMax: number;
  /** A segment with a smaller part of its bytes alive is rewritten without the dead. */
  readonly segmentLiveShare: number;
  /** A segment with more is closed, and the next one begun. */
  readonly segmentBytesMax: number;
  /**
   * A log of which so many bytes lie together in a write-ahead file, on average, is not copied out
   * of it when the file can stay as a segment.
   */
  readonly adoptedStretchBytes: number;
  /** Segments that are kept open. */
  readonly openSegmentsMax: number;
  /** Cached blocks of segment index rows, 256 rows (20 KiB) each. */
  readonly rowBlocksMax: number;
  /** Cached pages of segment directories, 32 rows (3.5 KiB) each. */
  readonly directoryPagesMax: number;
  /** What reorganisation copies in a second while nothing is appended; more when there is. */
  readonly backgroundBytesPerSecond: number;
  /** Pause after the start before files are reorganised: owners open their logs first. */
  readonly reorganiseDelayMs: number;
  /**
   * The newest full write-ahead file stays as it is for readers; after a trim, for so long only.
   */
  readonly walKeptMs: number;
  /** Pause after a trim before dead segments are looked for, so that one look serves many trims. */
  readonly sweepDelayMs: number;
  /**
   * Memory for the keys of one compaction, 24 bytes each; what does not fit waits for the next one.
   */
  readonly compactionKeyBytes: number;
  /** Pause between two compactions of a log, and between two early ends of write-ahead files. */
  readonly compactionPauseMs: number;
  /** An idempotent producer that sent nothing for so long is forgotten. */
  readonly producerExpiryMs: number;
}

export const DEFAULT_LIMITS: EngineLimits = {
  walFileBytes: 64 * MIB,
  walRowsMax: 131_072,
  walBacklogMax: 32,
  entryBytesMax: 32 * MIB,
  entryBytesSoft: 8 * MIB,
  inFlightBytesMax: 64 * MIB,
  cacheBytes: 64 * MIB,
  asyncIntervalMs: 100,
  asyncBytesMax: MIB,
  idleMarkMs: 50,
  reserveBytes: 96 * MIB,
  fullRetryMs: 100,
  fullRetryMsMax: 5_000,
  segmentLiveShare: 0.5,
  segmentBytesMax: 128 * MIB,
  adoptedStretchBytes: 12_288,
  openSegmentsMax: 512,
  rowBlocksMax: 64,
  directoryPagesMax: 4_096,
  backgroundBytesPerSecond: 24 * MIB,
  reorganiseDelayMs: 3_000,
  walKeptMs: 20_000,
  sweepDelayMs: 200,
  compactionKeyBytes: 64 * MIB,
  compactionPauseMs: 5_000,
  producerExpiryMs: 86_400_000,
};
