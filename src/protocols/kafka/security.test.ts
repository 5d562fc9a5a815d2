import assert from 'node:assert/strict';
import { pbkdf2Sync } from 'node:crypto';
import { after, before, test } from 'node:test';
import { ScramClient, type ScramName } from '../../../test/contract/scram-client.ts';
import { ManualTimers, openTestHost, type TestHost } from '../../../test/contract/test-host.ts';
import { ACL_ANY, PATTERN } from './acl-bindings.ts';
import { Client, newTopic, openRoom } from './client.fixture.ts';
import { KAFKA } from './error-codes.ts';
import { metadata } from './messages/03-metadata.ts';
import { findCoordinator } from './messages/10-find-coordinator.ts';
import { saslHandshake } from './messages/17-sasl-handshake.ts';
import { createTopics } from './messages/19-create-topics.ts';
import { describeAcls } from './messages/29-describe-acls.ts';
import { createAcls } from './messages/30-create-acls.ts';
import { deleteAcls } from './messages/31-delete-acls.ts';
import { saslAuthenticate } from './messages/36-sasl-authenticate.ts';
import { describeUserScramCredentials } from './messages/50-describe-user-scram-credentials.ts';
import { alterUserScramCredentials } from './messages/51-alter-user-scram-credentials.ts';
import type { Room } from './room.ts';

const PEER = { address: '192.0.2.1', loopback: false };
const OPERATION = { ALL: 2, READ: 3, WRITE: 4, DESCRIBE: 8, CLUSTER_ACTION: 9 } as const;
const DENY = 2;
const ALLOW = 3;

let host: TestHost;
let room: Room;
const timers = new ManualTimers();

before(async () => {
  host = await openTestHost({ timers, clock: timers.clock });
  room = openRoom(host, { failedAuthenticationDelay: 0 });
  const { principals } = host.broker;
  await principals.setUser('root', 'secret', { superuser: true });
  await principals.setUser('carol', 'secret', { superuser: false });
});
after(async () => {
  const closing = room.close();
  timers.pass(10_000);
  await closing;
  await host.close();
});

