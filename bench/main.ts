/** `npm run bench -- [question…] [--quick] [--rounds N] [--save]`: asks, prints, writes. */

import { ask, type Effort, profile, type RowFigures } from './ask.ts';
import { costs } from './costs/index.ts';
import { factsOfMachine } from './facts.ts';
import { questions } from './questions/index.ts';
import { type CostFigures, costLineOf, lineOf, mergeResults, writeResults } from './report.ts';

const USAGE = `usage: node bench/run.mjs [question…] [--quick] [--rounds N] [--dry] [--profile]
  --quick     one short round: shows that the harness works, writes nothing
  --rounds N  rounds in which ours and the peers take turns (default 3)
  --profile   run ours alone under V8's profiler and print where its time goes
  --dry       measure, but do not write results.json and README.md
questions: ${questions.map((question) => question.name).join(', ')}
costs: ${costs.map((cost) => cost.name).join(', ')}
`;

const args = process.argv.slice(2);
const quick = args.includes('--quick');
const roundsAt = args.indexOf('--rounds');
const rounds = quick ? 1 : roundsAt < 0 ? 3 : Number(args[roundsAt + 1]);
const names = args.filter((arg, i) => !arg.startsWith('--') && (i === 0 || i - 1 !== roundsAt));
const known = [...questions, ...costs].map((one) => one.name);
const unknown = names.filter((name) => !known.includes(name));
if (args.includes('--help') || unknown.length > 0 || !(rounds >= 1)) {
  process.stderr.write(unknown.length > 0 ? `no such question: ${unknown.join(', ')}\n` : '');
  process.stderr.write(USAGE);
  process.exit(2);
}

const report = (line: string) => void process.stdout.write(`${line}\n`);
const QUICK_SHARE = 0.05;
const effort: Effort = quick
  ? { rounds, warmMs: 500, runMs: 1_000, recordShare: QUICK_SHARE, report }
  : { rounds, warmMs: 3_000, runMs: 5_000, recordShare: 1, report };

const facts = factsOfMachine();
const rows: RowFigures[] = [];
const paid: CostFigures[] = [];
let failed = false;

async function attempt(name: string, work: () => Promise<void>): Promise<void> {
  if (names.length > 0 && !names.includes(name)) return;
  try {
    await work();
  } catch (error) {
    failed = true;
    report(`${name}: FAILED: ${(error as Error).message}`);
  }
}

/** After each question, so that a run that is cut short keeps what it has. */
function save(): void {
  if (quick || args.includes('--dry')) return;
  const date = new Date().toISOString().slice(0, 10);
  const words = `medians of ${rounds} alternating rounds of ${effort.runMs / 1000} s`;
  writeResults(mergeResults({ date, effort: words, facts, rows, costs: paid }));
}

for (const question of questions) {
  await attempt(question.name, async () => {
    if (args.includes('--profile')) return profile(question, effort);
    const found = await ask(question, effort);
    for (const row of found) report(lineOf(row));
    rows.push(...found);
    save();
  });
}
for (const cost of costs) {
  await attempt(cost.name, async () => {
    const { name, title } = cost;
    const found = { name, title, figures: await cost.measure(quick ? QUICK_SHARE : 1) };
    report(costLineOf(found));
    paid.push(found);
    save();
  });
}
process.exit(failed ? 1 : 0);
