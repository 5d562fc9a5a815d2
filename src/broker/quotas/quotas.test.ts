import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualTimers, openTestHost } from '../../../test/contract/test-host.ts';
import type { QuotaEntity, QuotaKind, QuotaValues } from './quota.ts';
import { Quotas } from './quotas.ts';

const BYTES: QuotaKind = 'publish-bytes';

async function open() {
  const timers = new ManualTimers();
  const host = await openTestHost({ timers, clock: timers.clock });
  return { timers, host, quotas: host.broker.quotas };
}

test('the most special quota of a kind holds, in all eight places K79', async () => {
  const { host, quotas } = await open();
  const entities: readonly QuotaEntity[] = [
    { client: null },
    { client: 'app' },
    { user: null },
    { user: null, client: null },
    { user: null, client: 'app' },
    { user: 'ann' },
    { user: 'ann', client: null },
    { user: 'ann', client: 'app' },
  ];
  const client = quotas.enter('ann', 'app');
  const stranger = quotas.enter('bob', 'other');
  for (const [index, entity] of entities.entries()) {
    quotas.set(entity, { [BYTES]: 1000 + index });
    assert.equal(client.most(BYTES), 1000 + index, JSON.stringify(entity));
  }
  assert.equal(stranger.most(BYTES), 1003, 'default client ids of default users');
  assert.equal(client.most('deliver-bytes'), Number.POSITIVE_INFINITY, 'another kind');
  quotas.set({ client: 'app' }, { 'deliver-bytes': 7 });
  assert.equal(client.most('deliver-bytes'), 7, 'each kind is looked for by itself');
  for (const entity of entities.toReversed()) quotas.set(entity, {});
  assert.equal(client.most(BYTES), Number.POSITIVE_INFINITY);
  assert.ok(quotas.blank);
  await host.close();
});

test('those with the same quota share it; a default gives each as much K79', async () => {
  const { timers, host, quotas } = await open();
  quotas.set({ user: 'ann' }, { [BYTES]: 1000 });
  quotas.set({ user: null, client: null }, { [BYTES]: 500 });
  const [one, two] = [quotas.enter('ann', 'a'), quotas.enter('ann', 'b')];
  assert.equal(one.take(BYTES, 1000), 0, 'a second is there at once');
  assert.equal(two.take(BYTES, 500), 500);
  assert.equal(one.debtMs(BYTES), 500);
  timers.pass(500);
  assert.equal(one.debtMs(BYTES), 0);
  const [three, four] = [quotas.enter('bob', 'a'), quotas.enter('bob', 'b')];
  assert.equal(three.take(BYTES, 1000), 1000);
  assert.equal(four.take(BYTES, 500), 0, 'another client id has its own');
  await host.close();
});

test('a debt outlives the connection, and a new rate pays it K79', async () => {
  const { timers, host, quotas } = await open();
  quotas.set({ user: 'ann' }, { [BYTES]: 100 });
  const first = quotas.enter('ann', '');
  assert.equal(first.take(BYTES, 1100), 10_000);
  first.leave();
  assert.equal(first.take(BYTES, 1), 0, 'who left takes nothing');
  const again = quotas.enter('ann', '');
  assert.equal(again.debtMs(BYTES), 10_000);
  quotas.set({ user: 'ann' }, { [BYTES]: 1000 });
  assert.equal(again.debtMs(BYTES), 1000);
  timers.pass(1000);
  assert.equal(again.debtMs(BYTES), 0);
  await host.close();
});

test('what nobody holds and owes is forgotten: names of clients take no memory for good K79', async () => {
  const { timers, host, quotas } = await open();
  quotas.set({ client: null }, { [BYTES]: 10 });
  const debtor = quotas.enter('ann', 'debtor');
  debtor.take(BYTES, 100_000);
  debtor.leave();
  const held = quotas.enter('ann', 'held');
  held.take(BYTES, 15);
  for (let index = 0; index < 5000; index++) {
    const passing = quotas.enter('ann', `client-${index}`);
    assert.equal(passing.take(BYTES, 10), 0);
    passing.leave();
    timers.pass(1000);
  }
  assert.ok(quotas.sharesKept < 2100, `${quotas.sharesKept} shares are kept`);
  assert.ok(quotas.enter('ann', 'debtor').debtMs(BYTES) > 0);
  held.take(BYTES, 20);
  assert.ok(quotas.enter('ann', 'held').debtMs(BYTES) > 0, 'the same share');
  await host.close();
});

test('an address comes as often as its quota says K79 K14', async () => {
  const { timers, host, quotas } = await open();
  assert.ok(quotas.admits('192.0.2.1'));
  quotas.set({ address: null }, { connections: 2 });
  quotas.set({ address: '192.0.2.9' }, { connections: 10 });
  assert.deepEqual(
    [1, 2, 3].map(() => quotas.admits('192.0.2.1')),
    [true, true, false],
  );
  assert.ok(quotas.admits('192.0.2.2'), 'each address has as much');
  assert.ok(Array.from({ length: 10 }, () => quotas.admits('192.0.2.9')).every(Boolean));
  assert.ok(!quotas.admits('192.0.2.9'));
  timers.pass(500);
  assert.ok(quotas.admits('192.0.2.1'));
  quotas.set({ address: null }, {});
  assert.ok(quotas.admits('192.0.2.1'));
  await host.close();
});

test('quotas are found again by another life of the broker K79', async () => {
  const { host, quotas } = await open();
  quotas.set({ user: 'ann', client: null }, { [BYTES]: 5, 'request-percent': 12.5 });
  quotas.set({ address: '::1' }, { connections: 3 });
  await host.broker.definitions.durable();
  const later = new Quotas(host.broker.definitions, host.clock, host.timers, host.metrics);
  assert.deepEqual([...later.list()], [...quotas.list()]);
  assert.equal(later.enter('ann', 'x').most('request-percent'), 125);
  await host.close();
});

test('what is no quota is refused K79', async () => {
  const { host, quotas } = await open();
  const wrong: readonly (readonly [QuotaEntity, QuotaValues])[] = [
    [{}, { [BYTES]: 1 }],
    [{ user: '' }, { [BYTES]: 1 }],
    [{ user: 'ann' }, { [BYTES]: 0 }],
    [{ user: 'ann' }, { [BYTES]: Number.NaN }],
    [{ user: 'ann' }, { connections: 1 }],
    [{ address: '::1' }, { [BYTES]: 1 }],
    [{ address: '::1', user: 'ann' }, { connections: 1 }],
  ];
  for (const [entity, values] of wrong) {
    assert.throws(() => quotas.set(entity, values), { code: 'invalid-argument' });
  }
  assert.ok(quotas.blank);
  await host.close();
});
