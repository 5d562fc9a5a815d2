/** Results on the disk: one file for each question, cost and curve, to be taken apart. */

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Contest, ContestRow } from './contest.ts';
import type { CostFigure } from './cost.ts';
import type { Series } from './curve.ts';
import type { Facts } from './facts.ts';
import type { RowFigures } from './figures.ts';
import { ROOT } from './peers/peer.ts';

const FOLDER = join(ROOT, 'bench/results');

interface Common {
  readonly name: string;
  readonly title: string;
  readonly date: string;
  /** Rounds and seconds, in words. */
  readonly effort: string;
  readonly facts: Facts;
}

export interface QuestionResult extends Common {
  readonly kind: 'question';
  readonly group: string;
  readonly rows: readonly RowFigures[];
}

export interface CostResult extends Common {
  readonly kind: 'cost';
  readonly figures: readonly CostFigure[];
}

export interface CurveResult extends Common {
  readonly kind: 'curve';
  readonly x: string;
  readonly y: string;
  readonly explained: string;
  readonly series: readonly Series[];
}

export interface ContestResult extends Common, Pick<Contest, 'explained' | 'plot'> {
  readonly kind: 'contest';
  readonly group: string;
  readonly rows: readonly ContestRow[];
  readonly skipped: readonly string[];
}

export type Result = QuestionResult | CostResult | CurveResult | ContestResult;

export function writeResult(result: Result): void {
  mkdirSync(FOLDER, { recursive: true });
  const text = JSON.stringify(result, rounded, 1).replaceAll(PAIR, '[$1,$2]');
  writeFileSync(join(FOLDER, `${result.name}.json`), `${text}\n`);
}

/** A point of a curve or a histogram stands on one line. */
const PAIR = /\[\s+([-+.e\d]+),\s+([-+.e\d]+)\s+\]/g;

/** Five significant figures: more would only be noise in the repository. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' ? Number(value.toPrecision(5)) : value;
}

export function readResults(): Result[] {
  mkdirSync(FOLDER, { recursive: true });
  const names = readdirSync(FOLDER).filter((name) => name.endsWith('.json'));
  return names.sort().map((name) => JSON.parse(readFileSync(join(FOLDER, name), 'utf8')) as Result);
}
