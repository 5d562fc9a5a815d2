/**
 * The short fuzz run of every test: the corpus, everything that was ever found, and a fixed number
 * of new inputs from a fixed seed. The long runs are `npm run fuzz`.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { size } from '../clients/tier.ts';
import { runCampaign } from './campaign.ts';
import { foundInputs, regressions } from './corpus.ts';
import { TARGETS } from './targets/index.ts';
import { tryInput } from './trial.ts';

/**
 * Processor time that no input may take here; far above the promise, for machines that are busy.
 */
const CPU_MS_MAX = 1_000;
const INPUTS = size(4_000, 80_000);

for (const target of TARGETS) {
  describe(`fuzz of ${target.name}`, () => {
    for (const { word, input } of regressions(target.name)) {
      it(`${word} is answered as it should be R38 R43`, async () => {
        assert.equal(await tryInput(target, input, { cpuMsMax: CPU_MS_MAX }), null);
        await target.close?.();
      });
    }

    it('no input does what a decoder may not do R38', async () => {
      const { findings } = await runCampaign(target, {
        seed: 38,
        inputsMax: Math.ceil(INPUTS / (target.cost ?? 1)),
        msMax: Number.POSITIVE_INFINITY,
        guided: false,
        findingsMax: 1,
        cpuMsMax: CPU_MS_MAX,
        corpus: foundInputs(target.name),
      });
      const told = findings.map(({ input, error }) => `${input.toString('hex')}\n${error.stack}`);
      assert.deepEqual(told, []);
    });
  });
}
