/** `npm run bench -- [question…] [--quick] [--rounds N] [--save]`: asks, prints, writes. */

import { ask, type Effort, profile, type RowFigures } from './ask.ts';
import { factsOfMachine } from './facts.ts';
import { questions } from './questions/index.ts';
import { lineOf, mergeResults, writeResults } from './report.ts';

const USAGE = `usage: node bench/run.mjs [question…] [--quick] [--rounds N] [--dry] [--profile]
  --quick     one short round: shows that the harness works, writes nothing
  --rounds N  rounds in which ours and the peers take turns (default 3)
  --profile   run ours alone under V8's profiler and print where its time goes
  --dry       measure, but do not write results.json and README.md
questions: ${questions.map((question) => question.name).join(', ')}
`;

const args = process.argv.slice(2);
const quick = args.includes('--quick');
const roundsAt = args.indexOf('--rounds');
const rounds = quick ? 1 : roundsAt < 0 ? 3 : Number(args[roundsAt + 1]);
const names = args.filter((arg, i) => !arg.startsWith('--') && (i === 0 || i - 1 !== roundsAt));
const unknown = names.filter((name) => !questions.some((question) => question.name === name));
if (args.includes('--help') || unknown.length > 0 || !(rounds >= 1)) {
  process.stderr.write(unknown.length > 0 ? `no such question: ${unknown.join(', ')}\n` : '');
  process.stderr.write(USAGE);
  process.exit(2);
}

const report = (line: string) => void process.stdout.write(`${line}\n`);
const effort: Effort = quick
  ? { rounds, warmMs: 500, runMs: 1_000, recordShare: 0.05, report }
  : { rounds, warmMs: 3_000, runMs: 5_000, recordShare: 1, report };

const facts = factsOfMachine();
const rows: RowFigures[] = [];
let failed = false;
for (const question of questions) {
  if (names.length > 0 && !names.includes(question.name)) continue;
  try {
    if (args.includes('--profile')) {
      await profile(question, effort);
      continue;
    }
    const found = await ask(question, effort);
    for (const row of found) report(lineOf(row));
    rows.push(...found);
  } catch (error) {
    failed = true;
    report(`${question.name}: FAILED: ${(error as Error).message}`);
  }
}
if (!quick && !args.includes('--dry') && rows.length > 0) {
  const date = new Date().toISOString().slice(0, 10);
  const words = `medians of ${rounds} alternating rounds of ${effort.runMs / 1000} s`;
  writeResults(mergeResults({ date, effort: words, facts, rows }));
}
process.exit(failed ? 1 : 0);