/** Turns the timers until the answer is there: what it waits for is due at once. */
async function turning<T>(answer: Promise<T>): Promise<T> {
  let isThere = false;
  const there = (): void => {
    isThere = true;
  };
  answer.then(there, there);
  while (!isThere) {
    timers.pass(0);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return answer;
}

async function scram(client: Client, mechanism: ScramName, user: string, password: string) {
  const handshake = await client.ask(saslHandshake, 1, { mechanism });
  assert.equal(handshake.errorCode, KAFKA.NONE);
  const side = new ScramClient(mechanism, user, password);
  const first = await client.ask(saslAuthenticate, 2, { authBytes: side.first });
  if (first.errorCode !== KAFKA.NONE) return first;
  const authBytes = side.final(first.authBytes);
  client.send(saslAuthenticate, 2, { authBytes });
  const final = await turning(client.receive(saslAuthenticate, 2));
  if (final.errorCode === KAFKA.NONE) assert.equal(final.authBytes.toString(), side.signature);
  return final;
}

async function loggedIn(user: string): Promise<Client> {
  const client = new Client(room, { peer: PEER });
  const answer = await scram(client, 'SCRAM-SHA-512', user, 'secret');
  assert.equal(answer.errorCode, KAFKA.NONE);
  return client;
}

test('SCRAM of both sizes logs in with the user store, and a wrong proof is told K74', async () => {
  for (const mechanism of ['SCRAM-SHA-256', 'SCRAM-SHA-512'] as const) {
    const client = new Client(room, { peer: PEER });
    assert.equal((await scram(client, mechanism, 'carol', 'secret')).errorCode, KAFKA.NONE);
    assert.equal((await client.ask(metadata, 8, { topics: [] })).controllerId, 0);
    for (const user of ['carol', 'nobody']) {
      const wrong = new Client(room, { peer: PEER });
      const answer = await scram(wrong, mechanism, user, 'guess');
      assert.equal(answer.errorCode, KAFKA.SASL_AUTHENTICATION_FAILED);
      assert.equal(answer.errorMessage, 'authentication failed: invalid credentials');
      await wrong.memory.closed;
    }
  }
});

test('a SCRAM log-in without Kafka headers, after a handshake of version 0 K74', async () => {
  const client = new Client(room, { peer: PEER });
  await client.ask(saslHandshake, 0, { mechanism: 'SCRAM-SHA-256' });
  const side = new ScramClient('SCRAM-SHA-256', 'carol', 'secret');
  const framed = (bytes: Buffer): Buffer => {
    const size = Buffer.alloc(4);
    size.writeInt32BE(bytes.length);
    return Buffer.concat([size, bytes]);
  };
  client.memory.send(framed(side.first));
  client.memory.send(framed(side.final(await client.next())));
  assert.equal((await client.next()).toString(), side.signature);
  assert.equal((await client.ask(metadata, 8, { topics: [] })).controllerId, 0);
});

test('a session that lives on must log in again, as the same user K74 K136', async () => {
  const own = openRoom(host, { saslSessionMax: 60_000, failedAuthenticationDelay: 0 });
  const client = new Client(own, { peer: PEER });
  const answer = await scram(client, 'SCRAM-SHA-256', 'carol', 'secret');
  assert.equal(answer.sessionLifetimeMs, 60_000);
  timers.pass(59_000);
  assert.equal((await client.ask(metadata, 8, { topics: [] })).controllerId, 0);
  timers.pass(2000);
  assert.equal((await scram(client, 'SCRAM-SHA-256', 'carol', 'secret')).errorCode, KAFKA.NONE);
  assert.equal((await client.ask(metadata, 8, { topics: [] })).controllerId, 0);
  timers.pass(61_000);
  client.send(metadata, 8, { topics: [] });
  await client.memory.closed;

  const changing = new Client(own, { peer: PEER });
  await scram(changing, 'SCRAM-SHA-256', 'carol', 'secret');
  const handing = await scram(changing, 'SCRAM-SHA-256', 'root', 'secret');
  assert.equal(handing.errorCode, KAFKA.SASL_AUTHENTICATION_FAILED);
  await own.close();
});

test('a user that is disabled loses its connections at once M177 K76', async () => {
  await host.broker.principals.setUser('dave', 'secret', { superuser: false });
  const client = await loggedIn('dave');
  host.broker.principals.store.change('dave', { enabled: false });
  await client.memory.closed;
});

const acl = (fields: object) => ({
  ...{ resourceType: 2, resourceName: 'orders', resourcePatternType: PATTERN.LITERAL },
  ...{ principal: 'User:carol', host: '*', operation: OPERATION.READ, permissionType: ALLOW },
  ...fields,
});
const filter = (fields: object) => ({
  ...{ resourceTypeFilter: ACL_ANY, resourceNameFilter: null, patternTypeFilter: PATTERN.ANY },
  ...{ principalFilter: null, hostFilter: null, operation: ACL_ANY, permissionType: ACL_ANY },
  ...fields,
});

test('ACLs are made, told, kept and deleted K78 K129 K130 K131', async () => {
  const root = await loggedIn('root');
  const carol = await loggedIn('carol');
  const refused = await carol.ask(createAcls, 3, { creations: [acl({})] });
  assert.equal(refused.results[0]!.errorCode, KAFKA.CLUSTER_AUTHORIZATION_FAILED);
  const topic = { numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] };
  const topics = ['orders', 'orders-eu', 'other'].map((name) => ({ name, ...topic }));
  await root.ask(createTopics, 5, { topics, timeoutMs: 1000, validateOnly: false });
  const seen = async (): Promise<string[]> => {
    const all = await carol.ask(metadata, 8, { topics: null });
    return all.topics.map(({ name }) => name!).sort();
  };
  assert.deepEqual(await seen(), ['orders', 'orders-eu', 'other']);

  const prefixed = acl({ resourcePatternType: PATTERN.PREFIXED, operation: OPERATION.WRITE });
  const group = acl({ resourceType: 3, resourceName: 'g', operation: OPERATION.ALL });
  const made = await root.ask(createAcls, 3, { creations: [acl({}), prefixed, group] });
  assert.deepEqual(
    made.results.map(({ errorCode }) => errorCode),
    [0, 0, 0],
  );
  assert.deepEqual(await seen(), ['orders', 'orders-eu'], 'an allowed action brings describe');
  const coordinator = (key: string) => carol.ask(findCoordinator, 3, { key, keyType: 0 });
  assert.equal((await coordinator('g')).errorCode, KAFKA.NONE);
  assert.equal((await coordinator('h')).errorCode, KAFKA.GROUP_AUTHORIZATION_FAILED);

  const told = await root.ask(describeAcls, 3, filter({ principalFilter: 'User:carol' }));
  assert.equal(told.resources.length, 3);
  const matching = filter({
    ...{ resourceTypeFilter: 2, resourceNameFilter: 'orders-eu' },
    patternTypeFilter: PATTERN.MATCH,
  });
  const matched = await root.ask(describeAcls, 3, matching);
  assert.deepEqual(matched.resources, [
    {
      ...{ resourceType: 2, resourceName: 'orders', patternType: PATTERN.PREFIXED },
      acls: [{ principal: 'User:carol', host: '*', operation: 4, permissionType: ALLOW }],
    },
  ]);
  const hidden = await carol.ask(describeAcls, 3, filter({}));
  assert.equal(hidden.errorCode, KAFKA.CLUSTER_AUTHORIZATION_FAILED);

  const denied = await root.ask(createAcls, 3, { creations: [acl({ permissionType: DENY })] });
  assert.equal(denied.results[0]!.errorCode, KAFKA.NONE);
  const deleted = await root.ask(deleteAcls, 3, {
    filters: [filter({ permissionType: DENY }), filter({ resourceTypeFilter: 3 })],
  });
  assert.deepEqual(
    deleted.filterResults.map(({ matchingAcls }) => matchingAcls.length),
    [1, 1],
  );
  await root.ask(deleteAcls, 3, { filters: [filter({})] });
  assert.deepEqual(host.broker.principals.rules(), []);
  assert.deepEqual(await seen(), ['orders', 'orders-eu', 'other']);
});

