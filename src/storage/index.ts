/**
 * storage: the log engine. Many logs of batches with dense offsets share write-ahead files; one
 * commit makes everything durable that waits. Knows bytes, logs and offsets, not their meaning.
 */
export { checkOnline } from './check/check-online.ts';
export type { StorageProblem } from './check/check-report.ts';
export { checkStorage, isSound, type StorageCheck } from './check/check-storage.ts';
export { type EngineOptions, openEngine } from './engine.ts';
export type { Files, OpenFile } from './files/files.ts';
export { realFiles } from './files/real-files.ts';
export { VirtualFiles } from './files/virtual-files.ts';
export { DEFAULT_LIMITS, type EngineLimits } from './limits.ts';
export {
  type Appended,
  type BatchFacts,
  type BatchKind,
  type Committed,
  type Compaction,
  type DamagedRange,
  type Durability,
  type EngineHealth,
  type KeyedRecords,
  LOG_IDS_PER_SLOT,
  type LogEngine,
  type LogStat,
  type RecoveryReport,
  type ShardLog,
  SLOT_COUNT,
  type StoredBatch,
  slotOf,
  type Upkeep,
} from './log-engine.ts';
export type { ObjectStore } from './objects/object-store.ts';
export { openS3Store } from './objects/open-s3.ts';
export type { S3Place } from './objects/s3-http.ts';
export { REMOTE_PREFIX } from './objects/tier-codec.ts';
export {
  openTieredStore,
  type RemoteStore,
  type TieredStore,
  type TierStatus,
} from './objects/tiered-store.ts';
export { joinOwners } from './slot-owners.ts';
