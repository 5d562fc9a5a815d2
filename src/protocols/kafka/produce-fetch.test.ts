import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { BrokerError } from '#kit';
import { ManualTimers, openTestHost, type TestHost } from '../../../test/contract/test-host.ts';
import {
  batchOf,
  Client,
  fetchBody,
  newTopic,
  openRoom,
  produceBody,
  produceTo,
  seal,
} from './client.fixture.ts';
import { KAFKA } from './error-codes.ts';
import { produce } from './messages/00-produce.ts';
import { fetch } from './messages/01-fetch.ts';
import { listOffsets } from './messages/02-list-offsets.ts';
import { metadata } from './messages/03-metadata.ts';
import { apiVersions } from './messages/18-api-versions.ts';
import { createTopics } from './messages/19-create-topics.ts';
import { initProducerId } from './messages/22-init-producer-id.ts';
import type { Room } from './room.ts';
import { ZERO_UUID } from './rows.ts';

let host: TestHost;
let room: Room;
before(async () => {
  host = await openTestHost();
  room = openRoom(host);
});
after(async () => {
  await room.close();
  await host.close();
});

test('what is produced is fetched byte by byte, but for the fields of the server K20 K22', async () => {
  const client = new Client(room);
  const { name } = await newTopic(client);
  for (const codec of [0, 1, 2, 3, 4]) {
    const sent = batchOf(['not really compressed'], { attributes: codec });
    const answer = await produceTo(client, name, Buffer.from(sent));
    assert.deepEqual([answer.errorCode, answer.baseOffset], [KAFKA.NONE, codec]);
    const got = await client.ask(fetch, 11, fetchBody(name, codec));
    const { records, highWatermark } = got.responses[0]!.partitions[0]!;
    assert.equal(highWatermark, codec + 1);
    assert.equal(records!.readBigInt64BE(0), BigInt(codec));
    assert.equal(records!.readInt32BE(12), 0);
    assert.deepEqual(records!.subarray(16), sent.subarray(16));
    assert.deepEqual(records!.subarray(8, 12), sent.subarray(8, 12));
  }
});

test('answers come in the order of the requests, however they are pipelined K9', async () => {
  const client = new Client(room);
  const { name } = await newTopic(client);
  const frames = [];
  for (let index = 0; index < 20; index++) {
    frames.push(client.frame(produce, 8, produceBody(name, batchOf([`v${index}`]))));
    if (index % 5 === 4) {
      frames.push(client.frame(apiVersions, 0, {}));
      frames.push(client.frame(fetch, 11, fetchBody(name, index)));
    }
  }
  client.memory.send(Buffer.concat(frames));
  for (let index = 0; index < 20; index++) {
    const { responses } = await client.receive(produce, 8);
    assert.equal(responses[0]!.partitionResponses[0]!.baseOffset, index);
    if (index % 5 !== 4) continue;
    assert.equal((await client.receive(apiVersions, 0)).errorCode, KAFKA.NONE);
    // The fetch began after the produce before it was committed, as in Kafka.
    const { responses: fetched } = await client.receive(fetch, 11);
    assert.ok(fetched[0]!.partitions[0]!.highWatermark > index);
  }
});

test('acks=0 gets no answer, and an error closes the connection K10', async () => {
  const client = new Client(room);
  const { name } = await newTopic(client);
  client.send(produce, 8, produceBody(name, batchOf(['quiet']), 0));
  assert.equal((await client.ask(apiVersions, 0, {})).errorCode, KAFKA.NONE);
  const latest = await client.ask(listOffsets, 1, {
    replicaId: -1,
    topics: [{ name, partitions: [{ partitionIndex: 0, timestamp: -1 }] }],
  });
  assert.equal(latest.topics[0]!.partitions[0]!.offset, 1);
  client.send(produce, 8, produceBody(`no-${name}`, batchOf(['lost']), 0));
  await client.memory.closed;
});

test('acks other than -1, 0 and 1 are refused K27', async () => {
  const client = new Client(room);
  const { name } = await newTopic(client);
  const answer = await produceTo(client, name, batchOf(['x']), 2);
  assert.equal(answer.errorCode, KAFKA.INVALID_REQUIRED_ACKS);
});

test('a batch above the topic’s limit is refused and says so K23 K26', async () => {
  const client = new Client(room);
  const name = 'topic-with-limit';
  const configs = [{ name: 'max.message.bytes', value: '100' }];
  const wanted = { name, numPartitions: 1, replicationFactor: -1, assignments: [], configs };
  await client.ask(createTopics, 7, { topics: [wanted] });
  const answer = await produceTo(client, name, batchOf(['x'.repeat(200)]));
  assert.equal(answer.errorCode, KAFKA.MESSAGE_TOO_LARGE);
  assert.match(answer.errorMessage!, /at most 100/);
});

