import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Turn } from '../turn.ts';
import type { Passenger } from './turnstile.ts';

/** Timers whose turns are taken by hand. */
function handTurns() {
  let soon: (() => void)[] = [];
  const turn = new Turn({
    after: () => assert.fail('the turnstile needs no clock'),
    soon: (call) => void soon.push(call),
  });
  return {
    turn,
    /** @returns false when nothing was due */
    take(): boolean {
      const calls = soon;
      soon = [];
      for (const call of calls) call();
      return calls.length > 0;
    },
  };
}

test('few pass at once, of many some in each turn and in their order M162', () => {
  const { turn, take } = handTurns();
  const passed: number[] = [];
  const passenger = (index: number): Passenger => ({ pass: () => void passed.push(index) });
  for (let index = 0; index < 200; index++) {
    if (turn.turnstile.enter(passenger(index))) passed.push(index);
  }
  const perTurn: number[] = [passed.length];
  while (take()) perTurn.push(passed.length - perTurn.reduce((all, one) => all + one, 0));
  assert.deepEqual(
    perTurn.filter((count) => count > 0),
    [64, 64, 64, 8],
  );
  assert.deepEqual(
    passed,
    Array.from({ length: 200 }, (_, index) => index),
  );
  assert.ok(turn.turnstile.enter(passenger(0)), 'the next one does not wait');
});

test('who comes while others wait stands behind them M162', () => {
  const { turn, take } = handTurns();
  const passed: string[] = [];
  const enter = (name: string): void => {
    if (turn.turnstile.enter({ pass: () => void passed.push(name) })) passed.push(name);
  };
  for (let index = 0; index < 65; index++) enter(`a${index}`);
  take();
  assert.equal(passed.at(-1), 'a64');
  for (let index = 0; index < 64; index++) enter(`b${index}`);
  assert.equal(passed.at(-1), 'b62', 'one seat of this turn was taken');
  while (take());
  assert.equal(passed.at(-1), 'b63');
});
