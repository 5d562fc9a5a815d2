/**
 * Power cuts under the load of all four protocols, on a mounted disk that forgets what was not
 * synced. `npm run power-cut` does the same for as long as one likes. It needs /dev/fuse and root.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ready } from '../clients/toolchains/toolchain.ts';
import { runCampaign } from '../load/campaign.ts';
import { Seed } from '../load/seed.ts';
import { powerCut } from './cut.ts';
import { fuse } from './fuse-toolchain.ts';
import { CUT_SETTINGS } from './settings.ts';

const CUTS = 6;

const { folder, missing } = await ready(fuse);

describe('a power cut under load', {
  skip: missing === null ? false : `not run: ${missing}`,
}, () => {
  for (const [index, settings] of CUT_SETTINGS.slice(0, 3).entries()) {
    it(`breaks no promise: ${settings.title} X62 R33`, async () => {
      const striker = powerCut(folder!, new Seed(index));
      const options = { blows: CUTS, seed: index + 1, settings: [settings] };
      const tally = await runCampaign(striker, options);
      assert.equal(tally.findings.describe(), '');
      assert.ok(striker.totals.granules > 0, 'there was something to lose');
    });
  }

  it('is found out when the disk says that writes are durable and they are not R33', async () => {
    const striker = powerCut(folder!, new Seed(9), true);
    const settings = CUT_SETTINGS.slice(0, 1);
    const options = { blows: 1, seed: 9, settings, patienceMs: 5_000 };
    const { findings } = await runCampaign(striker, options);
    assert.ok((findings.counts.get('lost') ?? 0) > 0, findings.describe());
  });
});
