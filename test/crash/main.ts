/**
 * `npm run crash -- --cycles N [--seed S] [--report FILE] [--tally FILE]`: kill -9 of the real
 * server under the load of all four protocols, N times; ends with code 1 when a promise was broken.
 * With a tally the cycles are added to those of an earlier run.
 */
import { parseArgs } from 'node:util';
import { openBucket } from '../load/bucket.ts';
import { runCampaign } from '../load/campaign.ts';
import { campaignReport, writeReport } from '../load/report.ts';
import { loadTally, saveTally } from '../load/tally-file.ts';
import { kill } from './kill.ts';

const { values } = parseArgs({
  options: {
    cycles: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    report: { type: 'string' },
    tally: { type: 'string' },
  },
});
const bucket = await openBucket();
const tally = await runCampaign(kill, {
  blows: Number(values.cycles),
  seed: Number(values.seed),
  bucket: bucket.flags,
  tally: loadTally(values.tally, Number(values.seed)),
  each: (part) => saveTally(values.tally, part),
  say: (line) => console.log(line),
});
await bucket.close();
const cycles = tally.restartsMs.length;
const report = campaignReport(
  {
    title: 'Crash runs',
    what:
      'The real server process under the load of real clients of all four protocols at once is ' +
      'killed with SIGKILL at random moments and started again on the same folder. After each ' +
      'start everything that was promised is checked: `docs/durability.md` says what that is.',
    command: `npm run crash -- --cycles ${cycles} --seed ${values.seed}`,
    blow: 'kills',
  },
  tally,
);
if (values.report !== undefined) writeReport(values.report, report);
console.log(report);
process.exit(tally.findings.total === 0 ? 0 : 1);
