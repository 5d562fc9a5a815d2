/** One transactional id: who may write with it, and what its open transaction takes part in. */
import type { CommittedOffset, Partition } from '#broker';
import type { Timer } from '#kit';

export const STATES = [
  'Empty',
  'Ongoing',
  'PrepareCommit',
  'PrepareAbort',
  'CompleteCommit',
  'CompleteAbort',
] as const;
export type TransactionState = (typeof STATES)[number];

/** The last epoch is kept for a fencing that nobody may answer with another one. */
export const EPOCH_MAX = 32_767;

export class Transaction {
  readonly id: string;
  producerId = -1;
  /** -1: nobody has written with it. */
  epoch = -1;
  /** What the producer had before, while it may not know of the change: to answer it again. */
  lastProducerId = -1;
  lastEpoch = -1;
  timeoutMs = 0;
  state: TransactionState = 'Empty';
  startedMs = -1;
  updatedMs = 0;
  /** The epoch that follows when what is prepared is complete, with a new producer id. */
  nextProducerId = -1;
  readonly partitions = new Set<Partition>();
  /** Groups whose offsets belong to it, with these by `stream\0partition`. */
  readonly groups = new Map<string, Map<string, CommittedOffset>>();
  timer: Timer | null = null;
  /** Resolves when whoever decides about it now is done. */
  turn: Promise<void> = Promise.resolve();

  constructor(id: string) {
    this.id = id;
  }

  get isPrepared(): boolean {
    return this.state === 'PrepareCommit' || this.state === 'PrepareAbort';
  }

  /** No producer may have it after this one: the next one gets a new producer id. */
  get isExhausted(): boolean {
    return this.epoch >= EPOCH_MAX - 1;
  }
}
