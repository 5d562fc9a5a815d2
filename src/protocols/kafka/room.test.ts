import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { BrokerError } from '#kit';
import { ManualTimers, openTestHost, type TestHost } from '../../../test/contract/test-host.ts';
import { batchOf, Client, openRoom } from './client.fixture.ts';
import { ADVERTISED } from './codec.ts';
import { KAFKA } from './error-codes.ts';
import { OPERATIONS } from './handlers/index.ts';
import { produce } from './messages/00-produce.ts';
import { fetch } from './messages/01-fetch.ts';
import { listOffsets } from './messages/02-list-offsets.ts';
import { metadata } from './messages/03-metadata.ts';
import { saslHandshake } from './messages/17-sasl-handshake.ts';
import { apiVersions } from './messages/18-api-versions.ts';
import { createTopics } from './messages/19-create-topics.ts';
import { deleteTopics } from './messages/20-delete-topics.ts';
import { initProducerId } from './messages/22-init-producer-id.ts';
import { saslAuthenticate } from './messages/36-sasl-authenticate.ts';
import { MESSAGES } from './messages/index.ts';
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

let topicCount = 0;

/** A topic of its own for a test. */
async function newTopic(
  client: Client,
  partitions = 1,
): Promise<{ name: string; topicId: string }> {
  const name = `topic-${++topicCount}`;
  const wanted = { name, numPartitions: partitions, replicationFactor: 1 };
  const { topics } = await client.ask(createTopics, 7, {
    topics: [{ ...wanted, assignments: [], configs: [] }],
  });
  assert.equal(topics[0]!.errorCode, KAFKA.NONE);
  return { name, topicId: topics[0]!.topicId };
}

function produceBody(name: string, records: Buffer, acks = -1, index = 0) {
  return { acks, timeoutMs: 1000, topicData: [{ name, partitionData: [{ index, records }] }] };
}

async function produceTo(client: Client, name: string, records: Buffer, acks = -1) {
  const { responses } = await client.ask(produce, 8, produceBody(name, records, acks));
  return responses[0]!.partitionResponses[0]!;
}

function fetchBody(topic: string, fetchOffset: number, more: object = {}) {
  const asked = { partition: 0, fetchOffset, partitionMaxBytes: 1 << 20, ...more };
  return {
    maxWaitMs: 0,
    minBytes: 1,
    maxBytes: 1 << 20,
    ...more,
    topics: [{ topic, partitions: [asked] }],
    forgottenTopicsData: [],
  };
}

test('every message pair has its operation and the other way round', () => {
  assert.deepEqual(
    [...OPERATIONS.keys()].sort((a, b) => a - b),
    MESSAGES.map(({ key }) => key).sort((a, b) => a - b),
  );
});

test('the advertised ranges are those of Kafka 4.2, Produce from 0 K3 K84 K100 K101 K102 K103', () => {
  const told = ADVERTISED.map(({ apiKey, minVersion, maxVersion }) => [
    apiKey,
    minVersion,
    maxVersion,
  ]);
  assert.deepEqual(
    told.sort((a, b) => a[0]! - b[0]!),
    [
      [0, 0, 13],
      [1, 4, 18],
      [2, 1, 11],
      [3, 0, 13],
      [8, 2, 10],
      [9, 1, 10],
      [10, 0, 6],
      [11, 0, 9],
      [12, 0, 4],
      [13, 0, 5],
      [14, 0, 5],
      [15, 0, 6],
      [16, 0, 5],
      [17, 0, 1],
      [18, 0, 4],
      [19, 2, 7],
      [20, 1, 6],
      [21, 0, 2],
      [22, 0, 5],
      [23, 2, 4],
      [32, 1, 4],
      [35, 1, 4],
      [36, 0, 2],
      [37, 0, 3],
      [42, 0, 2],
      [44, 0, 1],
      [47, 0, 0],
      [60, 0, 2],
      [75, 0, 0],
    ],
  );
});

