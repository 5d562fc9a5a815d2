import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { flatAddress, Message, originOf, slashSpelling, textHeader } from '#broker';
import type { Instance } from '#contract';
import { defaults } from '#kit';
import {
  connectMemory,
  type MemoryClient,
  type MemoryOptions,
} from '../../../test/contract/memory-connection.ts';
import { ManualTimers, openTestHost, type TestHost } from '../../../test/contract/test-host.ts';
import { nats } from './index.ts';
import type { NatsOptions } from './options.ts';

let host: TestHost;
before(async () => {
  host = await openTestHost();
});
after(() => host.close());

const opened: Instance[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((instance) => instance.close()));
});

const CONNECT =
  'CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true}\r\n';

function open(options: Partial<NatsOptions> = {}, on: TestHost = host): Instance {
  const instance = nats.open(on, { ...defaults(nats.options), ...options });
  opened.push(instance);
  return instance;
}

/** Ends a test's own host, after what runs on it. */
async function close(own: TestHost): Promise<void> {
  await Promise.all(opened.splice(0).map((instance) => instance.close()));
  await own.close();
}

function dial(instance: Instance, options: MemoryOptions = {}): MemoryClient {
  return connectMemory(instance, { listener: 'nats', ...options });
}

async function said(client: MemoryClient): Promise<string> {
  await turn();
  await turn();
  return client.take().toString();
}

/** A client that is past its greeting. */
async function ready(instance: Instance, connect = CONNECT): Promise<MemoryClient> {
  const client = dial(instance);
  client.send(connect);
  await said(client);
  return client;
}

test('INFO comes first, in one line, with what clients need N1', async () => {
  const client = dial(open(), { peer: { address: '127.0.0.9' } });
  const line = client.take().toString();
  assert.match(line, /^INFO \{.*\} \r\n$/);
  const info = JSON.parse(line.slice(5));
  assert.equal(info.proto, 1);
  assert.match(info.version, /^\d+\.\d+\.\d+$/);
  assert.equal(info.headers, true);
  assert.equal(info.max_payload, 1 << 20);
  assert.equal(info.client_ip, '127.0.0.9');
  assert.equal(info.auth_required, false);
  assert.equal(info.jetstream, false);
  assert.equal(info.ldm, undefined);
  assert.equal(typeof info.client_id, 'number');
  for (const field of ['server_id', 'server_name', 'go', 'host']) {
    assert.equal(typeof info[field], 'string', field);
  }
  client.close();
  await client.closed;
});

test('verbose clients hear +OK for each command, others do not N5', async () => {
  const client = dial(open());
  client.take();
  client.send(
    'CONNECT {"verbose":true,"pedantic":false}\r\nSUB v 1\r\nPUB w 1\r\nx\r\nUNSUB 1\r\nPING\r\n',
  );
  assert.equal(await said(client), '+OK\r\n+OK\r\n+OK\r\n+OK\r\nPONG\r\n');
  client.send('CONNECT {"verbose":false}\r\nSUB v 2\r\nPUB w 1\r\nx\r\nUNSUB 2\r\nPING\r\n');
  assert.equal(await said(client), 'PONG\r\n');
});

test('a message reaches plain and wildcard subscriptions with its reply and sid N9 N16', async () => {
  const instance = open();
  const [a, b] = [await ready(instance), await ready(instance)];
  a.send('SUB one.two 1\r\nSUB one.* 2\r\nSUB one.> 3\r\nSUB two.> 4\r\nSUB > 5\r\n');
  b.send('PUB one.two reply.to 5\r\nhello\r\nPUB one 0\r\n\r\n');
  assert.deepEqual((await said(a)).split('\r\n').toSorted(), [
    '',
    '',
    'MSG one 5 0',
    'MSG one.two 1 reply.to 5',
    'MSG one.two 2 reply.to 5',
    'MSG one.two 3 reply.to 5',
    'MSG one.two 5 reply.to 5',
    'hello',
    'hello',
    'hello',
    'hello',
  ]);
  assert.equal(await said(b), '');
});

