import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLog } from '#kit';
import { connectionsWithin, openFilesMax, segmentsWithin } from './open-files.ts';

test('connections leave descriptors for the data files O19', () => {
  assert.equal(connectionsWithin(100_000, 1_000_000, silentLog), 100_000);
  assert.equal(connectionsWithin(100_000, 1024, silentLog), 768);
  assert.equal(connectionsWithin(100_000, 100, silentLog), 1);
  assert.equal(connectionsWithin(100_000, null, silentLog), 100_000);
});

test('connections and open segments together fit under the limit O19', () => {
  for (const limit of [256, 1024, 4096, 20_000, 1_000_000]) {
    const taken = connectionsWithin(10_000_000, limit, silentLog) + segmentsWithin(limit);
    assert.ok(taken <= limit - 100, `${taken} of ${limit}`);
  }
  assert.equal(segmentsWithin(1024), 128);
  assert.equal(segmentsWithin(1_000_000), 512);
  assert.equal(segmentsWithin(null), 512);
});

test('the limit of this process is found where the system tells it', () => {
  const limit = openFilesMax();
  if (process.platform === 'linux') assert.ok(limit !== null && limit >= 64);
});
