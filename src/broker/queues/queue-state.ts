/**
 * What is known of a queue beside its messages: which positions are finished, wait, or were
 * delivered before, and how many ended in which way. It changes by steps; steps are saved as they
 * happen, and applied again after a restart (`queue-codec.ts` has both forms).
 */
import { AckState } from './ack-state.ts';
import { BitPages } from './bit-pages.ts';
import { ReferenceSpans } from './reference-spans.ts';

/** How a message left a queue; the numbers are stored. */
export const ENDED = {
  acked: 0,
  /** Handed on as a dead letter. */
  dead: 1,
  expired: 2,
  /** Given up: rejected, over a limit, purged. */
  dropped: 3,
  /** There is nothing to deliver: compacted, trimmed, damaged, never committed. */
  gone: 4,
} as const;

export type Ended = (typeof ENDED)[keyof typeof ENDED];
export const ENDED_COUNT = 5;

/** One lane. Positions here are the lane's own numbers. */
export class LaneState {
  /** Where the lane began. */
  readonly start: number;
  readonly acks: AckState;
  /** They wait for a time before they are ready again; not finished. */
  readonly delayed = new BitPages();
  /** Deliveries that came back, of what is not finished. */
  readonly attempts = new Map<number, number>();
  /** Positions below may have been delivered. */
  deliveredTo: number;
  /** Of what is not finished; 0 in a lane that does not know sizes. */
  bytes = 0;
  /** Part of `bytes`: what is delayed. */
  delayedBytes = 0;
  /** Log ids of the partitions that references name, by the number that `spans` uses. */
  readonly partitionLogs: number[] = [];
  readonly spans = new ReferenceSpans();
  /** References below are in `bytes` and `spans`. */
  summedTo = 0;

  constructor(start: number) {
    this.start = start;
    this.acks = new AckState(start);
    this.deliveredTo = start;
  }

  /** @returns how many of them were not finished before */
  finish(from: number, count: number, bytes: number): number {
    this.bytes -= bytes;
    if (this.attempts.size > 0) this.#forgetAttempts(from, count);
    return this.acks.add(from, from + count);
  }

  delay(position: number, bytes: number): void {
    if (this.delayed.add(position) > 0) this.delayedBytes += bytes;
  }

  /** False when it was not delayed. */
  undelay(position: number, bytes: number): boolean {
    if (!this.delayed.delete(position)) return false;
    this.delayedBytes -= bytes;
    return true;
  }

  partitionNumber(logId: number): number {
    const known = this.partitionLogs.indexOf(logId);
    return known >= 0 ? known : this.partitionLogs.push(logId) - 1;
  }

  #forgetAttempts(from: number, count: number): void {
    if (count === 1) this.attempts.delete(from);
    else {
      for (const position of [...this.attempts.keys()]) {
        if (position >= from && position < from + count) this.attempts.delete(position);
      }
    }
  }
}

export class QueueState {
  readonly ended: number[] = new Array<number>(ENDED_COUNT).fill(0);
  /** By number of the lane. */
  readonly lanes = new Map<number, LaneState>();
  /** Steps in records of the state log before this offset are in here. */
  through = 0;

  lane(number: number): LaneState {
    let lane = this.lanes.get(number);
    if (lane === undefined) {
      lane = new LaneState(0);
      this.lanes.set(number, lane);
    }
    return lane;
  }
}
