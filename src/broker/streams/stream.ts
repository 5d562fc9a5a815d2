/** A stream: a named log with partitions, and what its owner set for it. */
import type { Durability } from '#storage';
import type { Partition } from './partition.ts';

/**
 * What goes from a stream by itself: what is too old or too much, records that a later one of the
 * same key replaced, both, or nothing.
 */
export const CLEANUPS = ['delete', 'compact', 'compact,delete', 'delete,compact', ''] as const;
export type Cleanup = (typeof CLEANUPS)[number];

export interface StreamSettings {
  readonly durability: Durability;
  readonly cleanup: Cleanup;
  /** Records older than this may go; -1 = no limit. */
  readonly retentionMs: number;
  /** What a partition may keep; -1 = no limit. */
  readonly retentionBytes: number;
  /**
   * For streams that were made for a queue: acknowledged records go this long after their
   * acknowledgement, however the other limits stand; -1 = not such a stream.
   */
  readonly retentionAckedMs: number;
  /** Records that are younger than this are not compacted. */
  readonly compactMinLagMs: number;
  /** No record waits for longer than this to be compacted. */
  readonly compactMaxLagMs: number;
  /** Share of what was not compacted yet, 0 to 1, from which on a partition is compacted. */
  readonly compactDirtyRatio: number;
  /** How long a tombstone stays after it was first compacted over. */
  readonly tombstoneMs: number;
  /** A compacted stream: records older than this leave its head, which is not compacted. */
  readonly headMs: number;
  /** A compacted stream: its head is no larger than this. */
  readonly headBytes: number;
  /** Records have the time of their append, not that of their producer. */
  readonly appendTime: boolean;
  readonly messageBytesMax: number;
  /** Its older records lie in the object store as well, and may lie only there (KIP-405). */
  readonly remote: boolean;
  /** Settings of protocols that the broker only keeps. */
  readonly config: Readonly<Record<string, string>>;
}

export const DAY_MS = 86_400_000;

export const DEFAULT_SETTINGS: StreamSettings = {
  durability: 'fsync',
  cleanup: 'delete',
  retentionMs: 7 * DAY_MS,
  retentionBytes: 1 << 30,
  retentionAckedMs: -1,
  compactMinLagMs: 0,
  compactMaxLagMs: Number.MAX_SAFE_INTEGER,
  compactDirtyRatio: 0.5,
  tombstoneMs: DAY_MS,
  headMs: 7 * DAY_MS,
  headBytes: 1 << 30,
  appendTime: false,
  messageBytesMax: 16 << 20,
  remote: false,
  config: {},
};

export interface Stream {
  readonly name: string;
  /** A spelling of the name in `[a-zA-Z0-9._-]{1,249}`; the name itself where it is one. */
  readonly safeName: string;
  /** Never used again, even by a stream of the same name. */
  readonly id: string;
  readonly partitions: readonly Partition[];
  readonly settings: StreamSettings;
  /** Internal: not listed by protocols, not found by addresses. */
  readonly hidden: boolean;
  readonly createdAtMs: number;
}

export function isCompacted({ cleanup }: StreamSettings): boolean {
  return cleanup !== 'delete' && cleanup !== '';
}

/** True when its records go by age and size. */
export function isRetained({ cleanup }: StreamSettings): boolean {
  return cleanup !== 'compact' && cleanup !== '';
}

/** What does not fit together, or null. */
export function settingsFault(settings: StreamSettings): string | null {
  if (!isCompacted(settings)) return null;
  if (settings.durability === 'memory') return 'a stream in memory cannot be compacted';
  return settings.compactMinLagMs > settings.compactMaxLagMs
    ? 'the shortest compaction lag is above the longest'
    : null;
}