test('headers reach clients that know them, byte for byte, and are cut off for others N9 N10', async () => {
  const instance = open();
  const modern = await ready(instance);
  const old = await ready(instance, 'CONNECT {"verbose":false}\r\n');
  modern.send('SUB h 1\r\n');
  old.send('SUB h 1\r\n');
  const block = 'NATS/1.0\r\nfoo:  a b\r\nFoo:c\r\nfoo: \r\n\r\n';
  modern.send(`HPUB h ${block.length} ${block.length + 2}\r\n${block}xy\r\n`);
  assert.equal(
    await said(modern),
    `HMSG h 1 ${block.length} ${block.length + 2}\r\n${block}xy\r\n`,
  );
  assert.equal(await said(old), 'MSG h 1 2\r\nxy\r\n');
  old.send('HPUB h 12 12\r\nNATS/1.0\r\n\r\n\r\n');
  assert.match(await said(old), /^-ERR 'message headers not supported'/);
});

test('echo false: own messages do not come back, those of others do N7', async () => {
  const instance = open();
  const quiet = await ready(
    instance,
    'CONNECT {"verbose":false,"echo":false,"headers":true,"no_responders":true}\r\n',
  );
  const other = await ready(instance);
  quiet.send('SUB e 1\r\nSUB in 2\r\nPUB e 1\r\nx\r\n');
  other.send('PUB e 1\r\ny\r\n');
  assert.equal(await said(quiet), 'MSG e 1 1\r\ny\r\n');
  // Its own subscription is no responder to its own request.
  quiet.send('PUB e in 1\r\nx\r\n');
  assert.equal(await said(quiet), 'HMSG in 2 16 16\r\nNATS/1.0 503\r\n\r\n\r\n');
});

test('UNSUB with a maximum counts from the SUB, and ends at once when it is reached N17', async () => {
  const instance = open();
  const client = await ready(instance);
  client.send('SUB m 1\r\nUNSUB 1 2\r\nPUB m 1\r\na\r\nPUB m 1\r\nb\r\nPUB m 1\r\nc\r\n');
  assert.equal(await said(client), 'MSG m 1 1\r\na\r\nMSG m 1 1\r\nb\r\n');
  client.send('SUB m 2\r\nPUB m 1\r\na\r\nPUB m 1\r\nb\r\nUNSUB 2 2\r\nPUB m 1\r\nc\r\n');
  assert.equal(await said(client), 'MSG m 2 1\r\na\r\nMSG m 2 1\r\nb\r\n');
  assert.equal([...instance.list!('subscriptions')].length, 0);
});

test('one member of a queue group gets each message, plain subscriptions all of them N18 N19', async () => {
  const instance = open();
  const members = [await ready(instance), await ready(instance), await ready(instance)];
  const plain = await ready(instance);
  for (const member of members) member.send('SUB q.* workers 1\r\n');
  plain.send('SUB q.x 1\r\nSUB q.> 2\r\n');
  for (let index = 0; index < 300; index++) plain.send(`PUB q.x 3\r\n${100 + index}\r\n`);
  const shares = await Promise.all(
    members.map(async (member) => (await said(member)).split('MSG').length - 1),
  );
  assert.equal(
    shares.reduce((sum, share) => sum + share),
    300,
  );
  for (const share of shares) assert.ok(share > 40, `shares ${shares}`);
  assert.equal((await said(plain)).split('MSG').length - 1, 600);
});

test('a request that nobody serves is answered with 503 on its reply subject N20', async () => {
  const client = await ready(open());
  client.send('SUB _INBOX.abc.* 7\r\nPUB nobody.home _INBOX.abc.1 2\r\nhi\r\n');
  assert.equal(await said(client), 'HMSG _INBOX.abc.1 7 16 16\r\nNATS/1.0 503\r\n\r\n\r\n');
  client.send('SUB serve 8\r\nPUB serve _INBOX.abc.2 0\r\n\r\n');
  assert.equal(await said(client), 'MSG serve 8 _INBOX.abc.2 0\r\n\r\n');
  const old = await ready(open(), 'CONNECT {"verbose":false,"headers":true}\r\n');
  old.send('SUB in 1\r\nPUB nobody.home in 0\r\n\r\n');
  assert.equal(await said(old), '');
});

