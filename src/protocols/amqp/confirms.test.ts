import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BrokerError } from '#kit';
import { ConfirmLedger } from './confirms.ts';
import { Outstanding } from './outstanding.ts';

type Told = [tag: number, multiple: boolean, acked: boolean];

function ledger(publishes: number): { confirms: ConfirmLedger; flush(): Told[] } {
  const outstanding = new Outstanding();
  const confirms = new ConfirmLedger(outstanding, () => undefined);
  for (let count = 0; count < publishes; count++) {
    outstanding.begin();
    confirms.next();
  }
  return {
    confirms,
    flush() {
      const told: Told[] = [];
      confirms.flush((tag, multiple, acked) => told.push([tag, multiple, acked]));
      return told;
    },
  };
}

test('tags that were committed in order leave as one acknowledgement of several A34', () => {
  const { confirms, flush } = ledger(5);
  confirms.published(1, null);
  assert.deepEqual(flush(), [[1, false, true]]);
  for (const tag of [2, 3, 4]) confirms.published(tag, null);
  assert.deepEqual(flush(), [[4, true, true]]);
  assert.deepEqual(flush(), []);
  assert.equal(confirms.unsettledCount, 1);
});

test('a tag that is early is told alone, and once A34', () => {
  const { confirms, flush } = ledger(4);
  confirms.published(3, null);
  assert.deepEqual(flush(), [[3, false, true]]);
  confirms.published(1, null);
  confirms.published(2, null);
  assert.deepEqual(flush(), [[2, true, true]]);
  confirms.published(4, null);
  assert.deepEqual(flush(), [[4, false, true]]);
});

test('a failure is a nack of its own, told before what passes over it A34', () => {
  const { confirms, flush } = ledger(4);
  const error = new BrokerError('storage-full');
  confirms.published(2, error);
  assert.deepEqual(flush(), [[2, false, false]]);
  confirms.published(1, null);
  confirms.published(3, null);
  assert.deepEqual(flush(), [[3, true, true]]);
  confirms.published(4, error);
  assert.deepEqual(flush(), [[4, false, false]]);
});

test('every tag is settled exactly once in any order of commits A34', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const { confirms, flush } = ledger(30);
    const settled = new Map<number, boolean>();
    const open = Array.from({ length: 30 }, (_, index) => index + 1);
    let state = seed;
    while (open.length > 0) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      const [tag] = open.splice(state % Math.min(open.length, 4), 1);
      confirms.published(tag!, state % 7 === 0 ? new BrokerError('busy') : null);
      if (state % 3 !== 0 && open.length > 0) continue;
      for (const [told, multiple, acked] of flush()) {
        const from = multiple ? 1 : told;
        for (let each = from; each <= told; each++) {
          if (settled.has(each)) assert.ok(multiple, `${each} is told twice`);
          else settled.set(each, acked);
        }
      }
    }
    assert.equal(settled.size, 30);
  }
});
