/** `npm run bench -- [question…] [--quick] [--rounds N] [--profile]`: asks, prints, writes. */

import { parseArgs } from 'node:util';
import { ask, profile } from './ask.ts';
import { contend } from './contend.ts';
import { contests } from './contests/index.ts';
import { costs } from './costs/index.ts';
import { curves } from './curves/index.ts';
import { factsOfMachine } from './facts.ts';
import { contestLineOf, costLineOf, curveLineOf, lineOf } from './lines.ts';
import { draw } from './page/page.ts';
import { questions } from './questions/index.ts';
import { type Result, writeResult } from './results.ts';
import type { Effort } from './turns.ts';

const GROUPS = ['questions', 'contests', 'tools', 'costs', 'curves'];
const USAGE = `usage: node bench/run.mjs [question…] [--quick] [--rounds N] [--dry] [--profile]
  --quick     one short round: shows that the harness works, writes nothing
  --rounds N  rounds in which ours and the peers take turns (default 5)
  --profile   run ours alone under V8's profiler and print where its time goes
  --dry       measure, but write nothing
  --draw      measure nothing, draw docs/benchmarks.md again from what was measured
groups: ${GROUPS.join(', ')}
questions: ${questions.map((question) => question.name).join(', ')}
contests: ${contests.map((contest) => contest.name).join(', ')}
costs: ${costs.map((cost) => cost.name).join(', ')}
curves: ${curves.map((curve) => curve.name).join(', ')}
`;

const { values: flags, positionals: names } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '5' },
    profile: { type: 'boolean', default: false },
    dry: { type: 'boolean', default: false },
    draw: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const known = [
  ...GROUPS,
  ...[...questions, ...contests, ...costs, ...curves].map((one) => one.name),
];
const unknown = names.filter((name) => !known.includes(name));
const rounds = flags.quick ? 1 : Number(flags.rounds);
if (flags.help || unknown.length > 0 || !(rounds >= 1)) {
  process.stderr.write(unknown.length > 0 ? `no such question: ${unknown.join(', ')}\n` : '');
  process.stderr.write(USAGE);
  process.exit(2);
}

const report = (line: string) => void process.stdout.write(`${line}\n`);
const QUICK_SHARE = 0.05;
const effort: Effort = flags.quick
  ? { rounds, warmMs: 500, runMs: 1_000, recordShare: QUICK_SHARE, report }
  : { rounds, warmMs: 1_000, runMs: 3_000, recordShare: 1, report };
const share = effort.recordShare;
const facts = factsOfMachine();
const writes = !flags.quick && !flags.dry && !flags.profile;
let failed = false;

/** True when it was named, or its group, or when nothing was. */
function wanted(name: string, group: string): boolean {
  return names.length === 0 || names.includes(name) || names.includes(group);
}

type Without<One> = One extends Result ? Omit<One, 'date' | 'effort' | 'facts'> : never;

/** After each question, so that a run that is cut short keeps what it has. */
function keep(measured: Without<Result>): void {
  if (!writes) return;
  const date = new Date().toISOString().slice(0, 10);
  const words = `${rounds} alternating rounds of ${effort.runMs / 1000} s`;
  writeResult({ ...measured, date, effort: words, facts } as Result);
  draw();
}

async function attempt(name: string, group: string, work: () => Promise<void>): Promise<void> {
  if (flags.draw || !wanted(name, group)) return;
  try {
    await work();
  } catch (error) {
    failed = true;
    report(`${name}: FAILED: ${(error as Error).message}`);
  }
}

for (const question of questions) {
  const { name, title, group = 'questions' } = question;
  await attempt(name, group, async () => {
    if (flags.profile) return profile(question, effort);
    const rows = await ask(question, effort);
    for (const row of rows) report(lineOf(name, row));
    keep({ kind: 'question', name, title, group, rows });
  });
}
for (const contest of flags.profile ? [] : contests) {
  const { name, title, explained, plot, group = 'contests' } = contest;
  await attempt(name, group, async () => {
    const held = await contend(contest, effort);
    report(contestLineOf({ name, ...held }));
    const axes = plot === undefined ? {} : { plot };
    keep({ kind: 'contest', name, title, group, explained, ...axes, ...held });
  });
}
for (const { name, title, measure } of flags.profile ? [] : costs) {
  await attempt(name, 'costs', async () => {
    const figures = await measure(share);
    report(costLineOf({ name, figures }));
    keep({ kind: 'cost', name, title, figures });
  });
}
for (const { name, title, x, y, explained, measure } of flags.profile ? [] : curves) {
  await attempt(name, 'curves', async () => {
    const series = await measure(share, report);
    report(curveLineOf({ name, series }));
    keep({ kind: 'curve', name, title, x, y, explained, series });
  });
}
if (flags.draw) draw();
process.exit(failed ? 1 : 0);
