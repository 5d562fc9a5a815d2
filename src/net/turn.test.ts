import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Timers } from '#kit';
import { Turn } from './turn.ts';

/** Runs what was put off, turn by turn, when told to. */
class StepTimers implements Timers {
  #calls: (() => void)[] = [];
  after(): { cancel(): void } {
    return { cancel() {} };
  }
  soon(call: () => void): void {
    this.#calls.push(call);
  }
  step(): number {
    const calls = this.#calls;
    this.#calls = [];
    for (const call of calls) call();
    return calls.length;
  }
}

test('flushes come after all calls of the turn, also those that the calls ask for', () => {
  const timers = new StepTimers();
  const turn = new Turn(timers);
  const seen: string[] = [];
  turn.flushLater({ flush: () => seen.push('flush 1') });
  turn.soon(() => {
    seen.push('call');
    turn.flushLater({ flush: () => seen.push('flush 2') });
  });
  assert.equal(timers.step(), 1);
  assert.deepEqual(seen, ['call', 'flush 1', 'flush 2']);
  assert.equal(timers.step(), 0);
});

test('a call that asks for a call gets it in the next turn', () => {
  const timers = new StepTimers();
  const turn = new Turn(timers);
  let count = 0;
  const again = (): void => {
    count++;
    turn.soon(again);
  };
  turn.soon(again);
  timers.step();
  assert.equal(count, 1);
  timers.step();
  assert.equal(count, 2);
});

test('an exception of one call does not lose the others', () => {
  const timers = new StepTimers();
  const turn = new Turn(timers);
  const seen: string[] = [];
  turn.soon(() => {
    throw new Error('a mistake');
  });
  turn.soon(() => seen.push('second'));
  turn.flushLater({ flush: () => seen.push('flush') });
  assert.throws(() => timers.step(), /a mistake/);
  timers.step();
  assert.deepEqual(seen, ['second', 'flush']);
});
