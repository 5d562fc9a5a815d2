/**
 * The shape of a contest: sides do the same thing in turns, and what each needed for it is compared
 * in any unit. A question asks for one rate or latency under a load; a contest may start servers
 * again, let a peer's own tool measure, or look at memory.
 */

import type { Ratio } from './figures.ts';
import type { Running, Side } from './peers/peer.ts';

export type Unit = '/s' | 'bytes' | 'MB' | 'ms' | 'us';

/** One figure of one turn. */
export interface Measured {
  readonly what: string;
  readonly value: number;
  /** Of `/s` more is better, of the others less. */
  readonly unit: Unit;
  /** The target of ours. */
  readonly atMost?: number;
  /** Where it stands in the plot; without it, only in the table. */
  readonly x?: number;
}

export interface ContestTurn {
  readonly side: Side;
  readonly round: number;
  /** Differs for each side and round: names of topics and groups begin with it. */
  readonly name: string;
  /** Of the full size, for a quick run. */
  readonly share: number;
  /** The side, on an empty folder for this turn, or up since its first turn. */
  start(): Promise<Running>;
}

export interface Contest {
  readonly name: string;
  readonly title: string;
  /** What was done, and why a figure is what it is. */
  readonly explained: string;
  readonly group?: 'tools';
  /** Sides that are compared, ours first. Their turns come in the order of their first mention. */
  readonly pairs: readonly (readonly [mine: Side, theirs: Side])[];
  readonly wire: 'mqtt' | 'nats' | 'kafka';
  /** Every side stays up for all of its turns: all are warm, and nobody's start is measured. */
  readonly staysUp?: true;
  /** Labels of the axes of the plot of all figures with an `x`. */
  readonly plot?: { readonly x: string; readonly y: string };
  measure(turn: ContestTurn): Promise<readonly Measured[]>;
}

/** A median and its spread over the rounds. */
export interface Spread {
  readonly value: number;
  readonly lowest: number;
  readonly highest: number;
}

export interface Contestant extends Spread {
  readonly name: string;
  readonly version: string;
  readonly setting: string;
  readonly durability: string;
}

export interface ContestRow {
  readonly what: string;
  readonly unit: Unit;
  readonly x?: number;
  readonly atMost?: number;
  readonly mine: Contestant;
  /** Missing when the peer cannot be had on this machine. */
  readonly theirs?: Contestant & { readonly of: Ratio };
}
