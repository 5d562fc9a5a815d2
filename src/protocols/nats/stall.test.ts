import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualTimers } from '../../../test/contract/test-host.ts';
import { ChunkPool } from './chunk-pool.ts';
import { Outbox, type Pipe } from './outbox.ts';
import { SendGuard } from './send-guard.ts';
import { Stall } from './stall.ts';

const STALL_MS = 10;

function guard(timers: ManualTimers): SendGuard {
  const pipe: Pipe = { write: () => false, pendingBytes: 1 };
  const outbox = new Outbox(pipe, new ChunkPool(), () => {});
  const limits = { pendingBytesMax: 64 << 20, writeDeadlineMs: 10_000 };
  return new SendGuard(pipe, outbox, timers, limits, () => {});
}

test('a publisher goes on when all whom it has overrun have caught up, once N15', () => {
  const timers = new ManualTimers();
  const behind = [guard(timers), guard(timers), guard(timers)];
  let over = 0;
  new Stall(behind, timers, STALL_MS, () => over++);
  behind[0]!.release();
  behind[2]!.stop();
  assert.equal(over, 0);
  behind[1]!.release();
  assert.equal(over, 1);
  timers.pass(STALL_MS);
  assert.equal(over, 1);
  assert.equal(timers.count, 0);
});

test('it goes on after a moment in any case, and those who catch up later change nothing N15', () => {
  const timers = new ManualTimers();
  const behind = [guard(timers), guard(timers)];
  let over = 0;
  new Stall(behind, timers, STALL_MS, () => over++);
  behind[0]!.release();
  timers.pass(STALL_MS);
  assert.equal(over, 1);
  behind[1]!.release();
  assert.equal(over, 1);
});

test('one that is cancelled is never over N15', () => {
  const timers = new ManualTimers();
  const behind = [guard(timers)];
  const stall = new Stall(behind, timers, STALL_MS, () => assert.fail('it is over'));
  stall.cancel();
  behind[0]!.release();
  timers.pass(STALL_MS);
});
