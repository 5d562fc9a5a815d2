/** Which segments count when no checkpoint says it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Segment } from './segment.ts';
import { standing } from './segment-load.ts';

interface Told {
  readonly id: number;
  readonly job: number;
  readonly part?: number;
  readonly last?: boolean;
  readonly lane?: 0 | 1;
  readonly done?: readonly [number, number];
  readonly replaced?: readonly number[];
}

function told({ id, job, part = 0, last = true, lane = 0, done = [0, 0], replaced = [] }: Told) {
  const facts = {
    ...{ id, job, part, last, shadows: false, lane, level: 1, firstSlot: 0, runCount: 0 },
    ...{ directoryAt: 0, lastSequence: id, generation: id, replayFrom: id + 1, done },
    ...{ firstLog: 0, lastLog: -1, replacedCount: replaced.length },
    ...{ adopted: false, overheadBytes: 0 },
  };
  return new Segment('data', false, facts, 1, new Float64Array(0), Float64Array.from(replaced));
}

const idsOf = (...found: Told[]): number[] =>
  standing(found.map(told))
    .map(({ id }) => id)
    .sort((a, b) => a - b);

test('a whole job replaces its sources, one that was cut off does not count', () => {
  const sources = [told({ id: 1, job: 1 }), told({ id: 2, job: 2 })].map(({ facts }) => facts);
  const merged = { job: 3, lane: 1 as const, replaced: [1, 2] };
  const first = { ...merged, id: 3, part: 0, last: false };
  const second = { ...merged, id: 4, part: 1, last: true };
  const older = sources.map(({ id, job }) => ({ id, job }));
  assert.deepEqual(idsOf(...older, first, second), [3, 4]);
  assert.deepEqual(idsOf(...older, first), [1, 2], 'the last part is missing');
  assert.deepEqual(idsOf(...older, second), [1, 2], 'the first part is missing');
});

test('a job of which parts were replaced since still counts', () => {
  const left = { id: 3, job: 3, lane: 1 as const, part: 0, last: false, replaced: [1, 2] };
  const later = { id: 7, job: 5, done: [0, 3] as const };
  assert.deepEqual(idsOf({ id: 1, job: 1 }, left, later), [3, 7], 'a later segment knows it');
  const early = { id: 7, job: 5, done: [4, 2] as const };
  assert.deepEqual(idsOf({ id: 1, job: 1 }, left, early), [1, 7], 'none does');
});

test('sources that outlived several jobs do not come back', () => {
  const merge = { id: 3, job: 3, lane: 1 as const, replaced: [1] };
  const again = { id: 4, job: 4, lane: 1 as const, replaced: [3], done: [1, 3] as const };
  assert.deepEqual(idsOf({ id: 1, job: 1 }, merge, again), [4]);
});