test('messages of one publisher on one subject arrive in order N21', async () => {
  const instance = open();
  const [reader, writer] = [await ready(instance), await ready(instance)];
  reader.send('SUB order.> 1\r\n');
  let sent = '';
  for (let index = 0; index < 5000; index++) {
    const body = `${index}`;
    sent += `PUB order.a ${body.length}\r\n${body}\r\n`;
  }
  for (let at = 0; at < sent.length; at += 777) writer.send(sent.slice(at, at + 777));
  const bodies = (await said(reader)).split('\r\n').filter((_, line) => line % 2 === 1);
  assert.deepEqual(
    bodies.slice(0, 5000),
    Array.from({ length: 5000 }, (_, index) => `${index}`),
  );
});

test('errors that end the connection have the words that clients compare N11', async () => {
  for (const [bytes, words] of [
    ['FOO\r\n', 'Unknown Protocol Operation'],
    ['PUB a b c d\r\n', 'Parser Error'],
    ['CONNECT {"verbose":1}\r\n', 'Parser Error'],
    ['CONNECT nonsense\r\n', 'Parser Error'],
    [`PUB a ${(1 << 20) + 1}\r\n`, 'Maximum Payload Violation'],
    [`SUB ${'x'.repeat(5000)} 1\r\n`, 'Maximum Control Line Exceeded'],
    ['HPUB a 4 4\r\nabcd\r\n', 'Parser Error'],
    ['CONNECT {"auth_token":"t"}\r\n', 'Authorization Violation'],
    ['CONNECT {"nkey":"U"}\r\n', 'Authorization Violation'],
    ['CONNECT {"user":"admin","pass":"wrong"}\r\n', 'Authorization Violation'],
    ['CONNECT {"tls_required":true}\r\n', 'Secure Connection - TLS Required'],
    ['CONNECT {"protocol":2}\r\n', 'invalid client protocol'],
    ['CONNECT {"no_responders":true}\r\n', 'no responders requires headers support'],
  ] as const) {
    const client = await ready(open());
    client.send(bytes);
    await client.closed;
    assert.equal(client.take().toString(), `-ERR '${words}'\r\n`, bytes);
  }
});

test('invalid subjects are told and leave the connection open N6 N11 N16', async () => {
  const client = await ready(open(), 'CONNECT {"verbose":false,"pedantic":true}\r\n');
  client.send('SUB a..b 1\r\nSUB a.>.b 1\r\nPUB a.* 1\r\nx\r\nPUB .a 1\r\nx\r\nPING\r\n');
  assert.equal(
    await said(client),
    "-ERR 'Invalid Subject'\r\n-ERR 'Invalid Subject'\r\n" +
      "-ERR 'Invalid Publish Subject'\r\n-ERR 'Invalid Publish Subject'\r\nPONG\r\n",
  );
  const lenient = await ready(open());
  lenient.send('SUB a.* 1\r\nPUB a.* 1\r\nx\r\nPUB .a 1\r\nx\r\nPING\r\n');
  assert.equal(await said(lenient), 'MSG a.* 1 1\r\nx\r\nPONG\r\n');
});

test('replies under names of servers are refused, and nothing is delivered N22', async () => {
  const client = await ready(open());
  client.send('SUB r 1\r\nPUB r _R_.x 1\r\na\r\nPING\r\n');
  assert.equal(
    await said(client),
    `-ERR 'Permissions Violation for Publish with Reply of "_R_.x"'\r\nPONG\r\n`,
  );
});

test('a right that is missing is told by name and leaves the connection open N11 N46', async () => {
  const { principals } = host.broker;
  const rule = { principal: 'anonymous', effect: 'deny', pattern: 'secret/#' } as const;
  principals.putRule({ ...rule, id: 'n46', actions: ['publish', 'subscribe'] });
  const instance = open();
  const client = await ready(instance);
  client.send(
    'SUB secret.a 1\r\nSUB secret.> q 2\r\nPUB secret.a 1\r\nx\r\nSUB open 3\r\nPUB open 0\r\n\r\n',
  );
  const text = await said(client);
  principals.removeRule('n46');
  assert.deepEqual(text.split('\r\n'), [
    `-ERR 'Permissions Violation for Subscription to "secret.a"'`,
    `-ERR 'Permissions Violation for Subscription to "secret.>" using queue "q"'`,
    `-ERR 'Permissions Violation for Publish to "secret.a"'`,
    'MSG open 3 0',
    '',
    '',
  ]);
});