test('records that are not what the header says are refused, compressed ones when they are opened K23 K26', async () => {
  const client = new Client(room);
  const { name } = await newTopic(client);
  const batch = batchOf(['a', 'b']);
  // The offset delta of the second record, behind the first one.
  const second = 61 + 1 + (batch[61]! >> 1);
  batch[second + 3] = 8;
  const answer = await produceTo(client, name, seal(batch));
  assert.equal(answer.errorCode, KAFKA.INVALID_RECORD);
  assert.deepEqual(answer.recordErrors, [
    { batchIndex: 1, batchIndexErrorMessage: 'it has the offset delta 4' },
  ]);
  const opening = openRoom(host, { checkCompressed: true });
  const opened = await produceTo(
    new Client(opening),
    name,
    batchOf(['not really compressed'], { attributes: 4 }),
  );
  assert.equal(opened.errorCode, KAFKA.INVALID_RECORD);
  await opening.close();
});

test('an idempotent producer: duplicates get the first offset, gaps and old epochs are refused K28 K29 K122', async () => {
  const client = new Client(room);
  const { name } = await newTopic(client);
  const given = await client.ask(initProducerId, 4, {
    transactionalId: null,
    transactionTimeoutMs: 0,
  });
  assert.deepEqual([given.errorCode, given.producerEpoch], [KAFKA.NONE, 0]);
  const { producerId } = given;
  const send = (baseSequence: number, producerEpoch = 1) =>
    produceTo(client, name, batchOf(['a', 'b'], { producerId, producerEpoch, baseSequence }));
  assert.deepEqual(pick(await send(0)), [KAFKA.NONE, 0]);
  assert.deepEqual(pick(await send(2)), [KAFKA.NONE, 2]);
  assert.deepEqual(pick(await send(0)), [KAFKA.NONE, 0]);
  assert.deepEqual(pick(await send(9)), [KAFKA.OUT_OF_ORDER_SEQUENCE_NUMBER, -1]);
  assert.deepEqual(pick(await send(0, 0)), [KAFKA.INVALID_PRODUCER_EPOCH, -1]);
});

function pick({ errorCode, baseOffset }: { errorCode: number; baseOffset: number }): number[] {
  return [errorCode, baseOffset];
}

test('a waiting fetch is answered by the commit that brings data K30', async () => {
  const reader = new Client(room);
  const writer = new Client(room);
  const { name } = await newTopic(writer);
  reader.send(fetch, 11, fetchBody(name, 0, { maxWaitMs: 600_000 }));
  await produceTo(writer, name, batchOf(['news']));
  const { responses } = await reader.receive(fetch, 11);
  assert.equal(responses[0]!.partitions[0]!.records!.readInt32BE(57), 1);
});

test('a fetch waits until its minimum is there K30', async () => {
  const reader = new Client(room);
  const writer = new Client(room);
  const { name } = await newTopic(writer);
  const batch = batchOf(['x'.repeat(100)]);
  reader.send(fetch, 11, fetchBody(name, 0, { maxWaitMs: 600_000, minBytes: batch.length * 3 }));
  for (let round = 0; round < 3; round++) await produceTo(writer, name, Buffer.from(batch));
  const { responses } = await reader.receive(fetch, 11);
  assert.equal(responses[0]!.partitions[0]!.records!.length, batch.length * 3);
});

test('the first batch goes out whatever its size, further ones within the limits K30', async () => {
  const client = new Client(room);
  const { name } = await newTopic(client);
  const batch = batchOf(['x'.repeat(1000)]);
  for (let round = 0; round < 3; round++) await produceTo(client, name, Buffer.from(batch));
  const sizeWith = async (more: object): Promise<number> => {
    const { responses } = await client.ask(fetch, 11, fetchBody(name, 0, more));
    return responses[0]!.partitions[0]!.records!.length;
  };
  assert.equal(await sizeWith({ maxBytes: 10 }), batch.length);
  assert.equal(await sizeWith({ partitionMaxBytes: 10 }), batch.length);
  assert.equal(await sizeWith({ maxBytes: batch.length * 2 + 10 }), batch.length * 2);
  assert.equal(await sizeWith({}), batch.length * 3);
});