test('an ACL that means nothing here is refused K78', async () => {
  const root = await loggedIn('root');
  const wrong = [
    { resourceType: 7 },
    { resourceType: 6 },
    { resourceType: 2, operation: OPERATION.CLUSTER_ACTION },
    { resourceType: 4, resourceName: 'other-cluster', operation: OPERATION.DESCRIBE },
    { resourcePatternType: PATTERN.MATCH },
    { permissionType: ACL_ANY },
    { principal: 'carol' },
    { principal: 'Group:x' },
    { resourceName: '' },
  ];
  const creations = wrong.map(acl);
  const { results } = await root.ask(createAcls, 2, { creations });
  for (const [index, { errorCode }] of results.entries()) {
    assert.equal(errorCode, KAFKA.INVALID_REQUEST, JSON.stringify(wrong[index]));
  }
  assert.deepEqual(host.broker.principals.rules(), []);
});

test('a rule of several actions loses the one that is deleted K131', async () => {
  const root = await loggedIn('root');
  host.broker.principals.putRule({
    ...{ id: 'wide', effect: 'allow', principal: 'carol', kind: 'stream', pattern: 'orders' },
    actions: ['publish', 'subscribe'],
  });
  await root.ask(deleteAcls, 3, { filters: [filter({ operation: OPERATION.WRITE })] });
  const rules = host.broker.principals.rules();
  assert.deepEqual(
    rules.map(({ id, actions }) => [id, actions]),
    [['wide', ['subscribe']]],
  );
  host.broker.principals.removeRule('wide');
});

