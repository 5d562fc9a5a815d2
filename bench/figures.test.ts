/** Ratios compare neighbours, and more is always better for us. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ratioOf } from './figures.ts';
import type { Sample } from './turns.ts';

const NONE = { messages: 0, seconds: 1, megabytesPerSecond: 0, lost: 0, loadCpu: 0 };
const SERVER = { serverCpuUs: 0, resident: 0 };

const rate = (perSecond: number): Sample => ({ ...NONE, ...SERVER, perSecond });
const slow = (p50: number, p99: number): Sample => {
  const latency = { p50, p99, p999: p99, max: p99, curve: [] };
  return { ...NONE, ...SERVER, perSecond: 0, latency };
};

test('a rate divides ours by the peer of the same round', () => {
  const ours = [rate(100), rate(10), rate(300)];
  const theirs = [rate(50), rate(5), rate(100)];
  const found = ratioOf({ measures: 'rate' }, ours, theirs);
  assert.deepEqual(found, { ratio: 2, lowest: 2, highest: 3 });
});

test('a latency divides the peer by ours, for the percentile that is asked', () => {
  const [ours, theirs] = [[slow(10, 40)], [slow(20, 20)]];
  assert.equal(ratioOf({ measures: 'latency' }, ours, theirs).ratio, 2);
  assert.equal(ratioOf({ measures: 'latency' }, ours, theirs, 'p99').ratio, 0.5);
});
