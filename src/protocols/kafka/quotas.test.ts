import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { ManualTimers, openTestHost, type TestHost } from '../../../test/contract/test-host.ts';
import { batchOf, Client, fetchBody, newTopic, openRoom, produceBody } from './client.fixture.ts';
import { KAFKA } from './error-codes.ts';
import { produce } from './messages/00-produce.ts';
import { fetch } from './messages/01-fetch.ts';
import { metadata } from './messages/03-metadata.ts';
import { createTopics } from './messages/19-create-topics.ts';
import { deleteTopics } from './messages/20-delete-topics.ts';
import { createPartitions } from './messages/37-create-partitions.ts';
import { describeClientQuotas } from './messages/48-describe-client-quotas.ts';
import { alterClientQuotas } from './messages/49-alter-client-quotas.ts';
import type { Room } from './room.ts';
import { ZERO_UUID } from './rows.ts';

let host: TestHost;
let room: Room;
let timers: ManualTimers;
/** May change quotas. */
let root: Client;

/** A client that its certificate has logged in. */
function clientOf(user: string): Client {
  const identity = { commonName: user, digest: '', user, clientId: null };
  return new Client(room, { peer: { identity } });
}

const USER = { entityType: 'user', entityName: 'ANONYMOUS' };
const CLIENT = { entityType: 'client-id', entityName: 'test-client' };
const EVERY_USER = { entityType: 'user', entityName: null };

type Part = { readonly entityType: string; readonly entityName: string | null };

async function alter(
  client: Client,
  entity: readonly Part[],
  values: Readonly<Record<string, number | null>>,
  validateOnly = false,
): Promise<number> {
  const ops = Object.entries(values).map(([key, value]) => {
    return { key, value: value ?? 0, remove: value === null };
  });
  const request = { entries: [{ entity, ops }], validateOnly };
  const { entries } = await client.ask(alterClientQuotas, 1, request);
  assert.deepEqual(entries[0]!.entity, entity);
  return entries[0]!.errorCode;
}

/** A batch whose request has about 1 000 bytes. */
const KILO = batchOf(['x'.repeat(900)]);

type Component = readonly [type: string, matchType: number, match: string | null];

/** Quotas that a filter finds, or an error code. */
async function told(components: readonly Component[], strict: boolean) {
  const parts = components.map(([entityType, matchType, match]) => {
    return { entityType, matchType, match };
  });
  const request = { components: parts, strict };
  const { errorCode, entries } = await root.ask(describeClientQuotas, 1, request);
  return errorCode !== 0 ? errorCode : entries!.map(({ entity, values }) => [entity, values]);
}

