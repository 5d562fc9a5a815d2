/** Is it flat? The line through the samples after the warm-up, by least squares. */
import { COLUMNS, type Column, type ColumnName, type Sample } from './sampler.ts';

/** The first part of the time, in which caches fill and retention begins to cut. */
const WARM_UP_SHARE = 0.3;
/** Growth up to this share of the mean is as good as flat. */
const GROWTH_SHARE = 0.1;

export interface Verdict {
  readonly column: Column;
  readonly least: number;
  readonly mean: number;
  readonly most: number;
  /** What the line gains from its first to its last sample. */
  readonly growth: number;
  readonly growthPerHour: number;
  readonly flat: boolean;
}

export function judge(samples: readonly Sample[]): Verdict[] {
  const measured = samples.slice(Math.floor(samples.length * WARM_UP_SHARE));
  return COLUMNS.flatMap((column) => {
    const points = measured.filter((sample) => !Number.isNaN(sample[column.name]));
    return points.length < 2 ? [] : [judgeColumn(column, points)];
  });
}

function judgeColumn(column: (typeof COLUMNS)[number], points: readonly Sample[]): Verdict {
  const name: ColumnName = column.name;
  const values = points.map((sample) => sample[name]);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const slope = slopeOf(points, name, mean);
  const growth = slope * (points.at(-1)!.atSec - points[0]!.atSec);
  return {
    column,
    least: Math.min(...values),
    mean,
    most: Math.max(...values),
    growth,
    growthPerHour: slope * 3600,
    flat: !column.flat || growth <= Math.max(column.noise, GROWTH_SHARE * mean),
  };
}

function slopeOf(points: readonly Sample[], name: ColumnName, mean: number): number {
  const middle = points.reduce((sum, { atSec }) => sum + atSec, 0) / points.length;
  let [above, below] = [0, 0];
  for (const sample of points) {
    above += (sample.atSec - middle) * (sample[name] - mean);
    below += (sample.atSec - middle) ** 2;
  }
  return below === 0 ? 0 : above / below;
}
