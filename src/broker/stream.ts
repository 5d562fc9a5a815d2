/** A stream: a named log with partitions, and what its owner set for it. */
import type { Durability } from '#storage';
import type { Partition } from './partition.ts';

export interface StreamSettings {
  readonly durability: Durability;
  /** Records older than this may go; -1 = no limit. */
  readonly retentionMs: number;
  /** What a partition may keep; -1 = no limit. */
  readonly retentionBytes: number;
  /**
   * For streams that were made for a queue: acknowledged records go this long after their
   * acknowledgement, however the other limits stand; -1 = not such a stream.
   */
  readonly retentionAckedMs: number;
  readonly messageBytesMax: number;
  /** Settings of protocols that the broker only keeps. */
  readonly config: Readonly<Record<string, string>>;
}

export const DAY_MS = 86_400_000;

export const DEFAULT_SETTINGS: StreamSettings = {
  durability: 'fsync',
  retentionMs: 7 * DAY_MS,
  retentionBytes: 1 << 30,
  retentionAckedMs: -1,
  messageBytesMax: 16 << 20,
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
