/** The shape of one question of the benchmark: which load, in which sizes, against whom. */

import type { LoadResult, LoadSpec } from './load/spec.ts';
import type { Running, Side } from './peers/peer.ts';

/** What a row promises beside one peer. */
export interface Target {
  readonly peer: Side;
  /** Ours over the peer's (latency: the peer's over ours), so that more is better for us. */
  readonly atLeast: number;
  /** Which figure of a latency row; without it the median. */
  readonly of?: Percentile;
}

export type Percentile = 'p50' | 'p99' | 'p999';

/** What a load that is a program of somebody else is told. */
export interface ToolRun {
  readonly running: Running;
  readonly name: string;
  readonly runMs: number;
  readonly recordShare: number;
}

export interface Row {
  /** What differs within the question: `128 B`. */
  readonly label: string;
  readonly load: Pick<LoadSpec, 'load' | 'payloadBytes' | 'window'> &
    Partial<Pick<LoadSpec, 'batch' | 'records' | 'publishers' | 'subscribers' | 'perSecond'>>;
  readonly targets?: readonly Target[];
  /** A peer's own tool in place of our load, which then only names the protocol and the sizes. */
  readonly tool?: (run: ToolRun) => Promise<LoadResult>;
}

export interface Question {
  readonly name: string;
  /** The question in words. */
  readonly title: string;
  /** `rate`: messages each second, more is better. `latency`: in microseconds, less is. */
  readonly measures: 'rate' | 'latency';
  readonly rows: readonly Row[];
  readonly peers: readonly Side[];
  /** Questions of a group are asked only when it, or they, are named. */
  readonly group?: 'tools';
  /**
   * A backlog is stored once and every side stays up: each round reads all of it (`whole`), or
   * takes its share away (`share`).
   */
  readonly backlog?: 'whole' | 'share';
  /** The protocol at which the load consumes, where that is another one. */
  readonly out?: 'kafka';
}
