/**
 * The whole server on virtual time, disk and network. `SIMULATION_SEEDS` and `SIMULATION_FROM` play
 * others; `npm run simulate` plays many and shows what happened.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { playAlone } from './child.ts';
import { FOUND_SEEDS } from './found-seeds.ts';
import { play } from './play.ts';

const SEEDS = Number(process.env['SIMULATION_SEEDS'] ?? 100);
const FROM = Number(process.env['SIMULATION_FROM'] ?? 1);
/** Seeds that are played twice: here, after all the others, and alone. */
const REPEATED = [2, 3, 5];

test('no seed loses, invents, moves or repeats what was acknowledged R30 R31', async () => {
  for (let seed = FROM; seed < FROM + SEEDS; seed++) await mustHold(seed);
});

test('the seeds that found faults hold R43', async () => {
  for (const [seed] of FOUND_SEEDS) await mustHold(seed);
});

test('a seed gives the same trace after others and in a process of its own, which asks the machine for nothing R30', async () => {
  const hashes = new Set<string>();
  for (const seed of REPEATED) {
    const first = await play(seed);
    const alone = await playAlone(seed);
    assert.equal(alone.failure, null);
    assert.equal(alone.hash, first.hash, `seed ${seed} went two ways`);
    assert.equal(alone.outside, '', `seed ${seed}`);
    hashes.add(first.hash);
  }
  assert.equal(hashes.size, REPEATED.length);
});

async function mustHold(seed: number): Promise<void> {
  const { failure, tail } = await play(seed);
  if (failure === null) return;
  assert.fail(
    `${tail.join('\n')}\nseed ${seed}: ${failure.stack}\n` +
      `Again: npm run simulate -- --seed ${seed} --trace`,
  );
}
