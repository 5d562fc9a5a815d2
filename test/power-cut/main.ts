/**
 * `npm run power-cut -- --cuts N [--seed S] [--report FILE] [--tally FILE]`: the real server on a
 * disk that forgets what was not synced, N cuts under the load of all four protocols; ends with
 * code 1 when a promise was broken, and with code 2 where no such disk can be mounted. With a tally
 * the cuts are added to those of an earlier run.
 */
import { parseArgs } from 'node:util';
import { ready } from '../clients/toolchains/toolchain.ts';
import { openBucket } from '../load/bucket.ts';
import { runCampaign, type Tally } from '../load/campaign.ts';
import { campaignReport, writeReport } from '../load/report.ts';
import { Seed } from '../load/seed.ts';
import { loadTally, saveTally } from '../load/tally-file.ts';
import { powerCut } from './cut.ts';
import { fuse } from './fuse-toolchain.ts';
import { CUT_SETTINGS } from './settings.ts';

const { values } = parseArgs({
  options: {
    cuts: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    report: { type: 'string' },
    tally: { type: 'string' },
  },
});
const { folder, missing } = await ready(fuse);
if (folder === null) {
  console.log(`not run: ${missing}`);
  process.exit(2);
}
const before = loadTally(values.tally, Number(values.seed));
const striker = powerCut(folder, new Seed(Number(values.seed) + before.trials.length));
const earlier = { ...before.strikes };
const bucket = await openBucket();
const tally = await runCampaign(striker, {
  blows: Number(values.cuts),
  seed: Number(values.seed),
  settings: CUT_SETTINGS,
  bucket: bucket.flags,
  tally: before,
  each: saveWithLosses,
  say: (line) => console.log(line),
});
await bucket.close();
const { cuts, inSync, granules, names, sizes } = tally.strikes;
const report = campaignReport(
  {
    title: 'Power cuts',
    what:
      'The real server process works on a mounted disk that keeps apart what was not synced: ' +
      'data, sizes, and the names of files that were made, renamed or removed. At a random moment ' +
      'under the load of real clients of all four protocols the power is cut: the process is gone, ' +
      'a sync that is under way is torn (in granules of 512 or 4096 bytes), and of all the rest ' +
      'that was not synced nothing, or a random part in any order, survives. The server starts on ' +
      'what is left, and everything that was promised is checked: `docs/durability.md` says what ' +
      'that is. `test/power-cut` holds the disk; a test shows that a disk which lies is found out.',
    command: `npm run power-cut -- --cuts ${tally.restartsMs.length} --seed ${values.seed}`,
    blow: 'cuts',
    facts: [
      `${cuts} times the power went, those during a recovery included: ${inSync} in the middle of ` +
        `a sync; ${granules} granules, ${names} changes of names and ${sizes} sizes were lost`,
    ],
  },
  tally,
);
/** The tally has the losses of all parts, the striker those of this one. */
function saveWithLosses(part: Tally): void {
  for (const [name, count] of Object.entries(striker.totals)) {
    part.strikes[name] = (earlier[name] ?? 0) + count;
  }
  saveTally(values.tally, part);
}

if (values.report !== undefined) writeReport(values.report, report);
console.log(report);
process.exit(tally.findings.total === 0 ? 0 : 1);