describe('quotas', () => {
  beforeEach(async () => {
    timers = new ManualTimers();
    host = await openTestHost({ timers, clock: timers.clock });
    room = openRoom(host);
    await host.broker.principals.setUser('root', 'secret', { superuser: true });
    root = clientOf('root');
  });
  afterEach(async () => {
    const closing = room.close();
    timers.pass(10_000);
    await closing;
    await host.close();
  });

  it('a producer is answered at once, told to wait, and not read for as long K11 K79', async () => {
    const client = new Client(room);
    const { name } = await newTopic(client);
    assert.equal(await alter(root, [USER], { producer_byte_rate: 1000 }), KAFKA.NONE);
    const frame = client.frame(produce, 8, produceBody(name, KILO));
    client.memory.send(frame);
    const first = await client.receive(produce, 8);
    assert.equal(first.responses[0]!.partitionResponses[0]!.errorCode, KAFKA.NONE);
    assert.ok(first.throttleTimeMs < 100, `${first.throttleTimeMs}: a second is there at once`);
    timers.pass(first.throttleTimeMs);
    // Five in one go: the first is served, the others wait for their turn.
    client.memory.send(Buffer.concat(Array.from({ length: 5 }, () => frame)));
    let waitedMs = 0;
    for (let index = 0; index < 5; index++) {
      const { throttleTimeMs } = await client.receive(produce, 8);
      assert.equal(throttleTimeMs, frame.length - 4, 'as long as its bytes take');
      timers.pass(throttleTimeMs - 1);
      assert.equal(client.memory.receivedBytes, 0, 'nothing is answered before');
      assert.ok(client.memory.connection.paused || index === 4, 'and nothing is read');
      timers.pass(1);
      waitedMs += throttleTimeMs;
    }
    assert.equal(waitedMs, 5 * (frame.length - 4));
  });

  it('connections of a user share its quota; others have none K79', async () => {
    const client = new Client(room);
    const { name } = await newTopic(client);
    await alter(root, [USER], { producer_byte_rate: 1000 });
    const other = new Client(room);
    const one = await client.ask(produce, 8, produceBody(name, KILO));
    const two = await other.ask(produce, 8, produceBody(name, KILO));
    assert.ok(two.throttleTimeMs > one.throttleTimeMs + 900);
    await host.broker.principals.setUser('ann', 'secret', { superuser: true });
    const ann = clientOf('ann');
    assert.equal((await ann.ask(produce, 8, produceBody(name, KILO))).throttleTimeMs, 0);
  });

  it('a produce without an answer is throttled as well K10 K11', async () => {
    const client = new Client(room);
    const { name } = await newTopic(client);
    await alter(root, [USER], { producer_byte_rate: 1000 });
    client.send(produce, 8, produceBody(name, KILO, 0));
    client.send(produce, 8, produceBody(name, KILO, 0));
    client.send(metadata, 8, { topics: [] });
    const partition = host.broker.streams.get(name)!.partitions[0]!;
    assert.ok(partition.endOffset <= 2);
    timers.pass(100);
    assert.equal(client.memory.receivedBytes, 0, 'a debt of a second is not paid yet');
    timers.pass(1000);
    assert.equal((await client.receive(metadata, 8)).controllerId, 0);
  });

  it('a fetch takes what the quota gives at once, then waits; others get nothing meanwhile K79', async () => {
    const client = new Client(room);
    const { name } = await newTopic(client);
    for (let index = 0; index < 4; index++) await client.ask(produce, 8, produceBody(name, KILO));
    await alter(root, [USER], { consumer_byte_rate: 1500 });
    const big = { maxBytes: 1 << 20, minBytes: 1 << 20 };
    const first = await client.ask(fetch, 11, fetchBody(name, 0, big));
    const size = first.responses[0]!.partitions[0]!.records!.length;
    assert.ok(size > 900 && size <= 1500, `${size} bytes`);
    assert.equal(first.throttleTimeMs, 0);
    const second = await client.ask(fetch, 11, fetchBody(name, 1));
    assert.ok(second.responses[0]!.partitions[0]!.records!.length > 0);
    assert.ok(second.throttleTimeMs > 0);
    const other = new Client(room);
    const nothing = await other.ask(fetch, 11, fetchBody(name, 2));
    assert.deepEqual(nothing.responses, []);
    assert.equal(nothing.throttleTimeMs, second.throttleTimeMs);
    other.send(fetch, 11, fetchBody(name, 2));
    timers.pass(nothing.throttleTimeMs);
    const later = await other.receive(fetch, 11);
    assert.ok(later.responses[0]!.partitions[0]!.records!.length > 0);
  });

  it('a fetch session does not begin with an answer that names nothing K32 K79', async () => {
    const client = new Client(room);
    const { name } = await newTopic(client);
    await client.ask(produce, 8, produceBody(name, KILO));
    await alter(root, [USER], { consumer_byte_rate: 100 });
    await client.ask(fetch, 11, fetchBody(name, 0));
    const other = new Client(room);
    const opening = { ...fetchBody(name, 0), sessionEpoch: 0 };
    const held = await other.ask(fetch, 11, opening);
    assert.deepEqual([held.errorCode, held.sessionId, held.responses], [KAFKA.NONE, 0, []]);
    assert.ok(held.throttleTimeMs > 0);
    timers.pass(held.throttleTimeMs);
    const begun = await other.ask(fetch, 11, opening);
    assert.notEqual(begun.sessionId, 0);
    assert.ok(begun.throttleTimeMs > 0);
    timers.pass(begun.throttleTimeMs);
    const going = { ...fetchBody(name, 1), sessionId: begun.sessionId, sessionEpoch: 1 };
    assert.equal((await other.ask(fetch, 11, going)).sessionId, begun.sessionId);
  });

  it('changes of topics beyond the quota are refused; older clients wait instead K79', async () => {
    const client = new Client(room);
    await alter(root, [USER], { controller_mutation_rate: 1 });
    const topic = { numPartitions: 6, replicationFactor: 1, assignments: [], configs: [] };
    const names = ['a', 'b', 'c'];
    const topics = names.map((name) => ({ name, ...topic }));
    const made = await client.ask(createTopics, 7, { topics });
    assert.deepEqual(
      made.topics.map(({ errorCode }) => errorCode),
      [KAFKA.NONE, KAFKA.NONE, KAFKA.THROTTLING_QUOTA_EXCEEDED],
    );
    assert.equal(made.throttleTimeMs, 2000, '12 of 10 were taken');
    timers.pass(1000);
    const other = new Client(room);
    const deleted = await other.ask(deleteTopics, 6, {
      topics: [{ name: 'a', topicId: ZERO_UUID }],
      timeoutMs: 0,
      topicNames: [],
    });
    assert.equal(deleted.responses[0]!.errorCode, KAFKA.THROTTLING_QUOTA_EXCEEDED);
    assert.equal(deleted.throttleTimeMs, 1000);
    timers.pass(1000);
    const growth = {
      topics: [{ name: 'b', count: 7, assignments: null }],
      timeoutMs: 0,
      validateOnly: false,
    };
    assert.equal((await client.ask(createPartitions, 3, growth)).results[0]!.errorCode, KAFKA.NONE);
    const older = await client.ask(createTopics, 5, {
      topics: [{ name: 'c', ...topic }],
      timeoutMs: 0,
      validateOnly: false,
    });
    assert.equal(older.topics[0]!.errorCode, KAFKA.NONE);
    assert.equal(older.throttleTimeMs, 7000);
    const checked = new Client(room);
    const check = await checked.ask(createTopics, 7, {
      topics: [{ name: 'd', ...topic }],
      validateOnly: true,
    });
    assert.deepEqual([check.topics[0]!.errorCode, check.throttleTimeMs], [KAFKA.NONE, 0]);
  });

  it('a topic that is made by asking for it counts; what clients were kept waiting is told K79', async () => {
    await alter(root, [USER], { controller_mutation_rate: 0.1 });
    const asked = { topics: [{ name: 'one' }, { name: 'two' }], allowAutoTopicCreation: true };
    const client = new Client(room);
    assert.equal((await client.ask(metadata, 8, asked)).throttleTimeMs, 10_000, '2 of 1');
    const kind = 'definition-changes';
    const { metrics } = host;
    const sum = metrics.counter('robustmq_quota_throttle_ms_total', '', { kind });
    const times = metrics.counter('robustmq_quota_throttles_total', '', { kind });
    assert.deepEqual([times.value, sum.value], [1, 10_000]);
  });

  it('time of the thread is counted, and who took too much waits 10 s at most K79', async () => {
    const client = new Client(room);
    await alter(root, [USER], { request_percentage: 1 });
    const { visible } = room.topics;
    // Asking for topics takes a second of the only clock that there is here.
    room.topics.visible = function* (principal) {
      timers.pass(1000);
      yield* visible.call(room.topics, principal);
    };
    const answer = await client.ask(metadata, 8, { topics: null });
    assert.equal(answer.throttleTimeMs, 10_000);
    client.send(metadata, 8, { topics: [] });
    timers.pass(9_999);
    assert.equal(client.memory.receivedBytes, 0);
    timers.pass(1);
    assert.equal(
      (await client.receive(metadata, 8)).throttleTimeMs,
      10_000,
      'the rest of the debt',
    );
  });

  it('quotas are told by filters, changed one by one, and need rights K148 K149', async () => {
    const both = [USER, CLIENT];
    const ip = { entityType: 'ip', entityName: '192.0.2.1' };
    assert.equal(await alter(root, both, { producer_byte_rate: 10, request_percentage: 1.5 }), 0);
    assert.equal(await alter(root, [EVERY_USER], { consumer_byte_rate: 20 }), 0);
    assert.equal(await alter(root, [ip], { connection_creation_rate: 5 }), 0);
    assert.equal(await alter(root, [CLIENT], { producer_byte_rate: 30 }, true), 0);
    assert.equal(await alter(root, both, { producer_byte_rate: null }), 0);
    const PAIR = [both, [{ key: 'request_percentage', value: 1.5 }]];
    const EVERYONE = [[EVERY_USER], [{ key: 'consumer_byte_rate', value: 20 }]];
    const ADDRESS = [[ip], [{ key: 'connection_creation_rate', value: 5 }]];
    assert.deepEqual(await told([], false), [PAIR, EVERYONE, ADDRESS]);
    assert.deepEqual(await told([], true), []);
    assert.deepEqual(await told([['user', 2, null]], false), [PAIR, EVERYONE]);
    assert.deepEqual(await told([['user', 2, null]], true), [EVERYONE]);
    assert.deepEqual(await told([['user', 1, null]], false), [EVERYONE]);
    assert.deepEqual(await told([['user', 0, 'ANONYMOUS']], false), [PAIR]);
    assert.deepEqual(
      await told(
        [
          ['user', 0, 'ANONYMOUS'],
          ['client-id', 2, null],
        ],
        true,
      ),
      [PAIR],
    );
    assert.deepEqual(await told([['ip', 0, '192.0.2.1']], true), [ADDRESS]);
  });

  it('quotas that mean nothing, or come without the right, are refused K148 K149', async () => {
    const INVALID = KAFKA.INVALID_REQUEST;
    assert.equal(
      await told(
        [
          ['ip', 2, null],
          ['user', 2, null],
        ],
        false,
      ),
      INVALID,
    );
    assert.equal(await told([['user', 0, null]], false), INVALID);
    assert.equal(await told([['user', 7, null]], false), INVALID);
    assert.equal(await told([['', 2, null]], false), INVALID);
    assert.equal(await told([['group', 2, null]], false), KAFKA.UNSUPPORTED_VERSION);
    assert.equal(await alter(root, [CLIENT], { producer_byte_rate: 1.5 }), INVALID);
    assert.equal(await alter(root, [CLIENT], { producer_byte_rate: -1 }), INVALID);
    assert.equal(await alter(root, [CLIENT], { nonsense: 1 }), INVALID);
    assert.equal(await alter(root, [CLIENT], { connection_creation_rate: 1 }), INVALID);
    assert.equal(await alter(root, [{ entityType: 'group', entityName: 'g' }], {}), INVALID);
    assert.equal(await alter(root, [CLIENT, CLIENT], { producer_byte_rate: 1 }), INVALID);
    assert.equal(await alter(root, [], { producer_byte_rate: 1 }), INVALID);
    await host.broker.principals.setUser('ann', 'secret', { superuser: false });
    const ann = clientOf('ann');
    assert.equal(
      await alter(ann, [CLIENT], { producer_byte_rate: 1 }),
      KAFKA.CLUSTER_AUTHORIZATION_FAILED,
    );
    const hidden = await ann.ask(describeClientQuotas, 1, { components: [], strict: false });
    assert.equal(hidden.errorCode, KAFKA.CLUSTER_AUTHORIZATION_FAILED);
  });
});
