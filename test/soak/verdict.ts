/**
 * Is it flat? Garbage and backlogs make every figure rise and fall; what leaks lifts the floor that
 * they fall back to. So the time after the warm-up is cut into windows, and a line is put through
 * the least values of them.
 */
import { COLUMNS, type Column, type ColumnName, type Sample } from './sampler.ts';

/** The first part of the time, in which caches fill and retention begins to cut. */
const WARM_UP_SHARE = 0.3;
/** Growth up to this share of the mean is as good as flat. */
const GROWTH_SHARE = 0.1;
const WINDOWS = 8;
/** A server that had to wait longer for a processor is late because the machine does other work. */
const WAITS_PERCENT_MAX = 2;

export interface Verdict {
  readonly column: Column;
  readonly least: number;
  readonly mean: number;
  readonly median: number;
  readonly most: number;
  /** What the floor gains from the first to the last sample. */
  readonly growth: number;
  readonly growthPerHour: number;
  readonly flat: boolean;
  /** Its median is less than it must be; null: the column has no such bound. */
  readonly within: boolean | null;
}

/** True when the machine left the server the processor: only then its delay is its own. */
export function isUndisturbed(verdicts: readonly Verdict[]): boolean {
  const waits = verdicts.find(({ column }) => column.name === 'waits');
  return waits === undefined || waits.median <= WAITS_PERCENT_MAX;
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
  const median = values.toSorted((a, b) => a - b)[values.length >> 1]!;
  const { below }: Column = column;
  const slope = slopeOf(floors(points, name), name);
  const growth = slope * (points.at(-1)!.atSec - points[0]!.atSec);
  return {
    column,
    least: Math.min(...values),
    mean,
    median,
    most: Math.max(...values),
    growth,
    growthPerHour: slope * 3600,
    flat: !column.flat || growth <= Math.max(column.noise, GROWTH_SHARE * mean),
    within: below === undefined ? null : median < below,
  };
}

/** The sample with the least value of each window. */
function floors(points: readonly Sample[], name: ColumnName): Sample[] {
  const found: Sample[] = [];
  for (let window = 0; window < WINDOWS; window++) {
    const from = Math.floor((window * points.length) / WINDOWS);
    const to = Math.floor(((window + 1) * points.length) / WINDOWS);
    const part = points.slice(from, to);
    if (part.length > 0)
      found.push(part.reduce((low, each) => (each[name] < low[name] ? each : low)));
  }
  return found;
}

function slopeOf(points: readonly Sample[], name: ColumnName): number {
  const mean = points.reduce((sum, sample) => sum + sample[name], 0) / points.length;
  const middle = points.reduce((sum, { atSec }) => sum + atSec, 0) / points.length;
  let [above, below] = [0, 0];
  for (const sample of points) {
    above += (sample.atSec - middle) * (sample[name] - mean);
    below += (sample.atSec - middle) ** 2;
  }
  return below === 0 ? 0 : above / below;
}
