import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { ManualTimers, openTestHost } from '../../../test/contract/test-host.ts';
import { type PublishToll, payToll, type TollPayer } from './publish-toll.ts';

async function open() {
  const timers = new ManualTimers();
  const host = await openTestHost({ timers, clock: timers.clock });
  const { quotas } = host.broker;

  class Payer implements TollPayer {
    toll: PublishToll | null = null;
    unpaidBytes = 0;
    isRead = true;
    readonly user: string;
    readonly client: string;

    constructor(user: string, client: string) {
      this.user = user;
      this.client = client;
    }

    pay(bytes: number): void {
      this.unpaidBytes += bytes;
      payToll(this, quotas, timers, this.user, this.client);
    }

    tollChanged(): void {
      const isRead = this.toll?.owes !== true;
      assert.notEqual(isRead, this.isRead, 'it is told once');
      this.isRead = isRead;
    }
  }
  return { timers, host, quotas, payer: (user: string, client: string) => new Payer(user, client) };
}

test('who published too much is not read until it is paid for K79 X33', async () => {
  const { timers, host, quotas, payer } = await open();
  quotas.set({ user: 'ann' }, { 'publish-bytes': 1000 });
  const one = payer('ann', 'a');
  one.pay(1000);
  assert.ok(one.isRead, 'a second is there at once');
  one.pay(300);
  one.pay(200);
  assert.ok(!one.isRead);
  timers.pass(499);
  assert.ok(!one.isRead, 'also for what came while it owed');
  timers.pass(1);
  assert.ok(one.isRead);
  assert.equal(timers.count, 0);
  const other = payer('bob', 'a');
  other.pay(1e9);
  assert.ok(other.isRead, 'a user without a quota');
  await host.close();
});

test('all connections of a user take from one share, whatever they speak K79', async () => {
  const { timers, host, quotas, payer } = await open();
  quotas.set({ user: 'ann' }, { 'publish-bytes': 1000 });
  const [one, two] = [payer('ann', 'a'), payer('ann', 'b')];
  one.pay(2000);
  two.pay(500);
  assert.deepEqual([one.isRead, two.isRead], [false, false]);
  const elsewhere = quotas.enter('ann', 'c');
  assert.equal(elsewhere.debtMs('publish-bytes'), 1500);
  timers.pass(1000);
  assert.deepEqual([one.isRead, two.isRead], [true, false], 'who came first goes first');
  timers.pass(500);
  assert.ok(two.isRead);
  await host.close();
});

test('a change of quotas holds at once for who waits K79', async () => {
  const { timers, host, quotas, payer } = await open();
  quotas.set({ user: 'ann' }, { 'publish-bytes': 1 });
  const one = payer('ann', 'a');
  one.pay(10_001);
  assert.ok(!one.isRead);
  quotas.set({ user: 'ann' }, { 'publish-bytes': 100 });
  quotas.set({ user: 'ann' }, { 'publish-bytes': 1000 });
  await turn();
  timers.pass(9999);
  assert.ok(!one.isRead, 'the debt is paid at the new rate');
  timers.pass(1);
  assert.ok(one.isRead);
  one.pay(50_000);
  assert.ok(!one.isRead);
  quotas.set({ user: 'ann' }, {});
  await turn();
  assert.ok(one.isRead, 'without a quota there is no debt');
  assert.equal(timers.count, 0);
  one.pay(1e9);
  assert.ok(one.isRead);
  quotas.set({ client: 'a' }, { 'publish-bytes': 1000 });
  one.pay(2000);
  assert.ok(!one.isRead, 'a new quota holds for an old connection');
  one.toll!.end();
  assert.equal(timers.count, 0);
  assert.equal(quotas.waiting.size, 0);
  await host.close();
});

test('a connection that becomes another user pays for that one K79', async () => {
  const { host, quotas, payer } = await open();
  quotas.set({ user: 'ann' }, { 'publish-bytes': 1000 });
  const one = payer('ann', 'a');
  one.pay(2000);
  assert.ok(!one.isRead);
  Object.assign(one, { user: 'bob' });
  one.pay(2000);
  assert.ok(one.isRead);
  assert.equal(quotas.waiting.size, 0);
  await host.close();
});
