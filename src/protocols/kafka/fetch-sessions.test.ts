import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { ManualTimers, openTestHost, type TestHost } from '../../../test/contract/test-host.ts';
import { batchOf, Client, newTopic, openRoom, produceTo } from './client.fixture.ts';
import { KAFKA } from './error-codes.ts';
import { fetch } from './messages/01-fetch.ts';
import type { Room } from './room.ts';

const VERSION = 13;

interface Topic {
  readonly name: string;
  readonly topicId: string;
}

describe('fetch sessions', () => {
  let host: TestHost;
  let room: Room;
  let client: Client;
  const timers = new ManualTimers();

  before(async () => {
    host = await openTestHost({ clock: timers.clock });
    room = openRoom(host, { fetchSessionsMax: 2 });
    client = new Client(room);
  });
  after(async () => {
    await room.close();
    await host.close();
  });

  /** Asks with a session; `offsets` by partition of the topic. */
  async function ask(
    sessionId: number,
    sessionEpoch: number,
    topic: Topic | null,
    offsets: Readonly<Record<number, number>> = {},
    forgotten: readonly number[] = [],
    version = VERSION,
  ) {
    const partitions = Object.entries(offsets).map(([index, fetchOffset]) => {
      return { partition: Number(index), fetchOffset, partitionMaxBytes: 1 << 20 };
    });
    const place = { topic: topic?.name ?? '', topicId: topic?.topicId ?? '' };
    const answer = await client.ask(fetch, version, {
      ...{ maxWaitMs: 0, minBytes: 1, maxBytes: 1 << 20, sessionId, sessionEpoch },
      topics: partitions.length === 0 ? [] : [{ ...place, partitions }],
      forgottenTopicsData: forgotten.length === 0 ? [] : [{ ...place, partitions: forgotten }],
    });
    const told = answer.responses.flatMap(({ partitions: all }) =>
      all.map(({ partitionIndex, records }) => [partitionIndex, records?.length ?? 0]),
    );
    return { id: answer.sessionId, errorCode: answer.errorCode, told };
  }

  it('a session is opened with all partitions, then only news is told K32', async () => {
    const topic = await newTopic(client, 3);
    const opened = await ask(0, 0, topic, { 0: 0, 1: 0, 2: 0 });
    assert.ok(opened.id > 0);
    assert.deepEqual(opened.told, [
      [0, 0],
      [1, 0],
      [2, 0],
    ]);
    assert.deepEqual((await ask(opened.id, 1, null)).told, []);
    const batch = batchOf(['x']);
    await produceTo(client, topic.name, Buffer.from(batch));
    const news = await ask(opened.id, 2, null);
    assert.deepEqual(news.told, [[0, batch.length]]);
    assert.equal(news.id, opened.id);
    // The client's position has moved; what was told is told once.
    assert.deepEqual((await ask(opened.id, 3, topic, { 0: 1 })).told, []);
    await ask(opened.id, -1, null);
    assert.equal(room.fetchSessions.count, 0);
  });

  it('partitions come and go within a session K32', async () => {
    const topic = await newTopic(client, 2);
    const { id } = await ask(0, 0, topic, { 0: 0 });
    await produceTo(client, topic.name, batchOf(['x']));
    const more = await ask(id, 1, topic, { 1: 0 });
    assert.deepEqual(
      more.told.map(([index]) => index),
      [0, 1],
    );
    assert.deepEqual((await ask(id, 2, topic, {}, [0])).told, []);
    // Without partitions it is none any more.
    const empty = await ask(id, 3, topic, {}, [1]);
    assert.deepEqual([empty.id, empty.told], [0, []]);
    assert.equal((await ask(id, 4, null)).errorCode, KAFKA.FETCH_SESSION_ID_NOT_FOUND);
  });

  it('unknown sessions, wrong epochs and another way to name topics are refused K32', async () => {
    const topic = await newTopic(client);
    assert.equal((await ask(4711, 1, null)).errorCode, KAFKA.FETCH_SESSION_ID_NOT_FOUND);
    const { id } = await ask(0, 0, topic, { 0: 0 });
    assert.equal((await ask(id, 5, null)).errorCode, KAFKA.INVALID_FETCH_SESSION_EPOCH);
    const byName = await ask(id, 1, topic, { 0: 0 }, [], 12);
    assert.equal(byName.errorCode, KAFKA.FETCH_SESSION_TOPIC_ID_ERROR);
    assert.equal((await ask(id, 1, null)).errorCode, KAFKA.NONE);
    await ask(id, -1, null);
  });

  it('beyond their number the idle one or a smaller one gives its place, or there is none K32', async () => {
    const topic = await newTopic(client, 3);
    const small = await ask(0, 0, topic, { 0: 0 });
    const large = await ask(0, 0, topic, { 0: 0, 1: 0 });
    const refused = await ask(0, 0, topic, { 0: 0 });
    assert.deepEqual([refused.id, refused.errorCode], [0, KAFKA.NONE]);
    assert.deepEqual(refused.told, [[0, 0]]);
    const larger = await ask(0, 0, topic, { 0: 0, 1: 0, 2: 0 });
    assert.ok(larger.id > 0);
    assert.equal((await ask(small.id, 1, null)).errorCode, KAFKA.FETCH_SESSION_ID_NOT_FOUND);
    timers.pass(120_000);
    await ask(larger.id, 1, null);
    const fresh = await ask(0, 0, topic, { 0: 0 });
    assert.ok(fresh.id > 0);
    assert.equal((await ask(large.id, 1, null)).errorCode, KAFKA.FETCH_SESSION_ID_NOT_FOUND);
    for (const { id } of [larger, fresh]) await ask(id, -1, null);
  });

  it('a topic that is gone is told of in the session, and again until the client forgets it K32', async () => {
    const topic = await newTopic(client);
    const { id } = await ask(0, 0, topic, { 0: 0 });
    host.broker.streams.remove(host.broker.streams.get(topic.name)!);
    assert.equal((await ask(id, 1, null)).told.length, 1);
    assert.equal((await ask(id, 2, null)).told.length, 1);
    assert.deepEqual((await ask(id, 3, topic, {}, [0])).told, []);
  });
});
