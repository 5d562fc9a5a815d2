/** Results as one line each, and the numbers in them. */

import type { Contestant, ContestRow } from './contest.ts';
import type { CostFigure } from './cost.ts';
import { CHECK_FAILED, type Ratio, type RowFigures, type SideFigures } from './figures.ts';
import type { ContestResult, CostResult, CurveResult } from './results.ts';

export function lineOf(name: string, row: RowFigures): string {
  const against = row.comparisons.map((c) => {
    const targets = c.targets.map(({ of, atLeast, met, ratio }) => {
      const figure = of === 'rate' || of === 'p50' ? '' : `${of} ${ratio.toFixed(2)} x `;
      return `${figure}${met ? 'meets' : 'MISSES'} ${shortNumber(atLeast)} x`;
    });
    const words = [`${c.peer.name} (${c.peer.setting}) ${figure(row, c.peer)} = ${spread(c)}`];
    return [...words, ...targets].join(', ');
  });
  const ceiling = row.ceiling === 0 ? [] : [`ceiling ${number(row.ceiling)}`];
  const skipped = row.skipped.map((reason) => `skipped ${reason}`);
  const all = [`ours ${figure(row, row.ours)}`, ...against, ...ceiling, ...skipped];
  return `${name} ${row.label}: ${all.join('; ')}`;
}

export function costLineOf({ name, figures }: Pick<CostResult, 'name' | 'figures'>): string {
  return `${name}: ${figures.map(costOf).join('; ')}`;
}

export function curveLineOf({ name, series }: Pick<CurveResult, 'name' | 'series'>): string {
  const points = (label: string, all: CurveResult['series'][number]['points']) =>
    `${label} ${all.map(([x, y]) => `${number(x)}: ${shortNumber(y)}`).join(', ')}`;
  return `${name}: ${series.map((one) => points(one.label, one.points)).join('; ')}`;
}

export function contestLineOf({
  name,
  rows,
  skipped,
}: Pick<ContestResult, 'name' | 'rows' | 'skipped'>): string {
  const lines = rows.map((row) => {
    const { what, mine, theirs } = row;
    const side = ({ name: who, setting }: Contestant) => `${who} (${setting})`;
    const against =
      theirs === undefined ? '' : `; ${side(theirs)} ${sized(row, theirs)} = ${spread(theirs.of)}`;
    const limit =
      row.atMost === undefined || mine.value <= row.atMost ? '' : `, MISSES ${number(row.atMost)}`;
    return `${what}: ${side(mine)} ${sized(row, mine)}${limit}${against}`;
  });
  return [name, ...lines, ...skipped.map((reason) => `skipped ${reason}`)].join('\n  ');
}

/** A figure of a contest with its unit. */
export function sized(
  { unit }: Pick<ContestRow, 'unit'>,
  { value }: Pick<Contestant, 'value'>,
): string {
  return unit === '/s' ? `${number(value)}/s` : `${shortNumber(value)} ${unit}`;
}

export function costOf({ what, value, unit, atMost }: CostFigure): string {
  const limit = atMost === undefined ? '' : value <= atMost ? '' : ` (MISSES ${number(atMost)})`;
  return `${what} ${shortNumber(value)} ${unit}${limit}`;
}

export function figure(row: RowFigures, side: SideFigures): string {
  const value = row.measures === 'latency' ? `${number(side.median)} us` : rate(side.median);
  return side.check.startsWith(CHECK_FAILED) ? `${value} (its check failed)` : value;
}

const rate = (value: number): string => `${number(value)}/s`;

export function spread(c: Ratio): string {
  return `${c.ratio.toFixed(2)} x (${c.lowest.toFixed(2)} to ${c.highest.toFixed(2)})`;
}

export function number(value: number): string {
  return Math.round(value).toLocaleString('en').replaceAll(',', ' ');
}

export function shortNumber(value: number): string {
  return value < 10 ? String(Number(value.toFixed(2))) : number(value);
}
