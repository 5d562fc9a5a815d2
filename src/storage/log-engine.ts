/**
 * What the broker sees of storage: logs of batches with dense offsets, one commit for all of them.
 * Types only. Storage knows bytes, logs and offsets, not their meaning (`docs/architecture.md`).
 */
import type { BrokerError } from '#kit';

/**
 * What an acknowledgement means: `memory` lives in RAM only and is gone after a restart; `async` is
 * acknowledged before it is on disk and synced within a bounded interval; `fsync` is acknowledged
 * when it is on disk.
 */
export type Durability = 'memory' | 'async' | 'fsync';

/** Slots group logs that are owned together; a log's slot is part of its id. */
export const SLOT_COUNT = 1024;
/** Log ids are `slot * LOG_IDS_PER_SLOT + n`, 0 < n < LOG_IDS_PER_SLOT: safe integers. */
export const LOG_IDS_PER_SLOT = 2 ** 40;

export function slotOf(logId: number): number {
  return Math.floor(logId / LOG_IDS_PER_SLOT);
}

/** DATA: a RecordBatch v2. STATE: opaque bytes of an internal state log, `count` offsets long. */
export type BatchKind = 'data' | 'state';

/**
 * What the entry index keeps of a batch beside its bytes: enough to rebuild the owner's state
 * without reading bodies.
 */
export interface BatchFacts {
  readonly kind: BatchKind;
  /** Number of offsets that the batch takes. At least 1. */
  readonly count: number;
  /** Largest record time in ms since 1970; -1 when there is none. */
  readonly maxTimestampMs: number;
  /** True when the server packed the batch: only then is its envelope honoured. */
  readonly serverPacked: boolean;
  /** Small number that says through which protocol it came. Storage gives it no meaning. */
  readonly origin: number;
  /** Small number of the principal that wrote it; 0 = unknown. Storage gives it no meaning. */
  readonly principal: number;
  /** Idempotent producer, or -1. Then epoch and sequence are checked before the append. */
  readonly producerId: number;
  readonly producerEpoch: number;
  /** Sequence number of the first record (KIP-98), or -1. */
  readonly baseSequence: number;
  /**
   * Attribute bits of the batch that readers of the index need (compression, transactional,
   * control).
   */
  readonly attributes: number;
}

/**
 * A batch as read back: its bytes are exactly what was appended, but for what the owner patches.
 */
export interface StoredBatch extends BatchFacts {
  readonly baseOffset: number;
  readonly appendTimeMs: number;
  /** A view on a cache or a fresh buffer; never changed after it was handed out. */
  readonly bytes: Buffer;
}

/** Told once per append, in append order, when the batch is committed or has failed. */
export type Committed = (error: BrokerError | null) => void;

export interface Appended {
  readonly baseOffset: number;
  /**
   * True when this producer sent the same sequence before: `baseOffset` is that of the first time.
   */
  readonly duplicate: boolean;
}

export interface LogStat {
  readonly startOffset: number;
  /** The offset that the next append gets; includes appends in flight. */
  readonly endOffset: number;
  /** End of what is committed and readable. Never goes back. */
  readonly highWatermark: number;
  /** Bytes that the readable batches take on disk (or in memory). */
  readonly bytes: number;
  readonly batches: number;
}

/**
 * The records of a batch, one after the other, as compaction looks at them. `next`, `key` and
 * `result` throw a ProtocolError or BrokerError when the records cannot be read.
 */
export interface KeyedRecords {
  /** Steps to the next record that has a key; false when there is none. */
  next(): boolean;
  readonly offset: number;
  readonly key: Buffer;
  readonly isTombstone: boolean;
  /** Takes the record out of the batch. */
  drop(): void;
  /**
   * The batch without the records that were dropped, each other one at its offset, spanning the
   * same range of offsets; null when no record is left. Not asked when nothing was dropped.
   * @param turn lets others work: a batch may have many megabytes
   */
  result(turn: () => Promise<void>): Promise<Buffer | null>;
}

/**
 * What the owner of a compacted log asks for: only the last record of each key is kept, the young
 * end stays as it is. Storage knows no keys; it decides when and what, and asks the owner to open
 * batches.
 */
export interface Compaction {
  /** Records that are younger than this stay as they are. Counted from their append. */
  readonly minLagMs: number;
  /** A record that waits for longer than this makes the log due, whatever its share. */
  readonly maxLagMs: number;
  /** Share of bytes not compacted yet from which on the log is due: 0 to 1. */
  readonly dirtyRatio: number;
  /** How long tombstones stay after they were first compacted over. */
  readonly tombstoneMs: number;
  /** What was appended longest ago or is more than this leaves the head, which is not compacted. */
  readonly headMs: number;
  readonly headBytes: number;
  /** Records from this offset on stay as they are, because someone needs each; or Infinity. */
  neededFrom(): number;
  /**
   * Null when the batch stays as it is, whatever is in it. Throws or rejects when it cannot be
   * read.
   */
  open(
    batch: StoredBatch,
    turn: () => Promise<void>,
  ): KeyedRecords | null | Promise<KeyedRecords | null>;
}

/** What the owner of a log wants of it once it is reorganised. Not stored: set at each open. */
export interface Upkeep {
  /** Its segments go to the remote object store, when the engine was given one. */
  readonly remote: boolean;
  readonly compaction: Compaction | null;
}

