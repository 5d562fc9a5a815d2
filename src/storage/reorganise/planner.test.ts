import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_LIMITS } from '../limits.ts';
import { Segment } from '../segments/segment.ts';
import { type MergePlan, planMerge } from './planner.ts';

const MIB = 2 ** 20;
const NONE = new Float64Array(0);

/** A segment of so many bytes, the nth in time. */
function segment(order: number, bytes: number, over: { level?: number; slot?: number } = {}) {
  const facts = {
    ...{ id: order, job: order, part: 0, last: true, shadows: false, lane: 0 },
    ...{ level: over.level ?? 1, firstSlot: over.slot ?? 0, runCount: 1, directoryAt: bytes },
    ...{ lastSequence: order, generation: order, replayFrom: order + 1 },
    ...{ done: [0, 0] as const, firstLog: 0, lastLog: 1, replacedCount: 0 },
    ...{ adopted: false, overheadBytes: 0 },
  };
  const made = new Segment('data', false, facts, bytes, NONE, NONE);
  made.deadBytes = 0;
  return made;
}

const ids = (plan: MergePlan | null): number[] => plan?.sources.map(({ id }) => id) ?? [];

test('four full groups next to each other go one level down, the oldest first', () => {
  const segments = [1, 2, 3].map((order) => segment(order, 64 * MIB));
  assert.equal(planMerge(segments, DEFAULT_LIMITS), null, 'three may wait');
  const plan = planMerge([...segments, segment(4, 64 * MIB)], DEFAULT_LIMITS);
  assert.deepEqual([ids(plan), plan?.level, plan?.why], [[1, 2, 3, 4], 2, 'level']);
});

test('a large group is not merged with much smaller ones, and small ones stay in their level', () => {
  const segments = [segment(1, 100 * MIB), ...[2, 3, 4].map((order) => segment(order, MIB))];
  assert.equal(planMerge(segments, DEFAULT_LIMITS), null);
  const plan = planMerge([...segments, segment(5, MIB)], DEFAULT_LIMITS);
  assert.deepEqual([ids(plan), plan?.level], [[2, 3, 4, 5], 1]);
});

test('ranges of slots are merged on their own', () => {
  const segments = [1, 2, 3, 4].map((order) =>
    segment(order, 64 * MIB, { level: 2, slot: order % 2 === 0 ? 0 : 256 }),
  );
  assert.equal(planMerge(segments, DEFAULT_LIMITS), null);
});

test('what is dead goes first, then what is mostly dead', () => {
  const segments = [1, 2, 3, 4].map((order) => segment(order, 64 * MIB));
  segments[1]!.deadBytes = 40 * MIB;
  segments[3]!.deadBytes = 64 * MIB;
  const first = planMerge(segments, DEFAULT_LIMITS);
  assert.deepEqual([ids(first), first?.why], [[4], 'dead']);
  const second = planMerge(segments.slice(0, 3), DEFAULT_LIMITS);
  assert.deepEqual([ids(second), second?.why, second?.level], [[2], 'wasteful', 1]);
});

test('short segments of long runs are merged, but not for ever', () => {
  const segments = Array.from({ length: 8 }, (_, order) =>
    segment(order + 1, 2 * MIB, { level: 0, slot: order }),
  );
  assert.equal(planMerge(segments, DEFAULT_LIMITS)?.why, 'short');
  for (const one of segments) one.resting = true;
  assert.equal(planMerge(segments, DEFAULT_LIMITS), null);
});
