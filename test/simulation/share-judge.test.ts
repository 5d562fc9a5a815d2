/** The judge of share groups: what it finds wrong, and what a server that ended excuses. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ledger } from './ledger.ts';
import { VirtualNetwork } from './network.ts';
import { Scheduler } from './scheduler.ts';
import { Seeded } from './seeded.ts';
import { type Acquisition, ShareJudge } from './share-judge.ts';
import { Trace } from './trace.ts';

const LOCK_MS = 1_000;
const DELIVERIES_MAX = 5;
const PARTITION = 'events/1';

/** A judge, and members whose connections do not notice when their server ends. */
class Court {
  nowMs = 0;
  readonly judge: ShareJudge;
  readonly #network: VirtualNetwork;

  constructor() {
    const clock = () => this.nowMs;
    const trace = new Trace(clock, null);
    this.#network = new VirtualNetwork(new Scheduler(), new Seeded(1, 'network'), trace);
    this.judge = new ShareJudge(new Ledger(trace, clock), 'sg', LOCK_MS, DELIVERIES_MAX);
  }

  /** A member asks for records. */
  asks(member: string): Acquisition {
    this.judge.fetching(member);
    return { member, wire: this.#network.connect('kafka', member), askedMs: this.nowMs };
  }

  /** The answer comes, and brings the record at offset 2. */
  gets(by: Acquisition, count: number): void {
    this.judge.fetched(by.member);
    this.judge.acquired(PARTITION, 2, count, by);
  }

  serverEndsAt(ms: number): void {
    this.nowMs = ms;
    this.judge.serverEnded();
  }
}

test('a record that comes to another member while a lock holds is found', () => {
  const court = new Court();
  court.gets(court.asks('one'), 1);
  court.nowMs = LOCK_MS - 1;
  const second = court.asks('two');
  assert.throws(() => court.gets(second, 2), /came to two while one has it/);
});

test('a record may come to another member when its lock has ended', () => {
  const court = new Court();
  court.gets(court.asks('one'), 1);
  court.nowMs = LOCK_MS;
  court.gets(court.asks('two'), 2);
});

test('a lock ends with its server, also when its member has not noticed that yet', () => {
  const court = new Court();
  court.gets(court.asks('one'), 1);
  court.serverEndsAt(100);
  court.nowMs = 500;
  court.gets(court.asks('two'), 1);
});

test('the locks of the next server hold again', () => {
  const court = new Court();
  court.serverEndsAt(100);
  court.nowMs = 400;
  court.gets(court.asks('one'), 1);
  court.nowMs = 500;
  const second = court.asks('two');
  assert.throws(() => court.gets(second, 2), /came to two while one has it/);
});

test('an answer that was on its way when its server ended brings no lock', () => {
  const court = new Court();
  const early = court.asks('one');
  court.serverEndsAt(100);
  court.nowMs = 101;
  court.gets(early, 1);
  court.nowMs = 500;
  court.gets(court.asks('two'), 2);
});

test('an answer that was lost with its server may have been one delivery, and not two', () => {
  for (const count of [DELIVERIES_MAX - 1, DELIVERIES_MAX - 2]) {
    const court = new Court();
    court.gets(court.asks('one'), count);
    court.asks('two');
    court.serverEndsAt(100);
    court.judge.lost('two');
    const audit = () => court.judge.audit(PARTITION, 3, [2], court.nowMs);
    if (count === DELIVERIES_MAX - 1) audit();
    else assert.throws(audit, /at 2 is passed over/);
  }
});

test('what was finished does not come again when a server has ended', () => {
  const court = new Court();
  const first = court.asks('one');
  court.gets(first, 1);
  court.judge.asking(PARTITION, 2, 'accept', 'one', first.wire);
  court.judge.answered(PARTITION, 2, 'accept', first);
  court.serverEndsAt(100);
  court.nowMs = 500;
  const second = court.asks('two');
  assert.throws(() => court.gets(second, 1), /came to two after it was finished/);
});
