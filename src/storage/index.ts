/**
 * storage: the log engine: segments, entries, index, commit. Knows bytes, logs and offsets, not their
 * meaning.
 */
export type { Files, OpenFile } from './files.ts';
export {
  type Appended,
  type BatchFacts,
  type BatchKind,
  type Committed,
  type DamagedRange,
  type Durability,
  type EngineHealth,
  type LogEngine,
  type LogStat,
  LOG_IDS_PER_SLOT,
  type RecoveryReport,
  type ShardLog,
  SLOT_COUNT,
  slotOf,
  type StoredBatch,
} from './log-engine.ts';
