import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CommitWatch } from './commit-watch.ts';

/** Commits, one each 2 ms: every second one begins beside a step and takes `besideMs`. */
function run(watch: CommitWatch, from: number, seconds: number, besideMs: number): number {
  let nowMs = from;
  for (; nowMs < from + seconds * 1000; nowMs += 2) {
    const beside = nowMs % 4 === 0;
    watch.note(1_000, beside ? besideMs : 0.4, beside, nowMs);
  }
  return nowMs;
}

test('commits that take longer beside the background slow it down, and it recovers', () => {
  const watch = new CommitWatch();
  let nowMs = run(watch, 0, 2, 0.45);
  assert.equal(watch.factorAt(nowMs), 1, 'a little is allowed');
  nowMs = run(watch, nowMs, 2, 4);
  assert.equal(watch.factorAt(nowMs), 16, 'it has a bound: what is due must be done some time');
  nowMs = run(watch, nowMs, 10, 0.45);
  assert.equal(watch.factorAt(nowMs), 1);
});

test('without undisturbed commits, or with large ones only, there is nothing to compare', () => {
  const watch = new CommitWatch();
  for (let nowMs = 0; nowMs < 5_000; nowMs++) {
    watch.note(1_000, 9, true, nowMs);
    watch.note(2 ** 20, nowMs % 2 === 0 ? 1 : 50, nowMs % 2 === 1, nowMs);
  }
  assert.equal(watch.factorAt(5_000), 1);
});

test('a disk that is slow by itself slows nothing down', () => {
  const watch = new CommitWatch();
  for (let nowMs = 0; nowMs < 20_000; nowMs += 12) watch.note(1_000, 12, nowMs % 24 === 0, nowMs);
  assert.equal(watch.factorAt(20_000), 1);
});

test('who does not commit any more, or in large pieces only, holds up the background no longer', () => {
  const watch = new CommitWatch();
  let nowMs = run(watch, 0, 4, 4);
  assert.equal(watch.factorAt(nowMs), 16);
  assert.equal(watch.factorAt(nowMs + 4_500), 16, 'a pause of seconds is not an end');
  for (let end = nowMs + 30_000; nowMs < end; nowMs++) watch.note(2 ** 20, 9, true, nowMs);
  assert.equal(watch.factorAt(nowMs), 1);
  nowMs = run(watch, nowMs, 0.5, 4);
  assert.ok(watch.factorAt(nowMs) < 16, 'it begins anew from there');
});

test('one commit that a stopped process held up does not hide what the others show', () => {
  const watch = new CommitWatch();
  const nowMs = run(watch, 0, 1, 0.45);
  watch.note(1_000, 600_000, false, nowMs);
  assert.equal(watch.factorAt(run(watch, nowMs, 2, 4)), 16);
});