test('SCRAM credentials are made, told and deleted K76 K150 K151', async () => {
  const root = await loggedIn('root');
  const salt = Buffer.from('0123456789abcdef');
  const saltedPassword = pbkdf2Sync('secret', salt, 8192, 64, 'sha512');
  const upsertion = { name: 'erin', mechanism: 2, iterations: 8192, salt, saltedPassword };
  const alter = (deletions: object[], upsertions: object[]) =>
    root.ask(alterUserScramCredentials, 0, {
      deletions: deletions as { name: string; mechanism: number }[],
      upsertions: upsertions as (typeof upsertion)[],
    });
  const made = await alter([], [upsertion]);
  assert.deepEqual(
    made.results.map(({ user, errorCode }) => [user, errorCode]),
    [['erin', KAFKA.NONE]],
  );
  const erin = await loggedIn('erin');
  const asked = { users: [{ name: 'erin' }, { name: 'nobody' }] };
  const hidden = await erin.ask(describeUserScramCredentials, 0, asked);
  assert.equal(hidden.errorCode, KAFKA.CLUSTER_AUTHORIZATION_FAILED);
  const told = await root.ask(describeUserScramCredentials, 0, asked);
  assert.deepEqual(
    told.results.map(({ errorCode, credentialInfos }) => [errorCode, credentialInfos]),
    [
      [KAFKA.NONE, [{ mechanism: 2, iterations: 8192 }]],
      [KAFKA.RESOURCE_NOT_FOUND, []],
    ],
  );
  const outcome = async (deletions: object[], upsertions: object[]) =>
    (await alter(deletions, upsertions)).results[0]!.errorCode;
  const one = { name: 'erin', mechanism: 1 };
  assert.equal(await outcome([one], []), KAFKA.RESOURCE_NOT_FOUND);
  const few = { ...upsertion, iterations: 100 };
  assert.equal(await outcome([], [few]), KAFKA.UNACCEPTABLE_CREDENTIAL);
  const both = { name: 'erin', mechanism: 2 };
  assert.equal(await outcome([both], [upsertion]), KAFKA.DUPLICATE_RESOURCE);
  const unknown = { ...upsertion, mechanism: 9 };
  assert.equal(await outcome([], [unknown]), KAFKA.UNSUPPORTED_SASL_MECHANISM);
  assert.equal(await outcome([both], []), KAFKA.NONE);
  const gone = new Client(room, { peer: PEER });
  const failed = await scram(gone, 'SCRAM-SHA-512', 'erin', 'guess');
  assert.equal(failed.errorCode, KAFKA.SASL_AUTHENTICATION_FAILED);
});

test('a topic whose parts may not be read is not read as a whole X33', async () => {
  const client = new Client(room);
  const name = (await newTopic(client)).name;
  const { principals } = host.broker;
  const rule = { id: 'part', effect: 'deny', principal: '*', actions: ['subscribe'] } as const;
  principals.putRule({ ...rule, pattern: `${name}/secret/#` });
  const all = await client.ask(metadata, 8, {
    topics: [{ name }],
    includeTopicAuthorizedOperations: true,
  });
  const bits = all.topics[0]!.topicAuthorizedOperations;
  assert.equal(bits & (1 << OPERATION.READ), 0);
  assert.notEqual(bits & (1 << OPERATION.WRITE), 0);
  principals.removeRule('part');
});

test('a certificate of a user of ours is a log-in; a banned one stays out K74 M178', async () => {
  const identity = { commonName: 'carol', digest: '', user: 'carol', clientId: null };
  const client = new Client(room, { peer: { ...PEER, identity } });
  assert.equal((await client.ask(metadata, 8, { topics: [] })).controllerId, 0);
  const stranger = { ...identity, user: 'nobody' };
  const other = new Client(room, { peer: { ...PEER, identity: stranger } });
  other.send(metadata, 8, { topics: [] });
  await other.memory.closed;
  const refuses = ({ user }: { user: string }) => (user === 'carol' ? 'banned' : null);
  const banned = new Client(room, { peer: { ...PEER, identity }, refuses });
  await banned.memory.closed;
  const late = new Client(room, { peer: PEER, refuses });
  const answered = await scram(late, 'SCRAM-SHA-256', 'carol', 'secret');
  assert.equal(answered.errorCode, KAFKA.SASL_AUTHENTICATION_FAILED);
});
