import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLog } from '#kit';
import { connectionsWithin, openFilesMax } from './open-files.ts';

test('connections leave descriptors for the data files O19', () => {
  assert.equal(connectionsWithin(100_000, 1_000_000, silentLog), 100_000);
  assert.equal(connectionsWithin(100_000, 1024, silentLog), 768);
  assert.equal(connectionsWithin(100_000, 100, silentLog), 1);
  assert.equal(connectionsWithin(100_000, null, silentLog), 100_000);
});

test('the limit of this process is found where the system tells it', () => {
  const limit = openFilesMax();
  if (process.platform === 'linux') assert.ok(limit !== null && limit >= 64);
});
