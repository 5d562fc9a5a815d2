import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import type { Clock, Timers } from '#kit';
import { FirstReads, type Newcomer } from './first-reads.ts';

describe('first reads', () => {
  let nowMs = 0;
  let due: { readonly atMs: number; readonly call: () => void } | null = null;
  let reads: FirstReads;
  let reading: Set<number>;
  let started: number[];

  beforeEach(() => {
    nowMs = 0;
    due = null;
    reading = new Set();
    started = [];
    const clock: Clock = { nowMs: () => nowMs, nowNs: () => 0n, monotonicMs: () => nowMs };
    const timers: Timers = {
      after(delayMs, call) {
        assert.equal(due, null, 'one timer is enough');
        due = { atMs: nowMs + delayMs, call };
        return { cancel: () => (due = null) };
      },
      soon: () => assert.fail('nothing polls'),
    };
    reads = new FirstReads(clock, timers);
  });

  function newcomers(from: number, to: number): Newcomer[] {
    return Array.from({ length: to - from }, (_, index) => ({
      startReading() {
        reading.add(from + index);
        started.push(from + index);
      },
      stopReading: () => void reading.delete(from + index),
    }));
  }

  function pass(ms: number): void {
    nowMs += ms;
    while (due !== null && due.atMs <= nowMs) {
      const { call } = due;
      due = null;
      call();
    }
  }

  test('few are read at once, and nothing is armed for them M162', () => {
    const few = newcomers(0, 256);
    for (const each of few) reads.add(each);
    assert.equal(reading.size, 256);
    assert.equal(due, null);
    for (const each of few) reads.done(each);
  });

  test('of many the next ones are read when others have spoken, in their order M162', () => {
    const many = newcomers(0, 600);
    for (const each of many) reads.add(each);
    assert.equal(reading.size, 256);
    for (const each of many) reads.done(each);
    assert.deepEqual(
      started,
      Array.from({ length: 600 }, (_, index) => index),
    );
  });

  test('the silent give way, and come again behind those who had no place yet M162 M159', () => {
    const silent = newcomers(0, 300);
    for (const each of silent) reads.add(each);
    pass(100);
    assert.equal(reading.size, 256);
    assert.deepEqual(
      [...reading].slice(-44),
      Array.from({ length: 44 }, (_, index) => 256 + index),
    );
    const fresh = newcomers(1000, 1010);
    for (const each of fresh) reads.add(each);
    pass(100);
    assert.ok(fresh.every((_, index) => reading.has(1000 + index)));
    for (const each of [...silent, ...fresh]) reads.done(each);
    pass(1000);
    assert.equal(due, null);
    reads.close();
  });

  test('who leaves while it waits is not read any more M162', () => {
    const some = newcomers(0, 258);
    for (const each of some) reads.add(each);
    reads.done(some[256]!);
    reads.done(some[0]!);
    assert.ok(!reading.has(256) && reading.has(257));
  });
});