test('user and password are checked before any further command is read N4 N40', async () => {
  const client = dial(open());
  client.take();
  client.send(
    'CONNECT {"user":"admin","pass":"robustmq","verbose":false}\r\nSUB x 1\r\nPUB x 1\r\ny\r\nPING\r\n',
  );
  assert.equal((await client.readThrough('PONG\r\n')).toString(), 'MSG x 1 1\r\ny\r\nPONG\r\n');
});

test('credentials are needed away from loopback, and CONNECT has its time N1 N14', async () => {
  const timers = new ManualTimers();
  const slow = await openTestHost({ timers });
  const far = { peer: { loopback: false, address: '192.0.2.1' } };
  const instance = open({}, slow);
  const silent = dial(instance, far);
  assert.equal(JSON.parse(silent.take().toString().slice(5)).auth_required, true);
  timers.pass(1999);
  assert.equal(silent.take().length, 0);
  timers.pass(1);
  await silent.closed;
  assert.equal(silent.take().toString(), "-ERR 'Authentication Timeout'\r\n");
  for (const first of ['PING\r\n', 'CONNECT {}\r\n', 'SUB a 1\r\n']) {
    const client = dial(instance, far);
    client.take();
    client.send(first);
    await client.closed;
    assert.equal(client.take().toString(), "-ERR 'Authorization Violation'\r\n");
  }
  assert.equal(timers.count, 0);
  await close(slow);
});

test('a silent client is pinged, and is stale after two unanswered pings N13', async () => {
  const timers = new ManualTimers();
  const slow = await openTestHost({ timers });
  const instance = open({}, slow);
  const client = dial(instance);
  client.send(CONNECT);
  client.take();
  timers.pass(2000);
  assert.equal(await said(client), 'PING\r\n');
  client.send('PONG\r\n');
  timers.pass(120_000);
  assert.equal(await said(client), '');
  timers.pass(120_000);
  assert.equal(await said(client), 'PING\r\n');
  timers.pass(120_000);
  assert.equal(await said(client), 'PING\r\n');
  timers.pass(120_000);
  await client.closed;
  assert.equal(client.take().toString(), "-ERR 'Stale Connection'\r\n");
  assert.equal(timers.count, 0);
  await close(slow);
});

test('a client that does not read is closed at its bound, and nobody else waits for it N15', async () => {
  const instance = open({ pendingBytesMax: 1 << 20, stallTime: 0 });
  const [slow, fast, writer] = [
    await ready(instance),
    await ready(instance),
    await ready(instance),
  ];
  slow.send('SUB s 1\r\n');
  fast.send('SUB s 1\r\n');
  slow.hold();
  const body = 'x'.repeat(100_000);
  for (let index = 0; index < 30; index++) {
    writer.send(`PUB s ${body.length}\r\n${body}\r\n`);
    await turn();
  }
  await slow.closed;
  assert.match(slow.connection.destroyReason ?? '', /^Slow Consumer/);
  assert.equal((await said(fast)).split('MSG').length - 1, 30);
});

test('bytes that do not leave within the write deadline close the connection N15', async () => {
  const timers = new ManualTimers();
  const host2 = await openTestHost({ timers });
  const instance = open({ stallTime: 0 }, host2);
  const [slow, writer] = [await ready(instance), await ready(instance)];
  slow.send('SUB s 1\r\n');
  slow.hold();
  const body = 'x'.repeat(100_000);
  writer.send(`PUB s ${body.length}\r\n${body}\r\nPUB s ${body.length}\r\n${body}\r\n`);
  await turn();
  timers.pass(9_999);
  assert.equal(slow.connection.destroyReason, null);
  timers.pass(1);
  await slow.closed;
  assert.match(slow.connection.destroyReason ?? '', /^Slow Consumer/);
  await close(host2);
});

