/** Draws docs/benchmarks.md and its plots from everything that was measured. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../peers/peer.ts';
import {
  type ContestResult,
  type CostResult,
  type CurveResult,
  type QuestionResult,
  readResults,
} from '../results.ts';
import { contestSeries, contestTable } from './contests.ts';
import { curvePlot, latencyPlot, targetsPlot } from './plots.ts';
import {
  circumstances,
  costTable,
  loopDelays,
  middle,
  questionTable,
  type TargetRow,
  targetsOf,
  targetTable,
} from './tables.ts';

const PAGE = join(ROOT, 'docs/benchmarks.md');
const PLOTS = join(ROOT, 'docs/benchmarks');
const LOOP_DELAY_MAX_MS = 20;

const INTRO = `# Benchmarks

Our server beside the broker that people use today for the same protocol, under the same load, on the
same machine, in the same minutes. How it is measured, how to repeat it and how not to be fooled:
[bench/README.md](../bench/README.md). Drawn by \`npm run bench\` from \`bench/results/\`; do not edit.
Ratios are ours over the peer's (latencies: the peer's over ours), medians of neighbouring turns, so
more is better for us. Ours answers after a completed \`fdatasync\` wherever an acknowledgement
promises that a message is kept.`;

export function draw(): void {
  mkdirSync(PLOTS, { recursive: true });
  const results = readResults();
  const questions = results.filter((one) => one.kind === 'question');
  const asked = questions.filter(({ group }) => group === 'questions');
  const tools = questions.filter(({ group }) => group === 'tools');
  const contests = results.filter((one) => one.kind === 'contest');
  const sized = contests.filter(({ group }) => group === 'contests');
  const toolContests = contests.filter(({ group }) => group === 'tools');
  const costs = results.filter((one) => one.kind === 'cost');
  const curves = results.filter((one) => one.kind === 'curve');
  const parts = [
    ...[INTRO, ''],
    ...(results.length === 0 ? [] : ['## Circumstances', '', ...circumstances(results), '']),
    ...(asked.length === 0 ? [] : ['## Questions', '', ...asked.flatMap(questionPart)]),
    ...(sized.length === 0 ? [] : ['## Contests', '', ...sized.flatMap(contestPart)]),
    ...(tools.length + toolContests.length === 0 ? [] : ['## With the tools of the peers', '']),
    ...toolContests.flatMap(contestPart),
    ...tools.flatMap(questionPart),
    ...(curves.length === 0 ? [] : ['## Curves', '', ...curves.flatMap(curvePart)]),
    ...costPart(costs),
    ...targetPart(targetsOf(asked), asked),
  ];
  writeFileSync(PAGE, `${parts.join('\n').trimEnd()}\n`);
}

function plot(name: string, svg: string): string {
  writeFileSync(join(PLOTS, `${name}.svg`), `${svg}\n`);
  return `![${name}](benchmarks/${name}.svg)`;
}

function questionPart(question: QuestionResult): string[] {
  const head = [`### ${question.title} (\`${question.name}\`)`, ''];
  const plots = question.rows.flatMap((row, index) => {
    const sides = [row.ours, ...row.comparisons.map(({ peer }) => peer)];
    const series = sides.map(({ name, setting, samples }) => ({
      label: `${name} (${setting})`,
      // The histogram of the round in the middle.
      points:
        samples.find(({ latency }) => latency?.p99 === middleP99(samples))?.latency?.curve ?? [],
    }));
    const drawn = series.filter(({ points }) => points.length > 0);
    if (row.measures !== 'latency' || drawn.length === 0) return [];
    const title = `${question.title}, ${row.label}`;
    return [plot(`${question.name}-${index + 1}`, latencyPlot(title, drawn)), ''];
  });
  return [...head, ...questionTable(question), '', ...plots];
}

function middleP99(samples: QuestionResult['rows'][number]['ours']['samples']): number {
  return middle(samples.map(({ latency }) => latency?.p99 ?? 0));
}

function curvePart({ name, title, x, y, explained, series }: CurveResult): string[] {
  return [
    `### ${title} (\`${name}\`)`,
    '',
    explained,
    '',
    plot(name, curvePlot({ title, x, y }, series)),
    '',
  ];
}

function contestPart(contest: ContestResult): string[] {
  const { name, title, explained, plot: axes } = contest;
  const head = [`### ${title} (\`${name}\`)`, '', explained, '', ...contestTable(contest), ''];
  if (axes === undefined) return head;
  return [...head, plot(name, curvePlot({ title, ...axes }, contestSeries(contest))), ''];
}

function costPart(costs: readonly CostResult[]): string[] {
  return costs.length === 0 ? [] : ['## Costs', '', ...costTable(costs), ''];
}

function targetPart(rows: readonly TargetRow[], asked: readonly QuestionResult[]): string[] {
  if (rows.length === 0) return [];
  const bars = rows.map(({ path, peer, target }) => ({
    label: shortened(`${path} / ${peer.split(',')[0]}`),
    times: target.ratio / target.atLeast,
  }));
  const met = rows.filter(({ target }) => target.met).length;
  const { worst, where } = loopDelays(asked);
  const delay =
    `Event loop delay of ours, p99, median over the rounds: at most ${worst.toFixed(1)} ms ` +
    `(${where}); target ${LOOP_DELAY_MAX_MS} ms: ${worst <= LOOP_DELAY_MAX_MS ? 'met' : '**not met**'}.`;
  return [
    ...['## Targets', '', `${met} of ${rows.length} are met.`, '', delay, ''],
    ...[plot('targets', targetsPlot('Measured ratio over its target', bars)), ''],
    ...targetTable(rows),
  ];
}

const LABEL_CHARS = 72;

function shortened(text: string): string {
  return text.length <= LABEL_CHARS ? text : `…${text.slice(text.length - LABEL_CHARS + 1)}`;
}
