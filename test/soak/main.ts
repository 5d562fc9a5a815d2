/**
 * `npm run soak -- --minutes N [--report FILE]`: mixed load of all four protocols at a fixed rate
 * on the real server, a sample every 10 s. Writes the report with its plot (FILE with .svg) and all
 * samples (FILE with .csv); ends with code 1 when something grew or a promise was broken.
 */
import { parseArgs } from 'node:util';
import { startServer } from '../clients/server.ts';
import { Findings } from '../load/findings.ts';
import { writeReport } from '../load/report.ts';
import { Churn } from './churn.ts';
import { plot } from './plot.ts';
import { type Sample, Sampler } from './sampler.ts';
import { csv, soakReport } from './soak-report.ts';
import { SteadyFleet } from './steady-fleet.ts';
import { isUndisturbed, judge } from './verdict.ts';

const SAMPLE_EVERY_MS = 10_000;
/** Small files and a small cache: what fills up does so within minutes. */
const FLAGS = [
  ['--storage-wal-file-size', '8MiB'],
  ['--server-message-max', '1MiB'],
  ['--storage-cache-size', '16MiB'],
].flat();

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    report: { type: 'string' },
  },
});
const minutes = Number(values.minutes);
const server = await startServer({ flags: FLAGS });
const fleet = new SteadyFleet();
const churn = new Churn();
await fleet.begin(server);
churn.begin(server);

const samples: Sample[] = [];
const sampler = new Sampler(server);
for (let due = 1; due * SAMPLE_EVERY_MS <= minutes * 60_000; due++) {
  await new Promise((resolve) => setTimeout(resolve, SAMPLE_EVERY_MS));
  if (!server.running) throw new Error(`the server ended:\n${server.output.slice(-20).join('\n')}`);
  const sample = await sampler.sample(fleet.acknowledged);
  samples.push(sample);
  const { atSec, rss, heap, fds, timers, disk, delay, messages } = sample;
  const shown = { atSec, rss, heap, fds, timers, disk, delay, messages };
  console.log(
    Object.entries(shown)
      .map(([name, value]) => `${name} ${value.toFixed(1)}`)
      .join(', '),
  );
}
const findings = new Findings();
await churn.end();
await fleet.end(findings);
const exitCode = await server.stop();
await server[Symbol.asyncDispose]();

const verdicts = judge(samples);
const parts = { samples, verdicts, findings, churn, minutes, exitCode };
const report = soakReport(parts, values.report);
if (values.report !== undefined) {
  const base = values.report.replace(/\.md$/, '');
  writeReport(values.report, report);
  writeReport(`${base}.svg`, plot(samples));
  writeReport(`${base}.csv`, csv(samples));
}
console.log(report);
const late = isUndisturbed(verdicts) && verdicts.some(({ within }) => within === false);
const good = !late && verdicts.every(({ flat }) => flat) && findings.total === 0 && exitCode === 0;
process.exit(good && churn.failures.length === 0 ? 0 : 1);