test('ApiVersions of an unknown version is answered in version 0 with error 35 K2 K118', async () => {
  const client = new Client(room);
  const frame = client.frame(apiVersions, 3, {
    clientSoftwareName: 'x',
    clientSoftwareVersion: '1',
  });
  frame.writeInt16BE(99, 6);
  client.memory.send(frame);
  const answer = await client.receive(apiVersions, 0);
  assert.equal(answer.errorCode, KAFKA.UNSUPPORTED_VERSION);
  assert.deepEqual(answer.apiKeys, [{ apiKey: 18, minVersion: 0, maxVersion: 4 }]);
});

test('ApiVersions checks what the client calls itself K4', async () => {
  const client = new Client(room);
  const good = { clientSoftwareName: 'apache-kafka.java', clientSoftwareVersion: '4.3.1' };
  assert.equal((await client.ask(apiVersions, 4, good)).errorCode, KAFKA.NONE);
  const bad = { clientSoftwareName: 'a b', clientSoftwareVersion: '1' };
  assert.equal((await client.ask(apiVersions, 3, bad)).errorCode, KAFKA.INVALID_REQUEST);
});

test('an unknown API or version closes the connection K6', async () => {
  const unknown = new Client(room);
  unknown.memory.send(Buffer.from('0000000a7fff00000000000100000000', 'hex'));
  await unknown.memory.closed;
  const old = new Client(room);
  const frame = old.frame(produce, 3, produceBody('x', batchOf(['x'])));
  frame.writeInt16BE(2, 6);
  old.memory.send(frame);
  await old.memory.closed;
});

