/** Results as one line each, as JSON and as the table between the markers of README.md. */

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CHECK_FAILED, type Comparison, type RowFigures, type SideFigures } from './ask.ts';
import type { CostFigure } from './cost.ts';
import type { Facts } from './facts.ts';

const file = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const RESULTS = file('results.json');
const README = file('README.md');
const OPEN = '<!-- figures -->';
const CLOSE = '<!-- /figures -->';

export interface Results {
  readonly date: string;
  readonly effort: string;
  readonly facts: Facts;
  readonly rows: readonly RowFigures[];
  readonly costs: readonly CostFigures[];
}

export interface CostFigures {
  readonly name: string;
  readonly title: string;
  readonly figures: readonly CostFigure[];
}

export function lineOf(row: RowFigures): string {
  const against = row.comparisons.map(
    (c) => `${c.peer.name} (${c.peer.setting}) ${figure(row, c.peer)} = ${ratioOf(c)}`,
  );
  const all = [`ours ${figure(row, row.ours)}`, ...against, `ceiling ${number(row.ceiling)}`];
  return `${row.question} ${row.label}: ${[...all, ...row.skipped.map(skip)].join('; ')}`;
}

export function costLineOf({ name, figures }: CostFigures): string {
  return `${name}: ${figures.map(costOf).join('; ')}`;
}

function costOf({ what, value, unit }: CostFigure): string {
  return `${what} ${number(value)} ${unit}`;
}

const skip = (reason: string) => `skipped ${reason}`;

/** Rows of earlier runs stay unless they were measured again. */
export function mergeResults(results: Results): Results {
  const earlier = readResults();
  const key = (row: RowFigures) => `${row.question} ${row.label}`;
  const fresh = new Set(results.rows.map(key));
  const kept = (earlier?.rows ?? []).filter((row) => !fresh.has(key(row)));
  const paid = new Set(results.costs.map((cost) => cost.name));
  const keptCosts = (earlier?.costs ?? []).filter((cost) => !paid.has(cost.name));
  return {
    ...results,
    rows: [...kept, ...results.rows].sort((a, b) => inOrder(key(a), key(b))),
    costs: [...keptCosts, ...results.costs].sort((a, b) => inOrder(a.name, b.name)),
  };
}

function inOrder(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function readResults(): Results | undefined {
  try {
    return JSON.parse(readFileSync(RESULTS, 'utf8')) as Results;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

export function writeResults(results: Results): void {
  writeFileSync(RESULTS, `${JSON.stringify(results, null, 2)}\n`);
  const page = readFileSync(README, 'utf8');
  const [from, to] = [page.indexOf(OPEN), page.indexOf(CLOSE)];
  if (from < 0 || to < 0) throw new Error('README.md has lost its markers');
  const table = `${OPEN}\n\n${tableOf(results)}\n\n`;
  writeFileSync(README, page.slice(0, from) + table + page.slice(to));
}

function tableOf(results: Results): string {
  const { facts } = results;
  const machine =
    `${results.date}, ${results.effort}. ${facts.cores} cores of ${facts.cpu}, ` +
    `${facts.memoryGiB} GiB, Linux ${facts.kernel}, ${facts.system}, Node ${facts.node}; ` +
    `write + fdatasync of 4 KiB: ${Math.round(facts.flushUs)} us.`;
  const head =
    '| question | ours | peer | its acknowledgement waits for | theirs | ratio | ceiling |';
  const lines = results.rows.flatMap((row) => row.comparisons.map((c) => tableRow(row, c)));
  const rows = [head, '|---|---|---|---|---|---|---|', ...lines];
  const paid = results.costs.map(
    (cost) => `| ${cost.title} (\`${cost.name}\`) | ${cost.figures.map(costOf).join('; ')} |`,
  );
  const costs = paid.length === 0 ? [] : ['', '| cost of ours | |', '|---|---|', ...paid];
  return [machine, '', ...rows, ...costs].join('\n');
}

function tableRow(row: RowFigures, c: Comparison): string {
  const peer = `${c.peer.name} ${c.peer.version}, ${c.peer.setting}`;
  const cells = [
    `${row.title}, ${row.label} (\`${row.question}\`)`,
    figure(row, row.ours),
    peer,
    c.peer.durability,
    figure(row, c.peer),
    ratioOf(c),
    row.measures === 'latency' ? `${number(row.ceiling)} us` : number(row.ceiling),
  ];
  return `| ${cells.join(' | ')} |`;
}

function figure(row: RowFigures, side: SideFigures): string {
  const value = plainFigure(row, side);
  return side.check.startsWith(CHECK_FAILED) ? `${value} (its check failed)` : value;
}

function plainFigure(row: RowFigures, side: SideFigures): string {
  return row.measures === 'latency' ? `${number(side.median)} us` : `${number(side.median)}/s`;
}

function ratioOf(c: Comparison): string {
  return `${c.ratio.toFixed(2)} x (${c.lowest.toFixed(2)} to ${c.highest.toFixed(2)})`;
}

function number(value: number): string {
  return Math.round(value).toLocaleString('en').replaceAll(',', ' ');
}
