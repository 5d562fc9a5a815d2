/**
 * kill -9 of the real server under the load of all four protocols, again and again on the same
 * folder. `npm run crash` does the same for as long as one likes.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { size } from '../clients/tier.ts';
import { runCampaign } from '../load/campaign.ts';
import { TRIAL_SETTINGS } from '../load/settings.ts';
import { kill } from './kill.ts';

const CYCLES = size(4, 12);

describe('kill -9 under load on all four protocols', () => {
  for (const [index, settings] of TRIAL_SETTINGS.slice(0, size(1, 6)).entries()) {
    it(`breaks no promise: ${settings.title} X62 M89 R32`, async () => {
      const tally = await runCampaign(kill, {
        blows: CYCLES,
        seed: index + 1,
        settings: [settings],
      });
      assert.equal(tally.restartsMs.length, CYCLES);
      assert.equal(tally.findings.describe(), '');
      const { mqtt, kafka, amqp } = tally.acknowledged;
      assert.ok(Math.min(mqtt, kafka, amqp) > 0, 'every protocol got acknowledgements');
    });
  }
});