test('a publisher pauses while its subscriber is far behind, and only for a moment N15', async () => {
  const timers = new ManualTimers();
  const host2 = await openTestHost({ timers });
  const instance = open({ pendingBytesMax: 1 << 20 }, host2);
  const [slow, writer] = [await ready(instance), await ready(instance)];
  slow.send('SUB s 1\r\n');
  slow.hold();
  const body = 'x'.repeat(200_000);
  const frame = `PUB s ${body.length}\r\n${body}\r\n`;
  for (let index = 0; index < 3; index++) {
    writer.send(frame);
    await turn();
  }
  assert.equal(writer.connection.paused, true);
  timers.pass(10);
  assert.equal(writer.connection.paused, false);
  writer.send(frame);
  await turn();
  assert.equal(writer.connection.paused, true);
  slow.release();
  assert.equal(writer.connection.paused, false);
  await close(host2);
});

test('subscriptions of one client are bounded N12', async () => {
  const client = await ready(open({ subscriptionsMax: 2 }));
  client.send('SUB a 1\r\nSUB b 2\r\nSUB c 3\r\nUNSUB 1\r\nSUB d 4\r\nPING\r\n');
  assert.equal(await said(client), "-ERR 'maximum subscriptions exceeded'\r\nPONG\r\n");
});

test('connections are bounded N11 N12', async () => {
  const instance = open({ connectionsMax: 1 });
  const first = dial(instance);
  const second = dial(instance);
  assert.equal(second.take().toString(), "-ERR 'Maximum Connections Exceeded'\r\n");
  first.close();
  await first.closed;
  assert.match(dial(instance).take().toString(), /^INFO/);
});

test('a client that goes takes its subscriptions along N9', async () => {
  const instance = open();
  const before = host.broker.subscriptionCount;
  const client = await ready(instance);
  client.send('SUB a 1\r\nSUB b.> q 2\r\n');
  assert.equal(host.broker.subscriptionCount, before + 2);
  client.close();
  await client.closed;
  assert.equal(host.broker.subscriptionCount, before);
  assert.equal([...instance.list!('connections')].length, 0);
});

test('close tells clients of the lame duck, sends what is queued, and waits for all N3', async () => {
  const instance = open();
  const client = await ready(instance, 'CONNECT {"verbose":false,"protocol":1}\r\n');
  client.send('SUB a 1\r\nPUB a 1\r\nx\r\n');
  await instance.close();
  const text = client.take().toString();
  assert.match(text, /^MSG a 1 1\r\nx\r\nINFO \{.*"ldm":true.*\} \r\n$/);
  assert.ok(client.isClosed);
});

test('a TLS handshake in the first byte upgrades the connection where TLS is configured N45', async () => {
  const secure = await openTestHost({ tls: true });
  const instance = open({ tlsRequired: true }, secure);
  const client = dial(instance);
  const info = JSON.parse(client.take().toString().slice(5));
  assert.equal(info.tls_available, true);
  assert.equal(info.tls_required, true);
  client.send(Buffer.of(0x16, 3, 1, 0, 5));
  assert.equal(client.connection.encrypted, true);
  client.send('CONNECT {"verbose":false,"tls_required":true}\r\nPING\r\n');
  assert.equal(await said(client), 'PONG\r\n');
  const plain = dial(instance);
  plain.take();
  plain.send('CONNECT {"verbose":false}\r\n');
  await plain.closed;
  assert.equal(plain.take().toString(), "-ERR 'Secure Connection - TLS Required'\r\n");
  await close(secure);
});

