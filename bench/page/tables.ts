/** Tables of docs/benchmarks.md. */

import type { CostFigure } from '../cost.ts';
import type { Facts } from '../facts.ts';
import type { Comparison, RowFigures, TargetFigures } from '../figures.ts';
import { figure, number, shortNumber, spread } from '../lines.ts';
import type { CostResult, QuestionResult, Result } from '../results.ts';

export interface TargetRow {
  readonly path: string;
  readonly peer: string;
  readonly target: TargetFigures;
}

export function targetsOf(results: readonly QuestionResult[]): TargetRow[] {
  return results.flatMap(({ title, rows }) =>
    rows.flatMap((row) =>
      row.comparisons.flatMap(({ peer, targets }) =>
        targets.map((target) => {
          const of = target.of === 'rate' ? '' : `, ${nameOf(target.of)}`;
          const path = `${title}, ${row.label}${of}`;
          return { path, peer: `${peer.name}, ${peer.setting}`, target };
        }),
      ),
    ),
  );
}

function nameOf(of: TargetFigures['of']): string {
  return of === 'p999' ? 'p99.9' : of;
}

export function targetTable(rows: readonly TargetRow[]): string[] {
  const lines = rows.map(({ path, peer, target }) => {
    const cells = [path, peer, `${shortNumber(target.atLeast)} x`, spread(target)];
    return `| ${[...cells, target.met ? 'yes' : '**no**'].join(' | ')} |`;
  });
  return ['| path and load | beside | at least | measured (spread) | met |', RULE(5), ...lines];
}

const RULE = (columns: number) => `|${'---|'.repeat(columns)}`;

export function questionTable({ rows }: QuestionResult): string[] {
  const head = '| load | ours | peer | its acknowledgement waits for | theirs | ratio (spread) |';
  const lines = rows.flatMap((row) => row.comparisons.map((c) => comparisonRow(row, c)));
  const skipped = rows.flatMap((row) => row.skipped.map((reason) => `Skipped: ${reason}.`));
  return [head, RULE(6), ...lines, '', ...rows.map(under), ...skipped];
}

function comparisonRow(row: RowFigures, c: Comparison): string {
  const peer = `${c.peer.name} ${c.peer.version}, ${c.peer.setting}`;
  const cells = [row.label, figure(row, row.ours), peer, c.peer.durability, figure(row, c.peer)];
  return `| ${[...cells, spread(c)].join(' | ')} |`;
}

/** What does not fit in a table: ceiling, cost, what was checked, and the tails of latencies. */
function under(row: RowFigures): string {
  const unit = row.measures === 'latency' ? ' us' : '/s';
  const ceiling = row.ceiling === 0 ? '' : ` Ceiling of the load ${number(row.ceiling)}${unit}.`;
  const sides = [row.ours, ...row.comparisons.map(({ peer }) => peer)];
  const tails = sides.map(({ name, setting, samples }) => {
    const of = (key: 'p99' | 'p999' | 'max') =>
      number(middle(samples.map(({ latency }) => latency?.[key] ?? 0)));
    return `${name} (${setting}) p99 ${of('p99')}, p99.9 ${of('p999')}, max ${of('max')} us`;
  });
  const tail = row.measures === 'latency' ? ` ${tails.join('; ')}.` : '';
  const cpu = sides
    .filter(({ samples }) => samples.some(({ serverCpuUs }) => serverCpuUs > 0))
    .map(({ name, samples }) => `${name} ${middle(samples.map((s) => s.serverCpuUs)).toFixed(2)}`);
  const cost = cpu.length === 0 ? '' : ` CPU of the server in us for each: ${cpu.join('; ')}.`;
  return `${row.label}: checked: ${row.ours.check}.${ceiling}${cost}${tail}  `;
}

export function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}

export function costTable(results: readonly CostResult[]): string[] {
  const cells = ({ what, value, unit, atMost }: CostFigure) => {
    const [limit, met] =
      atMost === undefined
        ? ['', '']
        : [`${shortNumber(atMost)} ${unit}`, value <= atMost ? 'yes' : '**no**'];
    return `${what} | ${shortNumber(value)} ${unit} | ${limit} | ${met} |`;
  };
  const lines = results.flatMap(({ name, figures }) =>
    figures.map((one) => `| \`${name}\` | ${cells(one)}`),
  );
  return ['| cost | what | measured | at most | met |', RULE(5), ...lines];
}

/** The delay of our event loop in every run that has one: the longest of all. */
export function loopDelays(results: readonly QuestionResult[]): { worst: number; where: string } {
  let found = { worst: 0, where: '' };
  for (const { name, rows } of results) {
    for (const { label, ours } of rows) {
      const worst = middle(ours.samples.map(({ loopDelayMs }) => loopDelayMs ?? 0));
      if (worst > found.worst) found = { worst, where: `${name}, ${label}` };
    }
  }
  return found;
}

/** One line for each set of circumstances, with what was measured in them. */
export function circumstances(results: readonly Result[]): string[] {
  const by = Map.groupBy(results, ({ date, effort, facts }) => {
    const { flushUs, ...machine } = facts;
    return `${date}, ${effort}. ${machineLine(machine)}`;
  });
  return [...by].map(([line, all]) => {
    const flushes = all.map(({ facts }) => Math.round(facts.flushUs));
    const flush = `write + fdatasync of 4 KiB ${Math.min(...flushes)} to ${Math.max(...flushes)} us`;
    return `- ${line}; ${flush}: ${all.map(({ name }) => `\`${name}\``).join(', ')}.`;
  });
}

function machineLine(facts: Omit<Facts, 'flushUs'>): string {
  return (
    `${facts.cores} cores of ${facts.cpu}, ${facts.memoryGiB} GiB, Linux ${facts.kernel}, ` +
    `${facts.system}, Node ${facts.node}`
  );
}
