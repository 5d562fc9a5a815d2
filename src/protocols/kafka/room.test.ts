import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openTestHost, type TestHost } from '../../../test/contract/test-host.ts';
import {
  batchOf,
  Client,
  fetchBody,
  newTopic,
  openRoom,
  produceBody,
  produceTo,
} from './client.fixture.ts';
import { ADVERTISED } from './codec.ts';
import { KAFKA } from './error-codes.ts';
import { OPERATIONS } from './handlers/index.ts';
import { produce } from './messages/00-produce.ts';
import { fetch } from './messages/01-fetch.ts';
import { metadata } from './messages/03-metadata.ts';
import { saslHandshake } from './messages/17-sasl-handshake.ts';
import { apiVersions } from './messages/18-api-versions.ts';
import { createTopics } from './messages/19-create-topics.ts';
import { deleteTopics } from './messages/20-delete-topics.ts';
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

test('every message pair has its operation and the other way round', () => {
  assert.deepEqual(
    [...OPERATIONS.keys()].sort((a, b) => a - b),
    MESSAGES.map(({ key }) => key).sort((a, b) => a - b),
  );
});

test('the advertised ranges are those of Kafka 4.2, Produce from 0 K3 K84 K100 K101 K102 K103', () => {
  const told = ADVERTISED.toSorted((a, b) => a.apiKey - b.apiKey).map(
    ({ apiKey, minVersion, maxVersion }) => `${apiKey}:${minVersion}-${maxVersion}`,
  );
  const wanted = [
    '0:0-13 1:4-18 2:1-11 3:0-13 8:2-10 9:1-10 10:0-6 11:0-9 12:0-4 13:0-5 14:0-5 15:0-6',
    '16:0-5 17:0-1 18:0-4 19:2-7 20:1-6 21:0-2 22:0-5 23:2-4 24:0-5 25:0-4 26:0-5 27:1-2',
    '28:0-5 29:1-3 30:1-3 31:1-3 32:1-4 33:0-2 34:1-2 35:1-4 36:0-2 37:0-3 42:0-2 43:0-2 44:0-1',
    '45:0-0 46:0-0 47:0-0 48:0-1 49:0-1 50:0-0 51:0-0 55:0-2 57:0-2 60:0-2 61:0-0 65:0-0 66:0-2',
    '68:0-1 69:0-1 71:0-0 72:0-0 74:0-1 75:0-0 76:1-1 77:1-1 78:1-2 79:1-2 90:0-1 91:0-0 92:0-0',
  ];
  assert.deepEqual(told, wanted.join(' ').split(' '));
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
  assert.equal(await config('cleanup.policy', 'compress'), KAFKA.INVALID_CONFIG);
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
  assert.deepEqual(
    [answer.errorCode, answer.mechanisms],
    [33, ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512']],
  );
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