test('an offset outside the log is OFFSET_OUT_OF_RANGE, with the log’s start K31 K38', async () => {
  const client = new Client(room);
  const { name } = await newTopic(client);
  await produceTo(client, name, batchOf(['x']));
  for (const offset of [2, -5, Number.MAX_SAFE_INTEGER]) {
    const { responses } = await client.ask(fetch, 11, fetchBody(name, offset, { maxWaitMs: 5000 }));
    const part = responses[0]!.partitions[0]!;
    assert.deepEqual([part.errorCode, part.logStartOffset], [KAFKA.OFFSET_OUT_OF_RANGE, 0]);
  }
});

test('a leader epoch that never was is refused K34', async () => {
  const client = new Client(room);
  const { name } = await newTopic(client);
  const { responses } = await client.ask(fetch, 11, fetchBody(name, 0, { currentLeaderEpoch: 3 }));
  assert.equal(responses[0]!.partitions[0]!.errorCode, KAFKA.UNKNOWN_LEADER_EPOCH);
});

test('who is fenced is told the leader and its address; others get no such fields K34 K35', async () => {
  const client = new Client(room);
  const { name, topicId } = await newTopic(client);
  await produceTo(client, name, batchOf(['one']));
  const ask = (currentLeaderEpoch: number) => {
    const asked = { partition: 0, fetchOffset: 0, partitionMaxBytes: 1 << 20, currentLeaderEpoch };
    const topics = [{ topicId, partitions: [asked] }];
    const limits = { maxWaitMs: 0, minBytes: 1, maxBytes: 1 << 20 };
    return client.ask(fetch, 16, { ...limits, topics, forgottenTopicsData: [] });
  };
  const fenced = await ask(-2);
  const [part] = fenced.responses[0]!.partitions;
  assert.equal(part!.errorCode, KAFKA.FENCED_LEADER_EPOCH);
  assert.deepEqual(part!.currentLeader, { leaderId: 0, leaderEpoch: 0 });
  assert.deepEqual(fenced.nodeEndpoints, [
    { nodeId: 0, host: '127.0.0.1', port: 9092, rack: null },
  ]);
  const served = await ask(0);
  assert.deepEqual(served.nodeEndpoints, []);
  assert.equal(served.responses[0]!.partitions[0]!.currentLeader.leaderId, -1);
  const made = await client.ask(produce, 10, produceBody(name, batchOf(['two'])));
  assert.deepEqual(made.nodeEndpoints, []);
  assert.equal(made.responses[0]!.partitionResponses[0]!.currentLeader.leaderId, -1);
});

test('a client that has more than the log is told where the log ends, at once K34', async () => {
  const client = new Client(room);
  const { name, topicId } = await newTopic(client);
  await produceTo(client, name, batchOf(['one', 'two']));
  const ask = async (more: object) => {
    const { topics } = fetchBody(name, 9, { lastFetchedEpoch: 0, ...more });
    const [{ partitions }] = topics as [(typeof topics)[number]];
    const patience = { maxWaitMs: 60_000, minBytes: 1, maxBytes: 1 << 20 };
    const request = { ...patience, topics: [{ topicId, partitions }], forgottenTopicsData: [] };
    const { responses } = await client.ask(fetch, 18, request);
    return responses[0]!.partitions[0]!;
  };
  const past = await ask({});
  assert.deepEqual([past.errorCode, past.records?.length], [KAFKA.NONE, 0]);
  assert.deepEqual(past.divergingEpoch, { epoch: 0, endOffset: 2 });
  assert.equal((await ask({ lastFetchedEpoch: -1 })).errorCode, KAFKA.OFFSET_OUT_OF_RANGE);
  assert.equal((await ask({ lastFetchedEpoch: 4 })).errorCode, KAFKA.OFFSET_OUT_OF_RANGE);
  const within = await ask({ fetchOffset: 1 });
  assert.deepEqual(within.divergingEpoch, { epoch: -1, endOffset: -1 });
  assert.ok(within.records!.length > 0);
});

test('newer versions name topics by id, and an unknown id has its own error K45', async () => {
  const client = new Client(room);
  const { name, topicId } = await newTopic(client);
  const body = (id: string) => ({
    acks: 1,
    timeoutMs: 1000,
    topicData: [{ topicId: id, partitionData: [{ index: 0, records: batchOf(['x']) }] }],
  });
  const known = await client.ask(produce, 13, body(topicId));
  assert.equal(known.responses[0]!.partitionResponses[0]!.errorCode, KAFKA.NONE);
  const unknown = await client.ask(produce, 13, body(ZERO_UUID));
  assert.equal(unknown.responses[0]!.partitionResponses[0]!.errorCode, KAFKA.UNKNOWN_TOPIC_ID);
  const asked = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1000 }];
  const got = await client.ask(fetch, 18, {
    maxWaitMs: 0,
    minBytes: 1,
    topics: [{ topicId, partitions: asked }],
  });
  assert.equal(got.responses[0]!.topicId, topicId);
  assert.equal(got.responses[0]!.partitions[0]!.highWatermark, 1);
  const described = await client.ask(metadata, 12, { topics: [{ topicId, name: null }] });
  assert.equal(described.topics[0]!.name, name);
});

