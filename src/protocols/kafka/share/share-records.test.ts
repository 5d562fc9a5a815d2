import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { batchOf } from '../client.fixture.ts';
import { KAFKA } from '../error-codes.ts';
import { produce } from '../messages/00-produce.ts';
import { apiVersions } from '../messages/18-api-versions.ts';
import { deleteRecords } from '../messages/21-delete-records.ts';
import { initProducerId } from '../messages/22-init-producer-id.ts';
import { endTxn } from '../messages/26-end-txn.ts';
import { ACCEPT, Member, REJECT, RELEASE, RENEW, type Said, Shares } from './share.fixture.ts';

const LOCK_MS = 30_000;
const SESSION_MS = 45_000;
const TRANSACTIONAL = 0x10;

describe('Kafka: records of share groups', () => {
  let at: Shares;

  beforeEach(async () => {
    at = await Shares.open();
  });
  afterEach(() => at.close());

  test('accepted records are finished, released ones come again, rejected ones do not K66 K178 K179', async () => {
    await at.write('a', 'b', 'c', 'd');
    const me = await at.reader();
    const first = await me.fetch();
    assert.deepEqual(first.acquired, [[0, 3, 1]]);
    assert.equal(first.lockMs, LOCK_MS);
    assert.match(first.text, /a.*b.*c.*d/s);
    assert.equal(await me.say([[0, 3, ACCEPT, RELEASE, REJECT, RELEASE]]), KAFKA.NONE);
    const second = await me.fetch();
    assert.deepEqual(second.acquired, [
      [1, 1, 2],
      [3, 3, 2],
    ]);
    const third = await me.fetch({
      said: [
        [1, 1, ACCEPT],
        [3, 3, ACCEPT],
      ],
    });
    assert.deepEqual([third.saidError, third.acquired], [KAFKA.NONE, []]);
    assert.deepEqual(await at.offsets(), [[4, 0]]);
  });

  test('only what a member has in hand can be acknowledged, all of it or nothing K66 K179', async () => {
    await at.write('a', 'b', 'c');
    const [me, other] = [await at.reader(), await at.reader()];
    await me.fetch({ maxRecords: 2 });
    assert.deepEqual((await other.fetch()).acquired, [[2, 2, 1]]);
    assert.equal(await me.say([[0, 2, ACCEPT]]), KAFKA.INVALID_RECORD_STATE);
    assert.equal(await other.say([[0, 0, ACCEPT]]), KAFKA.INVALID_RECORD_STATE);
    for (const wrong of [
      [1, 0, ACCEPT],
      [0, 1],
      [0, 1, 1, 1, 1],
      [0, 0, 7],
      [0, 0, RENEW],
    ]) {
      assert.equal(await me.say([wrong as unknown as Said]), KAFKA.INVALID_REQUEST);
    }
    assert.equal(
      await me.say([
        [0, 1, ACCEPT],
        [1, 1, ACCEPT],
      ]),
      KAFKA.INVALID_REQUEST,
    );
    assert.equal(await me.say([[0, Number.MAX_SAFE_INTEGER, ACCEPT]]), KAFKA.INVALID_RECORD_STATE);
    assert.equal(await me.say([[0, 1, ACCEPT]]), KAFKA.NONE);
    assert.equal(await me.say([[0, 1, ACCEPT]]), KAFKA.INVALID_RECORD_STATE);
    assert.deepEqual(await at.offsets(), [[2, 1]]);
  });

  test('a lock that ends gives the record to another member, and its acknowledgement is refused K66', async () => {
    await at.write('a');
    const [me, other] = [await at.reader(), await at.reader()];
    await me.fetch();
    other.sendFetch({ waitMs: LOCK_MS + 1000 });
    await me.beat();
    at.time.pass(LOCK_MS);
    assert.deepEqual((await other.fetched()).acquired, [[0, 0, 2]]);
    assert.equal(await me.say([[0, 0, ACCEPT]]), KAFKA.INVALID_RECORD_STATE);
    assert.equal(await other.say([[0, 0, ACCEPT]]), KAFKA.NONE);
  });

  test('a renewal begins the lock anew, with acknowledgements of version 2 K66 K179', async () => {
    await at.write('a');
    const [me, other] = [await at.reader(), await at.reader()];
    await me.fetch();
    at.time.pass(LOCK_MS - 1);
    for (const one of [me, other]) await one.beat();
    assert.equal(await me.say([[0, 0, RENEW]], { renews: true }), KAFKA.NONE);
    at.time.pass(LOCK_MS - 1);
    for (const one of [me, other]) await one.beat();
    assert.deepEqual((await other.fetch()).acquired, []);
    const renewed = await me.fetch({ said: [[0, 0, RENEW]], renews: true });
    assert.deepEqual([renewed.errorCode, renewed.saidError], [KAFKA.NONE, KAFKA.NONE]);
    at.time.pass(LOCK_MS);
    assert.deepEqual((await other.fetch()).acquired, [[0, 0, 2]]);
  });

  test('a record is given up after as many deliveries as the limit says K66', async () => {
    await at.restart({ shareDeliveryCountLimit: 3 });
    await at.write('poison', 'fine');
    const me = await at.reader();
    for (const count of [1, 2, 3]) {
      assert.deepEqual((await me.fetch({ maxRecords: 1 })).acquired, [[0, 0, count]]);
      assert.equal(await me.say([[0, 0, RELEASE]]), KAFKA.NONE);
    }
    assert.deepEqual((await me.fetch()).acquired, [[1, 1, 1]]);
    assert.deepEqual(await at.offsets(), [[1, 1]]);
  });

  test('a fetch waits for records, for its time, and for enough bytes K66 K178', async () => {
    const me = await at.reader();
    me.sendFetch({ waitMs: 500 });
    await at.write('a');
    assert.deepEqual((await me.fetched()).acquired, [[0, 0, 1]]);
    me.sendFetch({ waitMs: 500, minBytes: 100, said: [[0, 0, ACCEPT]] });
    await at.write('b');
    await at.write('x'.repeat(200));
    assert.deepEqual((await me.fetched()).acquired, [[1, 2, 1]]);
    await me.say([[1, 2, ACCEPT]]);
    me.sendFetch({ waitMs: 500 });
    assert.deepEqual(await at.offsets(), [[3, 0]]);
    at.time.pass(500);
    assert.deepEqual((await me.fetched()).acquired, []);
  });

  test('who waits for more than there is neither loses its locks nor holds up others K66 K178', async () => {
    await at.write('a');
    const [me, other] = [await at.reader(), await at.reader()];
    me.sendFetch({ waitMs: 300_000, minBytes: 1000 });
    await at.client.ask(apiVersions, 3, { clientSoftwareName: 'x', clientSoftwareVersion: '1' });
    at.time.pass(LOCK_MS / 2);
    assert.deepEqual((await me.fetched()).acquired, [[0, 0, 1]]);
    assert.equal(await me.say([[0, 0, RELEASE]]), KAFKA.NONE);
    me.sendFetch({ waitMs: 300_000, minBytes: 1000 });
    other.sendFetch({ waitMs: 500 });
    assert.deepEqual((await me.fetched()).acquired, [[0, 0, 2]]);
    at.time.pass(500);
    assert.deepEqual((await other.fetched()).acquired, []);
  });

  test('a share fetch takes what its quota gives at once, then waits K66 K79', async () => {
    for (const letter of ['a', 'b', 'c']) await at.write(letter.repeat(900));
    const me = await at.reader();
    at.room.broker.quotas.set({ user: 'anonymous' }, { 'deliver-bytes': 1500 });
    const first = await me.fetch({ minBytes: 1 << 20 });
    assert.deepEqual([first.acquired, first.throttleMs], [[[0, 0, 1]], 0]);
    const second = await me.fetch();
    assert.deepEqual(second.acquired, [[1, 1, 1]]);
    assert.ok(second.throttleMs > 0);
    me.sendFetch();
    at.time.pass(second.throttleMs);
    assert.deepEqual((await me.fetched()).acquired, [[2, 2, 1]]);
  });

  test('sessions are numbered, limited, and end with -1: what was in hand goes back uncounted K66 K178', async () => {
    await at.restart({ shareSessionsMax: 2 });
    await at.write('a', 'b');
    const [me, other, third] = [await at.reader(), await at.reader(), await at.reader()];
    assert.equal((await me.fetch({ epoch: 1 })).errorCode, KAFKA.SHARE_SESSION_NOT_FOUND);
    assert.equal(await me.say([], { epoch: 0 }), KAFKA.INVALID_SHARE_SESSION_EPOCH);
    assert.deepEqual((await me.fetch()).acquired, [[0, 1, 1]]);
    assert.equal((await me.fetch({ epoch: 7 })).errorCode, KAFKA.INVALID_SHARE_SESSION_EPOCH);
    const early = await other.fetch({ epoch: 0, said: [[0, 0, ACCEPT]] });
    assert.equal(early.errorCode, KAFKA.INVALID_REQUEST);
    await other.fetch();
    assert.equal((await third.fetch()).errorCode, KAFKA.SHARE_SESSION_LIMIT_REACHED);
    assert.equal((await me.fetch({ epoch: -1, said: [[0, 0, ACCEPT]] })).saidError, KAFKA.NONE);
    assert.deepEqual((await other.fetch()).acquired, [[1, 1, 1]]);
  });

  test('who hangs up, leaves or is silent too long gives back what it had K66', async () => {
    await at.write('a');
    const [one, two] = [await at.reader(), await at.reader()];
    const [three, last] = [await at.reader(), await at.reader()];
    await one.fetch();
    two.sendFetch({ waitMs: 60_000 });
    one.client.memory.close();
    assert.deepEqual((await two.fetched()).acquired, [[0, 0, 1]]);
    three.sendFetch({ waitMs: 60_000 });
    await two.beat(null, -1);
    assert.deepEqual((await three.fetched()).acquired, [[0, 0, 1]]);
    // Its lock is renewed, but it is not heard of.
    for (let passed = 0; passed < SESSION_MS; passed += 15_000) {
      assert.equal(await three.say([[0, 0, RENEW]], { renews: true }), KAFKA.NONE);
      await last.beat();
      at.time.pass(15_000);
    }
    assert.deepEqual((await last.fetch()).acquired, [[0, 0, 1]]);
  });

  test('acknowledged records stay so over a restart, the others come again K66', async () => {
    await at.write('a', 'b', 'c');
    const me = await at.reader();
    await me.fetch();
    assert.equal(await me.say([[1, 1, ACCEPT]]), KAFKA.NONE);
    await at.restart();
    const again = new Member(at.client, 'g', me.memberId, at.topicId);
    again.epoch = me.epoch;
    const { errorCode, assignment } = await again.beat();
    assert.deepEqual([errorCode, assignment], [KAFKA.NONE, null]);
    assert.deepEqual(
      (await again.fetch()).acquired.map(([from, to]) => [from, to]),
      [
        [0, 0],
        [2, 2],
      ],
    );
  });

  test('records in hand are limited per partition K66', async () => {
    await at.restart({ sharePartitionRecordLocksMax: 100 });
    const values = Array.from({ length: 150 }, (_, n) => `v${n}`);
    await at.write(...values);
    const [me, other] = [await at.reader(), await at.reader()];
    assert.deepEqual((await me.fetch()).acquired, [[0, 99, 1]]);
    assert.deepEqual((await other.fetch()).acquired, []);
    other.sendFetch({ waitMs: 1000 });
    assert.equal(await me.say([[0, 9, ACCEPT]]), KAFKA.NONE);
    const [[from, to] = [0, 0]] = (await other.fetched()).acquired;
    assert.deepEqual([from, to >= 100], [100, true]);
  });

  test('aborted records are shown to read_uncommitted only, open ones wait K66 K67 K71', async () => {
    await at.configure('strict', { 'share.isolation.level': 'read_committed' });
    const [loose, strict] = [await at.reader('loose'), await at.reader('strict')];
    const begun = { transactionalId: 'tx', transactionTimeoutMs: 60_000 };
    const { producerId, producerEpoch } = await at.client.ask(initProducerId, 5, begun);
    const batch = batchOf(['open'], {
      ...{ attributes: TRANSACTIONAL, producerId, producerEpoch, baseSequence: 0 },
    });
    await at.client.ask(produce, 12, {
      ...{ transactionalId: 'tx', acks: -1, timeoutMs: 1000 },
      topicData: [{ name: at.name, partitionData: [{ index: 0, records: batch }] }],
    });
    await at.write('plain');
    assert.deepEqual((await loose.fetch()).acquired, [[0, 1, 1]]);
    assert.deepEqual((await strict.fetch()).acquired, []);
    strict.sendFetch({ waitMs: 1000 });
    const end = { transactionalId: 'tx', producerId, producerEpoch, committed: false };
    assert.equal((await at.client.ask(endTxn, 5, end)).errorCode, KAFKA.NONE);
    assert.deepEqual((await strict.fetched()).acquired, [[1, 1, 1]]);
    assert.equal(await strict.say([[1, 1, ACCEPT]]), KAFKA.NONE);
    await strict.fetch();
    assert.deepEqual(await at.offsets('strict'), [[3, 0]]);
  });

  test('a number of records is a limit, or the last batch is taken to its end K66 K178', async () => {
    await at.write('a', 'b', 'c');
    await at.write('d', 'e', 'f');
    await at.write('g');
    const [me, other] = [await at.reader(), await at.reader('other')];
    assert.deepEqual((await me.fetch({ maxRecords: 4 })).acquired, [[0, 3, 1]]);
    assert.deepEqual((await other.fetch({ maxRecords: 4, soft: true })).acquired, [[0, 5, 1]]);
  });

  test('retention takes what a group has not read, and the group goes on behind it K66', async () => {
    await at.write('a', 'b', 'c');
    const me = await at.reader();
    const { topics } = await at.client.ask(deleteRecords, 2, {
      topics: [{ name: at.name, partitions: [{ partitionIndex: 0, offset: 2 }] }],
      timeoutMs: 1000,
    });
    assert.equal(topics[0]!.partitions[0]!.errorCode, KAFKA.NONE);
    assert.deepEqual(await at.offsets(), [[2, 1]]);
    assert.deepEqual((await me.fetch()).acquired, [[2, 2, 1]]);
  });
});
