/** What a question answers: the samples of each side, their medians, and ratios round by round. */

import { median } from './facts.ts';
import type { LoadResult } from './load/spec.ts';
import type { Percentile, Question } from './question.ts';
import type { Sample } from './turns.ts';

export interface SideFigures {
  readonly name: string;
  readonly version: string;
  readonly setting: string;
  readonly durability: string;
  /** What the check before the rounds compared, or why it failed. */
  readonly check: string;
  readonly samples: readonly Sample[];
  readonly median: number;
}

/** A median ratio and its spread over the rounds. */
export interface Ratio {
  /** Ours over the peer's (latency: the peer's over ours), so that more is better for us. */
  readonly ratio: number;
  readonly lowest: number;
  readonly highest: number;
}

export interface TargetFigures extends Ratio {
  readonly atLeast: number;
  readonly of: Percentile | 'rate';
  readonly met: boolean;
}

export interface Comparison extends Ratio {
  readonly peer: SideFigures;
  readonly targets: readonly TargetFigures[];
}

export interface RowFigures {
  readonly title: string;
  readonly measures: Question['measures'];
  readonly label: string;
  /** Figure of the load against the sink; 0 where there is no sink. */
  readonly ceiling: number;
  readonly ours: SideFigures;
  readonly comparisons: readonly Comparison[];
  /** Sides that could not run here, with the reason. */
  readonly skipped: readonly string[];
}

/** How a check begins that found something wrong; the figure is taken all the same, and marked. */
export const CHECK_FAILED = 'CHECK FAILED';

export function figureOf(
  { measures }: Pick<Question, 'measures'>,
  result: LoadResult,
  of: Percentile = 'p50',
): number {
  return measures === 'latency' ? (result.latency?.[of] ?? 0) : result.perSecond;
}

/** The ratio of each round by itself: only neighbours in time are compared. */
export function ratioOf(
  question: Pick<Question, 'measures'>,
  mine: readonly Sample[],
  theirs: readonly Sample[],
  of: Percentile = 'p50',
): Ratio {
  const ratios = mine.map((sample, round) => {
    const a = figureOf(question, sample, of);
    const b = figureOf(question, theirs[round]!, of);
    return question.measures === 'latency' ? b / a : a / b;
  });
  return { ratio: median(ratios), lowest: Math.min(...ratios), highest: Math.max(...ratios) };
}