test('a frame above the limit closes the connection at once K1', async () => {
  const client = new Client(room);
  client.memory.send(Buffer.from('7fffffff', 'hex'));
  await client.memory.closed;
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
  const name = `topic-${++topicCount}`;
  const configs = [{ name: 'max.message.bytes', value: '100' }];
  const wanted = { name, numPartitions: 1, replicationFactor: -1, assignments: [], configs };
  await client.ask(createTopics, 7, { topics: [wanted] });
  const answer = await produceTo(client, name, batchOf(['x'.repeat(200)]));
  assert.equal(answer.errorCode, KAFKA.MESSAGE_TOO_LARGE);
  assert.match(answer.errorMessage!, /at most 100/);
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

test('a transactional producer gets a final refusal', async () => {
  const client = new Client(room);
  const body = { transactionalId: 't', transactionTimeoutMs: 1000 };
  const answer = await client.ask(initProducerId, 4, body);
  assert.equal(answer.errorCode, KAFKA.TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
});

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

test('Metadata creates what is asked for, if the client and the options allow it K44 K46', async () => {
  const client = new Client(room);
  const ask = async (name: string, allowAutoTopicCreation: boolean) => {
    const { topics } = await client.ask(metadata, 8, {
      topics: [{ name }],
      allowAutoTopicCreation,
    });
    return [topics[0]!.errorCode, topics[0]!.partitions.length];
  };
  assert.deepEqual(await ask('made-by-asking', false), [KAFKA.UNKNOWN_TOPIC_OR_PARTITION, 0]);
  assert.deepEqual(await ask('made-by-asking', true), [KAFKA.NONE, 1]);
  assert.deepEqual(await ask('made-by-asking', false), [KAFKA.NONE, 1]);
  for (const name of ['white space', '.', '..', 'x'.repeat(250), 'a/b', '']) {
    assert.deepEqual(await ask(name, true), [KAFKA.INVALID_TOPIC_EXCEPTION, 0], name);
  }
  assert.deepEqual(await ask('__reserved', true), [KAFKA.UNKNOWN_TOPIC_OR_PARTITION, 0]);
});

test('the server’s own streams do not exist for clients, by name or by id K44', async () => {
  const hidden = host.broker.streams.create('__own');
  const client = new Client(room);
  const byName = await client.ask(metadata, 12, { topics: [{ name: '__own' }] });
  assert.equal(byName.topics[0]!.errorCode, KAFKA.UNKNOWN_TOPIC_OR_PARTITION);
  for (const version of [10, 13]) {
    const asked = { topics: [{ topicId: hidden.id, name: null }] };
    const byId = await client.ask(metadata, version, asked);
    assert.equal(byId.topics[0]!.errorCode, KAFKA.UNKNOWN_TOPIC_ID);
  }
  const answer = await produceTo(client, '__own', batchOf(['x']));
  assert.equal(answer.errorCode, KAFKA.UNKNOWN_TOPIC_OR_PARTITION);
  const all = await client.ask(metadata, 12, { topics: null });
  assert.ok(all.topics.every(({ name }) => name !== '__own'));
});

test('clients are told the address that they reached, or the configured one K12', async () => {
  const told = async (within: Room, address: string) => {
    const client = new Client(within, { local: { address, port: 9092 } });
    const { brokers } = await client.ask(metadata, 1, { topics: [] });
    return brokers.map(({ nodeId, host: name, port }) => `${nodeId} ${name} ${port}`);
  };
  assert.deepEqual(await told(room, '10.0.0.7'), ['0 10.0.0.7 9092']);
  assert.deepEqual(await told(room, '::ffff:10.0.0.7'), ['0 10.0.0.7 9092']);
  assert.deepEqual(await told(room, '::1'), ['0 localhost 9092']);
  const named = openRoom(host, { advertised: ['kafka-tls=other:1', 'broker.example:19092'] });
  assert.deepEqual(await told(named, '10.0.0.7'), ['0 broker.example 19092']);
  await named.close();
});

test('a topic that was deleted and made again has a new id and no old positions K45 K81', async () => {
  const client = new Client(room);
  const { name, topicId } = await newTopic(client);
  const gone = await client.ask(deleteTopics, 6, {
    topics: [{ name, topicId: ZERO_UUID }],
    timeoutMs: 1000,
  });
  assert.deepEqual([gone.responses[0]!.errorCode, gone.responses[0]!.topicId], [0, topicId]);
  const body = { topics: [{ name }], allowAutoTopicCreation: false };
  const after = await client.ask(metadata, 8, body);
  assert.equal(after.topics[0]!.errorCode, KAFKA.UNKNOWN_TOPIC_OR_PARTITION);
  const again = await client.ask(createTopics, 7, {
    topics: [{ name, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }],
  });
  assert.notEqual(again.topics[0]!.topicId, topicId);
});

test('CreateTopics refuses what it cannot do, each with its own error K42 K44 K81 K119', async () => {
  const client = new Client(room);
  const { name: existing } = await newTopic(client);
  const ask = async (wanted: object) => {
    const basis = { numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] };
    const body = { topics: [{ name: 'refused', ...basis, ...wanted }], validateOnly: true };
    return (await client.ask(createTopics, 7, body)).topics[0]!.errorCode;
  };
  assert.equal(await ask({}), KAFKA.NONE);
  assert.equal(await ask({ name: existing }), KAFKA.TOPIC_ALREADY_EXISTS);
  assert.equal(await ask({ name: 'a b' }), KAFKA.INVALID_TOPIC_EXCEPTION);
  assert.equal(await ask({ name: '__own' }), KAFKA.INVALID_TOPIC_EXCEPTION);
  assert.equal(await ask({ numPartitions: 0 }), KAFKA.INVALID_PARTITIONS);
  assert.equal(await ask({ replicationFactor: 3 }), KAFKA.INVALID_REPLICATION_FACTOR);
  const config = (key: string, value: string) => ask({ configs: [{ name: key, value }] });
  assert.equal(await config('no.such.config', '1'), KAFKA.INVALID_CONFIG);
  assert.equal(await config('cleanup.policy', 'compact'), KAFKA.INVALID_CONFIG);
  assert.equal(await config('retention.ms', 'soon'), KAFKA.INVALID_CONFIG);
  assert.equal(await config('segment.bytes', '1048576'), KAFKA.NONE);
  const assignments = [{ partitionIndex: 0, brokerIds: [5] }];
  const assigned = { numPartitions: -1, replicationFactor: -1, assignments };
  assert.equal(await ask(assigned), KAFKA.INVALID_REPLICA_ASSIGNMENT);
});

test('a client off this machine must authenticate before anything else K74 K117 K136', async () => {
  const peer = { address: '192.0.2.1', loopback: false };
  await host.broker.principals.setUser('carol', 'secret', {
    superuser: false,
    loopbackOnly: false,
  });
  const eager = new Client(room, { peer });
  eager.send(metadata, 8, { topics: [] });
  await eager.memory.closed;

  const wrong = new Client(room, { peer });
  assert.equal((await wrong.ask(apiVersions, 0, {})).errorCode, KAFKA.NONE);
  const early = new Client(room, { peer });
  const token = Buffer.from('\0carol\0secret');
  const stateless = await early.ask(saslAuthenticate, 2, { authBytes: token });
  assert.equal(stateless.errorCode, KAFKA.ILLEGAL_SASL_STATE);
  await early.memory.closed;

  await wrong.ask(saslHandshake, 1, { mechanism: 'PLAIN' });
  const bad = await wrong.ask(saslAuthenticate, 1, { authBytes: Buffer.from('\0carol\0guess') });
  assert.equal(bad.errorCode, KAFKA.SASL_AUTHENTICATION_FAILED);
  await wrong.memory.closed;

  const right = new Client(room, { peer });
  await right.ask(saslHandshake, 1, { mechanism: 'PLAIN' });
  const good = await right.ask(saslAuthenticate, 2, { authBytes: token });
  assert.equal(good.errorCode, KAFKA.NONE);
  assert.equal((await right.ask(metadata, 8, { topics: [] })).controllerId, 0);
});

test('after a handshake of version 0 the token comes without a Kafka header K74', async () => {
  const client = new Client(room, { peer: { address: '192.0.2.1', loopback: false } });
  await client.ask(saslHandshake, 0, { mechanism: 'PLAIN' });
  const token = Buffer.from('\0carol\0secret');
  const size = Buffer.alloc(4);
  size.writeInt32BE(token.length);
  client.memory.send(Buffer.concat([size, token]));
  assert.equal((await client.next()).length, 0);
  assert.equal((await client.ask(metadata, 8, { topics: [] })).controllerId, 0);
});

test('an unknown SASL mechanism is told which there are K74', async () => {
  const client = new Client(room);
  const answer = await client.ask(saslHandshake, 1, { mechanism: 'GSSAPI' });
  assert.deepEqual([answer.errorCode, answer.mechanisms], [33, ['PLAIN']]);
  await client.memory.closed;
});

test('a client that reads nothing is not served further until it does', async () => {
  const client = new Client(room, { sendMark: 1000 });
  const { name } = await newTopic(client);
  await produceTo(client, name, batchOf(['x'.repeat(2000)]));
  client.memory.hold();
  for (let round = 0; round < 20; round++) client.send(fetch, 11, fetchBody(name, 0));
  const other = new Client(room);
  for (let round = 0; round < 5; round++) await other.ask(apiVersions, 0, {});
  assert.ok(client.memory.heldBytes < 3 * 2200, `${client.memory.heldBytes} bytes held`);
  client.memory.release();
  for (let round = 0; round < 20; round++) {
    const { responses } = await client.receive(fetch, 11);
    assert.equal(responses[0]!.partitions[0]!.errorCode, KAFKA.NONE);
  }
});

test('the room takes leave: waiting fetches are answered, then connections end', async () => {
  const own = openRoom(host);
  const client = new Client(own);
  const { name } = await newTopic(client);
  client.send(fetch, 11, fetchBody(name, 0, { maxWaitMs: 600_000 }));
  const closing = own.close();
  const { responses } = await client.receive(fetch, 11);
  assert.equal(responses[0]!.partitions[0]!.errorCode, KAFKA.NONE);
  await closing;
  await client.memory.closed;
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
