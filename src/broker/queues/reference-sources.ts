/** The partitions that the references of one lane name, by small numbers. */
import { assert } from '#kit';
import type { Partition } from '../streams/partition.ts';
import type { LaneState } from './queue-state.ts';
import { DEAD } from './reference-pages.ts';

export interface Source {
  readonly partition: Partition | null;
  /** In the retention index: its first offset in the lane counts. */
  pinned: boolean;
  /** References must wait for the messages' commit: another owner has them. */
  readonly apart: boolean;
}

export interface SourceHost {
  partition(logId: number): Partition | undefined;
  /** Both logs share their commits. */
  sameOwner(logA: number, logB: number): boolean;
}

/** A partition that went with its stream. */
const GONE: Source = { partition: null, pinned: true, apart: false };

export class ReferenceSources {
  readonly all: Source[] = [];
  /** Another owner has some of them. */
  anyApart = false;
  readonly #numbers = new Map<Partition | null, number>();
  /** 0: the lane does not survive a restart. */
  readonly #laneLog: number;
  readonly #state: LaneState;
  readonly #host: SourceHost;

  /** Those of a durable lane have the numbers that its state gives them. */
  constructor(laneLog: number, state: LaneState, host: SourceHost) {
    this.#laneLog = laneLog;
    this.#state = state;
    this.#host = host;
    for (const [number, logId] of state.partitionLogs.entries()) {
      const partition = host.partition(logId);
      if (partition === undefined) this.all[number] = GONE;
      else this.#add(number, partition);
    }
  }

  at(number: number): Source {
    return this.all[number]!;
  }

  known(partition: Partition): number | undefined {
    return this.#numbers.get(partition);
  }

  of(partition: Partition | null): number {
    const known = this.#numbers.get(partition);
    if (known !== undefined) return known;
    if (this.#laneLog === 0) return this.#add(this.all.length, partition);
    assert(partition !== null, 'what a durable queue takes is stored');
    return this.#add(this.#state.partitionNumber(partition.log.id), partition);
  }

  /** DEAD when there is no such partition any more. */
  ofLog(logId: number): number {
    const partition = logId < 0 ? undefined : this.#host.partition(logId);
    return partition === undefined ? DEAD : this.of(partition);
  }

  #add(number: number, partition: Partition | null): number {
    const laneLog = this.#laneLog;
    const apart =
      partition !== null && laneLog !== 0 && !this.#host.sameOwner(partition.log.id, laneLog);
    this.anyApart ||= apart;
    this.all[number] = { partition, pinned: false, apart };
    this.#numbers.set(partition, number);
    return number;
  }
}
