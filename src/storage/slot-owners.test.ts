import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualFiles } from './files/virtual-files.ts';
import { engineContract } from './log-engine.contract.ts';
import { LOG_IDS_PER_SLOT } from './log-engine.ts';
import { joinOwners } from './slot-owners.ts';
import { appended, dataBatch, factsOf, openTestEngine, seededRandom } from './storage.fixture.ts';

const byParity = (slot: number): number => slot % 2;

async function openTwo(files: VirtualFiles, limits = {}) {
  const owners = [
    await openTestEngine({ files, limits, directory: 'even' }),
    await openTestEngine({ files, limits, directory: 'odd' }),
  ];
  return joinOwners(owners, byParity);
}

engineContract('two owners', () => {
  const files = new VirtualFiles({ random: seededRandom(1) });
  return { open: (limits = {}) => openTwo(files, limits), end: () => {} };
});

test('logs lie with the owner of their slot, and hooks reach both in one turn', async () => {
  const files = new VirtualFiles({ random: seededRandom(2) });
  let engine = await openTwo(files);
  const [even, odd] = [3, LOG_IDS_PER_SLOT + 3];
  assert.equal(engine.sameOwner(even, odd), false);
  assert.equal(engine.sameOwner(even, 2 * LOG_IDS_PER_SLOT + 9), true);
  engine.beforeSeal(() => {
    const late = engine.open(odd, 'fsync');
    if (late.endOffset === 0) late.append(dataBatch('late'), factsOf());
  });
  await appended(engine.open(even, 'fsync'), dataBatch('early'));
  await engine.flushed();
  assert.equal(engine.open(odd, 'fsync').highWatermark, 1);
  await engine.close();
  engine = await openTwo(files);
  assert.deepEqual([engine.has(even), engine.has(odd)], [true, true]);
  assert.equal(engine.report.damaged.length, 0);
  await engine.close();
  const alone = await openTestEngine({ files, directory: 'even' });
  assert.deepEqual([alone.has(even), alone.has(odd)], [true, false]);
  await alone.close();
});

test('what a hook appends for one owner finds room while that one is busy', async () => {
  const files = new VirtualFiles({ random: seededRandom(4) });
  const engine = await openTwo(files, { inFlightBytesMax: 20_000 });
  const [even, odd] = [engine.open(3, 'fsync'), engine.open(LOG_IDS_PER_SLOT + 3, 'fsync')];
  let accepted = 0;
  engine.beforeSeal(() => {
    if (accepted > 0 || even.endOffset === 0) return;
    odd.append(dataBatch('late'), factsOf());
    accepted++;
  });
  assert.throws(
    () => {
      for (;;) odd.append(dataBatch('filler', 6_000), factsOf());
    },
    { code: 'busy' },
  );
  const before = odd.endOffset;
  // The first owner's turn ends first: its hooks find the other one as busy as it was.
  engine.sealing(() => even.append(dataBatch('early'), factsOf()));
  await engine.flushed();
  assert.deepEqual([accepted, odd.endOffset], [1, before + 1]);
  await engine.close();
});

test('one owner that fails is told as the health of all', async () => {
  const files = new VirtualFiles({ random: seededRandom(3) });
  const engine = await openTwo(files);
  const heard: string[] = [];
  engine.onHealth((health) => heard.push(health));
  files.fault = (_, path) => {
    if (path.startsWith('odd/')) throw Object.assign(new Error('EIO'), { code: 'EIO' });
  };
  await assert.rejects(appended(engine.open(LOG_IDS_PER_SLOT + 1, 'fsync'), dataBatch('x')));
  assert.deepEqual([heard, engine.health], [['failed'], 'failed']);
  await appended(engine.open(1, 'fsync'), dataBatch('the other owner goes on'));
  await engine.close();
});
