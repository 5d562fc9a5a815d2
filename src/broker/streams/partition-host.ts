/** What a partition is given: what it shares with all others of its broker. Types only. */
import type { Message } from '../records/message.ts';
import type { Partition } from './partition.ts';

/** What all partitions of a broker share. */
export interface PartitionHost {
  nowMs(): number;
  /** The partition has messages that are to be sealed, sooner or later. */
  opened(partition: Partition): void;
  /** Its open messages have so many bytes more, or fewer. */
  grown(bytes: number): void;
  /** Somebody waits for the commit of what is open or in flight: it must not take its time. */
  awaited(): void;
  principalOf(id: number): Message['principal'];
  /** Bound for what one compressed batch may become when it is opened. */
  readonly openedBytesMax: number;
  /** The partition holds decoded messages now; `forget` takes them back. */
  keeps(partition: Partition): void;
  /** A batch whose records cannot be read by other protocols; said once per batch and reader. */
  unreadable(partition: Partition, offset: number, reason: string): void;
  /** True when what this producer wrote at this offset, in a transaction, was aborted. */
  aborted(partition: Partition, producerId: number, offset: number): boolean;
}

/** Who keeps account of what partitions hold. */
export interface AppendLedger {
  appended: (partition: Partition, bytes: number) => void;
}
