/**
 * `npm run fuzz -- [--target T] [--minutes N] [--seed S] [--save] [--blind]`: fuzzes all targets,
 * or those whose names begin with T, for N minutes in sum, guided by coverage. What is found is
 * printed with the input that shows it and kept under `.cache/fuzz`; `--save` writes the inputs
 * that reached new code into the corpus. `--blind` goes without coverage, which is faster where
 * much code runs. Ends with 1 when anything was found.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { crc32 } from 'node:zlib';
import { distilled, type Finding, type Outcome, runCampaign } from './campaign.ts';
import { foundInputs, regressions, saveFound } from './corpus.ts';
import type { Target } from './target.ts';
import { TARGETS } from './targets/index.ts';

/** The promise is 50 ms of wall clock; coverage counters and this machine's noise come on top. */
const CPU_MS_MAX = 50;
const FINDINGS_MAX = 12;
const FOUND_FOLDER = path.resolve(import.meta.dirname, '../../.cache/fuzz');

const { values } = parseArgs({
  options: {
    target: { type: 'string', default: '' },
    minutes: { type: 'string', default: '5' },
    seed: { type: 'string', default: '1' },
    save: { type: 'boolean', default: false },
    blind: { type: 'boolean', default: false },
  },
});

const chosen = TARGETS.filter(({ name }) => name.startsWith(values.target));
if (chosen.length === 0) throw new Error(`no target is called ${values.target}`);
const msEach = (Number(values.minutes) * 60_000) / chosen.length;
let found = 0;
for (const target of chosen) {
  const corpus = [...foundInputs(target.name), ...regressions(target.name).map((r) => r.input)];
  const began = performance.now();
  const outcome = await runCampaign(target, {
    seed: Number(values.seed),
    inputsMax: Number.POSITIVE_INFINITY,
    msMax: msEach,
    guided: !values.blind,
    findingsMax: FINDINGS_MAX,
    cpuMsMax: CPU_MS_MAX,
    corpus,
  });
  show(target, outcome, performance.now() - began);
  for (const finding of outcome.findings) tell(target, finding);
  found += outcome.findings.length;
  if (values.save) {
    const inputs = await distilled(target, outcome.queue, [...target.seeds()]);
    saveFound(target.name, inputs);
  }
}
process.exit(found > 0 ? 1 : 0);

function show({ name }: Target, { inputs, covered, findings, queue }: Outcome, ms: number): void {
  const rate = Math.round(inputs / (ms / 1000));
  const sizes = `${inputs} inputs, ${rate}/s, ${covered} characters covered, ${queue.length} in the queue`;
  console.log(`${name.padEnd(18)} seed ${values.seed}: ${sizes}, ${findings.length} found`);
}

function tell({ name }: Target, { input, error }: Finding): void {
  mkdirSync(FOUND_FOLDER, { recursive: true });
  const file = path.join(FOUND_FOLDER, `${name}-${crc32(input).toString(16)}.hex`);
  writeFileSync(file, `${input.toString('hex')}\n`);
  console.log(`\n--- ${name}: ${error.stack ?? error.message}`);
  console.log(`    ${input.length} bytes in ${file}\n    ${input.toString('hex').slice(0, 400)}\n`);
}