test('the special timestamps of ListOffsets K36 K102', async () => {
  const client = new Client(room);
  const { name } = await newTopic(client);
  for (const timestampMs of [1000, 3000, 2000]) {
    await produceTo(client, name, batchOf(['x'], { timestampMs }));
  }
  const at = async (timestamp: number, version = 11) => {
    const { topics } = await client.ask(listOffsets, version, {
      replicaId: -1,
      topics: [{ name, partitions: [{ partitionIndex: 0, timestamp }] }],
    });
    const { errorCode, offset, timestamp: time } = topics[0]!.partitions[0]!;
    return [errorCode, offset, time];
  };
  assert.deepEqual(await at(-1), [0, 3, -1]);
  assert.deepEqual(await at(-2), [0, 0, -1]);
  assert.deepEqual(await at(-3), [0, 1, 3000]);
  assert.deepEqual(await at(-4), [0, 0, -1]);
  assert.deepEqual(await at(-5), [0, -1, -1]);
  assert.deepEqual(await at(-6), [0, -1, -1]);
  assert.deepEqual(await at(1001), [0, 1, 3000]);
  assert.deepEqual(await at(3001), [0, -1, -1]);
  assert.deepEqual(await at(-3, 6), [KAFKA.UNSUPPORTED_VERSION, -1, -1]);
});

test('while the store has no room, produce requests wait and none is refused', async (t) => {
  const small = await openTestHost({ limits: { inFlightBytesMax: 20_000 } });
  const own = openRoom(small);
  t.after(async () => {
    await own.close();
    await small.close();
  });
  const client = new Client(own);
  const { name } = await newTopic(client);
  const batch = batchOf(['x'.repeat(5000)]);
  const frames = Array.from({ length: 40 }, () =>
    client.frame(produce, 8, produceBody(name, Buffer.from(batch))),
  );
  client.memory.send(Buffer.concat(frames));
  assert.equal(client.memory.connection.paused, true);
  for (let index = 0; index < 40; index++) {
    const { responses } = await client.receive(produce, 8);
    assert.deepEqual(pick(responses[0]!.partitionResponses[0]!), [KAFKA.NONE, index]);
  }
  assert.equal(client.memory.connection.paused, false);
});

test('a client that hangs up while it waits leaves no tail and no timer behind K30', async () => {
  const timers = new ManualTimers();
  const own = await openTestHost({ timers });
  const within = openRoom(own);
  const before = timers.count;
  const client = new Client(within);
  const { name } = await newTopic(client);
  client.send(fetch, 11, fetchBody(name, 0, { maxWaitMs: 600_000 }));
  assert.equal(timers.count, before + 2, 'one for the wait, one for the idle connection');
  client.memory.close();
  await client.memory.closed;
  assert.equal(timers.count, before);
  await within.close();
  await own.close();
});

test('a fetch that waits in vain is answered empty after its time K30', async () => {
  const timers = new ManualTimers();
  const own = await openTestHost({ timers });
  const within = openRoom(own);
  const client = new Client(within);
  const { name } = await newTopic(client);
  client.send(fetch, 11, fetchBody(name, 0, { maxWaitMs: 500 }));
  timers.pass(499);
  assert.equal(client.memory.receivedBytes, 0);
  timers.pass(1);
  const { responses } = await client.receive(fetch, 11);
  assert.equal(responses[0]!.partitions[0]!.records!.length, 0);
  await within.close();
  await own.close();
});

test('a full disk is told as a storage error, and what is stored is still served', async (t) => {
  const own = await openTestHost();
  const within = openRoom(own);
  t.after(async () => {
    await within.close();
    await own.close();
  });
  const client = new Client(within);
  const { name } = await newTopic(client);
  await produceTo(client, name, batchOf(['before']));
  t.mock.method(own.broker, 'appendBatch', () => {
    throw new BrokerError('storage-full');
  });
  const refused = await produceTo(client, name, batchOf(['x']));
  assert.equal(refused.errorCode, KAFKA.KAFKA_STORAGE_ERROR);
  const got = await client.ask(fetch, 11, fetchBody(name, 0));
  assert.equal(got.responses[0]!.partitions[0]!.highWatermark, 1);
});
