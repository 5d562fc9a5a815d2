/**
 * `npm run crash -- --cycles N [--seed S] [--report FILE]`: kill -9 of the real server under the
 * load of all four protocols, N times; ends with code 1 when a promise was broken.
 */
import { parseArgs } from 'node:util';
import { runCampaign } from '../load/campaign.ts';
import { campaignReport, writeReport } from '../load/report.ts';
import { kill } from './kill.ts';

const { values } = parseArgs({
  options: {
    cycles: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    report: { type: 'string' },
  },
});
const tally = await runCampaign(kill, {
  blows: Number(values.cycles),
  seed: Number(values.seed),
  say: (line) => console.log(line),
});
const report = campaignReport(
  {
    title: 'Crash runs',
    what:
      'The real server process under the load of real clients of all four protocols at once is ' +
      'killed with SIGKILL at random moments and started again on the same folder. After each ' +
      'start everything that was promised is checked: `docs/durability.md` says what that is.',
    command: `npm run crash -- --cycles ${values.cycles} --seed ${values.seed}`,
    blow: 'kills',
  },
  tally,
);
if (values.report !== undefined) writeReport(values.report, report);
console.log(report);
process.exit(tally.findings.total === 0 ? 0 : 1);
