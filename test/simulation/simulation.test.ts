/**
 * The whole server on virtual time, disk and network. `SIMULATION_SEEDS` and `SIMULATION_FROM` play
 * others; `npm run simulate` plays many and shows what happened.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FOUND_SEEDS } from './found-seeds.ts';
import { play } from './play.ts';

const SEEDS = Number(process.env['SIMULATION_SEEDS'] ?? 100);
const FROM = Number(process.env['SIMULATION_FROM'] ?? 1);
/** Seeds that are played twice. */
const REPEATED = [2, 3, 5, 8];

test('no seed loses, invents, moves or repeats what was acknowledged R30 R31', async () => {
  for (let seed = FROM; seed < FROM + SEEDS; seed++) await mustHold(seed);
});

test('the seeds that found faults hold R43', async () => {
  for (const [seed] of FOUND_SEEDS) await mustHold(seed);
});

test('the same seed gives the same trace, another one another R30', async () => {
  const hashes = new Set<string>();
  for (const seed of REPEATED) {
    const first = await play(seed);
    const second = await play(seed);
    assert.equal(second.hash, first.hash, `seed ${seed} went two ways`);
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
