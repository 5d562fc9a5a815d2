import assert from 'node:assert/strict';
import test from 'node:test';
import type { Timers } from '#kit';
import { RetainedPace } from './retained-pace.ts';

class Turns implements Timers {
  #calls: (() => void)[] = [];

  after(): { cancel(): void } {
    throw new Error('nothing is timed');
  }

  soon(call: () => void): void {
    this.#calls.push(call);
  }

  /** @returns false when nothing was asked for */
  next(): boolean {
    const calls = this.#calls.splice(0);
    for (const call of calls) call();
    return calls.length > 0;
  }
}

class Written {
  endOffset = 0;
  done = 0;

  isBehind(offset: number): boolean {
    return this.done < offset;
  }
}

/** Reads its packets until one has to wait. */
class Sender {
  readonly #pace: RetainedPace;
  left: number;
  held = false;

  constructor(pace: RetainedPace, packets: number) {
    this.#pace = pace;
    this.left = packets;
  }

  hold(): void {
    assert.ok(!this.held, 'it stands in the line once');
    this.held = true;
  }

  goOn(): void {
    assert.ok(this.held);
    this.held = false;
    this.read();
  }

  read(): void {
    while (this.left > 0 && this.#pace.take(this)) this.left--;
  }
}

test('a turn has a share of retained messages, and those who send more take turns M118 M119', () => {
  const turns = new Turns();
  const pace = new RetainedPace(turns, new Written());
  const senders = [3_000, 3_000, 10].map((packets) => new Sender(pace, packets));
  const [first, second, small] = senders as [Sender, Sender, Sender];
  const left = (): number => senders.reduce((sum, sender) => sum + sender.left, 0);
  for (const sender of senders) sender.read();
  let before = left();
  assert.ok(before > 5_000, 'the turn has its share');
  for (let turn = 0; turn < 3; turn++) {
    turns.next();
    assert.ok(before - left() <= 512);
    before = left();
  }
  assert.equal(small.left, 0, 'a small one does not wait for the large ones to end');
  assert.ok(Math.abs(first.left - second.left) <= 512);
  // One that comes while others wait does not overtake them.
  const late = new Sender(pace, 1);
  late.read();
  assert.ok(late.held);
  while (turns.next());
  assert.equal(left() + late.left, 0);
  assert.ok([late, ...senders].every((sender) => !sender.held));
});

test('a few messages never wait, turn after turn M118', () => {
  const turns = new Turns();
  const pace = new RetainedPace(turns, new Written());
  for (let turn = 0; turn < 10; turn++) {
    const sender = new Sender(pace, 50);
    sender.read();
    assert.equal(sender.left, 0);
    turns.next();
  }
  assert.equal(turns.next(), false);
});

test('who sets a value waits for what others wrote before, and not for more X5 M118', () => {
  const turns = new Turns();
  const values = new Written();
  const pace = new RetainedPace(turns, values);
  values.endOffset = 1_000;
  const sender = new Sender(pace, 10);
  sender.read();
  assert.ok(sender.held);
  for (values.done = 0; values.done < 1_000; values.done += 250) {
    turns.next();
    assert.equal(sender.left, 10);
    // A producer that does not stop.
    values.endOffset += 500;
  }
  turns.next();
  assert.equal(sender.left, 0);
});