test('messages of other protocols carry their fields as headers, never a line end X9', async () => {
  const client = await ready(open());
  client.send('SUB cross.> 1\r\nSUB flat.name 2\r\n');
  const address = slashSpelling.parse('cross/a.b/*');
  const message = new Message(address, Buffer.from('v'), originOf('mqtt'));
  message.key = Buffer.of(0xff, 0);
  message.correlation = Buffer.from('c1');
  message.contentType = 'text/plain';
  message.replyTo = 'answer/here';
  message.timestampMs = 1_700_000_000_000;
  message.headers = [
    textHeader('plain', 'x'),
    textHeader('evil', 'a\r\nInjected: 1'),
    textHeader('na:me\r\n', 'y'),
    textHeader('edge', ' y '),
    textHeader('', 'no name'),
  ];
  host.broker.publish(message, host.broker.target(address, 'captured'), null, 0);
  const flat = flatAddress('flat.name');
  const second = new Message(flat, Buffer.from('w'), originOf('mqtt'));
  host.broker.publish(second, host.broker.target(flat, 'captured'), null, 0);
  const text = await said(client);
  const expected = [
    'NATS/1.0',
    'Content-Type: text/plain',
    'Correlation-Id: c1',
    'Kafka-Key: /wA=',
    '_b.t.Kafka-Key: base64',
    'Timestamp: 1700000000000',
    'plain: x',
    `evil: ${Buffer.from('a\r\nInjected: 1').toString('base64')}`,
    '_b.t.evil: base64',
    'na%3Ame%0D%0A: y',
    `edge: ${Buffer.from(' y ').toString('base64')}`,
    '_b.t.edge: base64',
    '%00: no name',
    '',
    '',
  ].join('\r\n');
  assert.equal(
    text,
    `HMSG cross.a%2Eb.%2A 1 answer.here ${expected.length} ${expected.length + 1}\r\n${expected}v\r\n` +
      'MSG flat.name 2 1\r\nw\r\n',
  );
});

test('a message on a captured subject is appended, and read back as it was sent N9 X61', async () => {
  host.broker.streams.create('captured');
  const client = await ready(open());
  const block = 'NATS/1.0\r\nNats-Msg-Id: 7\r\nContent-Type: a/b\r\nx: 1\r\nx: 2\r\n\r\n';
  const body = 'value';
  client.send(`HPUB captured re.ply ${block.length} ${block.length + 5}\r\n${block}${body}\r\n`);
  client.send('PUB captured 0\r\n\r\n');
  const partition = host.broker.streams.get('captured')!.partitions[0]!;
  while (partition.highWatermark < 2) await turn();
  const [first, second] = await partition.readMessages(0, 1 << 20);
  assert.equal(first!.value!.toString(), body);
  assert.equal(first!.native!.toString(), block);
  assert.equal(first!.messageId, '7');
  assert.equal(first!.contentType, 'a/b');
  assert.equal(first!.replyTo, 're/ply');
  assert.deepEqual(
    first!.headers.map(({ name, value }) => `${name}=${value}`),
    ['x=1', 'x=2'],
  );
  assert.equal(second!.value!.length, 0);
  assert.equal(second!.native, null);
});

test('while the store has no room a publisher waits, and nothing is lost or doubled X32', async () => {
  const small = await openTestHost({ limits: { inFlightBytesMax: 100_000 } });
  small.broker.streams.create('full');
  const client = await ready(open({}, small));
  const body = 'x'.repeat(30_000);
  let sent = '';
  for (let index = 0; index < 40; index++) sent += `PUB full ${body.length}\r\n${body}\r\n`;
  client.send(`${sent}PING\r\n`);
  assert.equal(client.connection.paused, true);
  assert.equal((await client.readThrough('PONG\r\n')).toString(), 'PONG\r\n');
  assert.equal(client.connection.paused, false);
  const partition = small.broker.streams.get('full')!.partitions[0]!;
  while (partition.highWatermark < 40) await turn();
  assert.equal(partition.endOffset, 40);
  await close(small);
});

test('a message larger than its stream accepts is refused without closing X28', async () => {
  host.broker.streams.create('tight', { messageBytesMax: 10 });
  const client = await ready(open());
  client.send('PUB tight 11\r\n01234567890\r\nPUB tight 2\r\nok\r\nPING\r\n');
  assert.equal(
    await said(client),
    `-ERR 'Permissions Violation for Publish to "tight" (message too large)'\r\nPONG\r\n`,
  );
});