export interface ShardLog {
  readonly id: number;
  upkeep: Upkeep;
  readonly startOffset: number;
  readonly endOffset: number;
  readonly highWatermark: number;
  /**
   * Gives the batch its offsets now and stores it with the next commit. The bytes belong to the
   * engine from here on: for DATA it writes base offset (bytes 0 to 7) and leader epoch (12 to 15,
   * value 0) into them; the rest is stored as it is. Appends made in one synchronous stretch of
   * code land in one entry: they are committed together or not at all. `committed` is called when
   * the durability class of the log is met.
   * @throws BrokerError `busy` (too many bytes in flight), `storage-full`, `storage-failed`,
   *   `closing`, `out-of-order-sequence`, `stale-producer`: nothing was appended.
   */
  append(bytes: Buffer, facts: BatchFacts, committed?: Committed): Appended;
  /**
   * Committed batches from the one that contains `offset` on, until `bytesMax` is passed; at least
   * one batch when there is one. Returned directly when they lie in memory, as a promise otherwise.
   * Empty when `offset` is the high watermark.
   * @throws (or rejects with) BrokerError `offset-out-of-range`; `damaged` with
   *   `details: { from, to }`, the range of offsets that cannot be served; `unknown-stream` when
   *   the log was removed meanwhile; `storage-failed` or `remote-unavailable` when the bytes cannot
   *   be read now.
   */
  read(offset: number, bytesMax: number): StoredBatch[] | Promise<StoredBatch[]>;
  /** First offset of the first batch that has a record with time >= `timestampMs`, or null. */
  findByTime(timestampMs: number): Promise<StoredBatch | null>;
  /**
   * Calls after every commit that moved the high watermark, and after `startOffset` moved.
   * @returns a function that ends it.
   */
  tail(listener: (log: ShardLog) => void): () => void;
  /**
   * The first batch boundary from which at most `bytes` remain up to the high watermark (which
   * itself is the answer when not even the last batch fits). For retention by size; need not be
   * exact to a batch where data was reorganised, but never keeps less than asked.
   */
  offsetForBytes(bytes: number): number | Promise<number>;
  /**
   * Drops everything before `offset`; durable with the next checkpoint or commit. Frees disk later.
   */
  trim(offset: number): void;
  /** Drops the log and all its data. The id is not used again. */
  remove(): void;
  stat(): LogStat;
  /** Idempotent producers that are remembered. */
  readonly producerCount: number;
  /** The newest epoch and sequences of each of them, for tools. */
  producers(): { producerId: number; epoch: number; lastSequence: number; lastTimeMs: number }[];
}

/**
 * A range of one log that recovery or a read found damaged. Offsets: from inclusive, to exclusive.
 * Log -1: a file or entries (then `from` and `to` are entry sequences) of which the logs are not
 * known; what is missing in each log is told by further ranges.
 */
export interface DamagedRange {
  readonly logId: number;
  readonly from: number;
  readonly to: number;
  readonly file: string;
  readonly reason: string;
}

export interface RecoveryReport {
  readonly milliseconds: number;
  readonly entriesReplayed: number;
  /** Bytes of a torn tail that were cut from the newest file; they were never acknowledged. */
  readonly tornBytes: number;
  readonly damaged: readonly DamagedRange[];
}

export type EngineHealth = 'ok' | 'full' | 'failed';

export interface LogEngine {
  readonly report: RecoveryReport;
  readonly health: EngineHealth;
  /** Called when `health` changes. */
  onHealth(listener: (health: EngineHealth, reason: string) => void): void;
  /** True while more bytes are in flight than allowed; `append` answers `busy`. */
  readonly busy: boolean;
  /** Calls once when the engine is not busy any more. */
  onRoom(call: () => void): void;
  /** A log by id; a new id makes an empty log. Opening costs no I/O. */
  open(id: number, durability: Durability): ShardLog;
  has(id: number): boolean;
  /**
   * Says that something waits to be appended: the next seal will ask for it. Cheap, repeatable.
   * The seal happens at the end of this turn of the event loop, or when the commit in flight ends.
   */
  wake(): void;
  /**
   * Called synchronously just before an entry is sealed: the place where open record batches and
   * changed state are appended, so that one commit carries as much as was there.
   */
  beforeSeal(append: () => void): void;
  /**
   * Runs `append` as a hook of `beforeSeal`: what belongs to appends that were accepted finds room
   * even while the engine is busy.
   */
  sealing(append: () => void): void;
  /**
   * True when what is appended to both logs in one synchronous stretch is committed together: their
   * slots have one owner. Otherwise the second append must wait for the commit of the first.
   */
  sameOwner(logA: number, logB: number): boolean;
  /**
   * Resolves when everything appended until now is committed. Rejects when it cannot be any more.
   */
  flushed(): Promise<void>;
  /**
   * Writes a checkpoint now: heads, producers, positions. A later start reads only what follows.
   */
  checkpoint(): Promise<void>;
  /**
   * Called when the engine begins a checkpoint: state owners save theirs; awaited before it is
   * valid.
   */
  onCheckpoint(save: () => Promise<void>): void;
  /** Bytes on disk, in use and free for reuse. */
  usage(): { dataBytes: number; walBytes: number };
  /** Commits what waits, writes a checkpoint, closes files. */
  close(): Promise<void>;
}
