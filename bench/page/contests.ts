/** Contests on docs/benchmarks.md: a table of figures, and a plot of those that have a place. */

import type { Contestant, ContestRow } from '../contest.ts';
import type { Series } from '../curve.ts';
import { shortNumber, sized, spread } from '../lines.ts';
import type { ContestResult } from '../results.ts';

export function contestTable({ rows, skipped }: ContestResult): string[] {
  return [
    '| what | ours, its acknowledgement waits for | ours (spread) | peer, for | theirs (spread) | ratio (spread) |',
    `|${'---|'.repeat(6)}`,
    ...rows.map(line),
    ...(skipped.length === 0 ? [] : ['', `Skipped: ${skipped.join('; ')}.`]),
  ];
}

function line(row: ContestRow): string {
  const { what, mine, theirs, atMost } = row;
  const side = ({ name, version, setting }: Contestant) => `${name} ${version}, ${setting}`;
  const value = (one: Contestant) =>
    `${sized(row, one)} (${shortNumber(one.lowest)} to ${shortNumber(one.highest)})`;
  const met = atMost !== undefined && mine.value <= atMost ? 'met' : '**not met**';
  const target = atMost === undefined ? '' : `; at most ${shortNumber(atMost)}: ${met}`;
  const beside =
    theirs === undefined
      ? ['', '', '']
      : [`${side(theirs)}: ${theirs.durability}`, value(theirs), spread(theirs.of)];
  const own = [what, `${mine.setting}: ${mine.durability}`, `${value(mine)}${target}`];
  return `| ${[...own, ...beside].join(' | ')} |`;
}

/** A line for each side. */
export function contestSeries({ rows }: ContestResult): Series[] {
  const series = new Map<string, [number, number][]>();
  for (const { x, mine, theirs } of rows) {
    if (x === undefined) continue;
    for (const one of theirs === undefined ? [mine] : [mine, theirs]) {
      const label = `${one.name} (${one.setting})`;
      const points = series.get(label) ?? [];
      if (points.every(([at]) => at !== x)) points.push([x, one.value]);
      series.set(label, points);
    }
  }
  return [...series].map(([label, points]) => ({ label, points }));
}
