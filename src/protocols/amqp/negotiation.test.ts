import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { defaults } from '#kit';
import { connectMemory } from '../../../test/contract/memory-connection.ts';
import { ManualTimers, openTestHost, type TestHost } from '../../../test/contract/test-host.ts';
import { TestClient } from './client.fixture.ts';
import { FRAME } from './frame-reader.ts';
import { PROTOCOL_HEADER } from './negotiation.ts';
import { options } from './options.ts';
import { written } from './output.ts';
import { AmqpServer } from './server.ts';

let host: TestHost;
let server: AmqpServer;
const timers = new ManualTimers();

before(async () => {
  host = await openTestHost({ timers });
  server = new AmqpServer(host, defaults(options));
});
after(async () => {
  await server.close();
  await host.close();
});

test('a foreign protocol header is answered with ours and closed A1', async () => {
  for (const greeting of [
    'GET / HTTP/1.1\r\n',
    '\x16\x03\x01\x02\x00\x01\x00\x01',
    'AMQP\0\x01\0\0',
  ]) {
    const client = connectMemory(server);
    client.send(greeting);
    await client.closed;
    assert.deepEqual(client.take(), PROTOCOL_HEADER);
  }
});

test('the header may come byte by byte, and 0-9 in its old spelling starts as well A1', async () => {
  for (const header of [PROTOCOL_HEADER, Buffer.from('AMQP\x01\x01\x00\x09', 'latin1')]) {
    const client = connectMemory(server);
    client.sendByteByByte(header);
    assert.equal(client.take().readUInt32BE(7), 10 * 65536 + 10);
    client.close();
    await client.closed;
  }
});

test('the server says what it can do A4', async () => {
  const client = new TestClient(server);
  client.wire.send(PROTOCOL_HEADER);
  const { fields } = await client.next('connection.start');
  const names = fields.serverProperties.map((entry: { name: string }) => entry.name);
  assert.deepEqual(names.slice(0, 2), ['capabilities', 'cluster_name']);
  assert.ok(names.includes('product') && names.includes('version') && names.includes('platform'));
  assert.equal(fields.mechanisms.toString(), 'PLAIN AMQPLAIN');
  client.wire.close();
});

test('4096 byte frames are accepted and kept to in both directions A8 A29', async () => {
  const client = await TestClient.open(server, { frameMax: 4096 });
  await client.declare('frames', { exclusive: true });
  const body = Buffer.alloc(100_000, 'x');
  client.publish('', 'frames', body);
  assert.deepEqual((await client.get('frames')).body, body);
  client.wire.send(written((output) => output.frame(FRAME.body, 1, Buffer.alloc(4097), 0, 4097)));
  assert.equal((await client.next('connection.close')).fields.replyCode, 501);
  await client.wire.closed;
});

test('a frame_max below 4096 is refused with 530 A8', async () => {
  const client = new TestClient(server, { frameMax: 4095 });
  await assert.rejects(client.login(), /frame_max = 4095 is lower than the minimum/);
});

test('a wrong password is 403 for clients that can hear it, a closed socket for others A6', async () => {
  const told = new TestClient(server);
  await assert.rejects(told.login({ user: 'admin', password: 'no' }), /Login was refused using/);
  const untold = new TestClient(server);
  const login = untold.login({ user: 'admin', password: 'no', capabilities: [] });
  await assert.rejects(login, /socket closed/);
  const remote = new TestClient(server, { loopback: false });
  await assert.rejects(remote.login(), /Login was refused/, 'guest only from this machine');
});

test('the virtual host may be / or empty, others are 530 A10', async () => {
  const empty = new TestClient(server);
  await empty.login({ vhost: '' });
  const other = new TestClient(server);
  await assert.rejects(other.login({ vhost: 'other' }), /NOT_ALLOWED - vhost other not found/);
  empty.wire.close();
});

test('heartbeats go out at half intervals and two silent intervals close A9', async () => {
  const client = await TestClient.open(server, { heartbeat: 10 });
  timers.pass(10_000);
  await client.next('heartbeat');
  client.wire.send(written((output) => output.frame(FRAME.heartbeat, 0, Buffer.alloc(0), 0, 0)));
  timers.pass(19_000);
  assert.equal(client.wire.isClosed, false);
  timers.pass(10_000);
  await client.wire.closed;
});

test('a client that never finishes its handshake is cut A9', async () => {
  const client = new TestClient(server);
  client.wire.send(PROTOCOL_HEADER);
  timers.pass(10_000);
  await client.wire.closed;
});

test('channels: unknown ones are 504, a second open 504, numbers are used again A14 A20', async () => {
  const client = await TestClient.open(server);
  const close = { replyCode: 200, replyText: 'bye', classId: 0, methodId: 0 };
  await client.call(1, 'channel.close', close, 'channel.close-ok');
  await client.call(1, 'channel.open', { outOfBand: '' }, 'channel.open-ok');
  client.send(1, 'channel.open', { outOfBand: '' });
  const { fields } = await client.next('connection.close');
  assert.deepEqual([fields.replyCode, fields.classId, fields.methodId], [504, 20, 10]);
  const other = await TestClient.open(server);
  other.send(7, 'tx.select', {});
  assert.match((await other.next('connection.close')).fields.replyText, /expected 'channel.open'/);
});

test('after connection.close frames are ignored until close-ok, either side may close A11', async () => {
  const client = await TestClient.open(server);
  client.send(5, 'tx.select', {});
  await client.next('connection.close');
  client.send(1, 'tx.select', {});
  client.send(0, 'connection.close-ok', {});
  await client.wire.closed;
  assert.deepEqual(client.seen, []);
  const other = await TestClient.open(server);
  const close = { replyCode: 200, replyText: '', classId: 0, methodId: 0 };
  await other.call(0, 'connection.close', close, 'connection.close-ok');
  await other.wire.closed;
});

test('broken bytes end the connection with a frame error and nothing else A2', async () => {
  const bystander = await TestClient.open(server);
  const client = await TestClient.open(server);
  client.wire.send(Buffer.alloc(100, 0xff));
  assert.equal((await client.next('connection.close')).fields.replyCode, 501);
  await client.wire.closed;
  await bystander.declare('still-here', { exclusive: true });
  bystander.wire.close();
});

test('content where a method must come is an unexpected frame 505 A29', async () => {
  const client = await TestClient.open(server);
  client.wire.send(written((output) => output.frame(FRAME.body, 1, Buffer.alloc(1), 0, 1)));
  assert.equal((await client.next('connection.close')).fields.replyCode, 505);
});

test('a message over the limit is refused by its header alone A43', async () => {
  const client = await TestClient.open(server);
  const header = written((output) => {
    output.long(60 * 65536);
    output.longlong(17 << 20);
    output.short(0);
  });
  client.send(1, 'basic.publish', {
    ticket: 0,
    exchange: '',
    routingKey: 'q',
    mandatory: false,
    immediate: false,
  });
  client.wire.send(written((output) => output.frame(FRAME.header, 1, header, 0, header.length)));
  const { fields } = await client.next('channel.close');
  assert.equal(fields.replyCode, 406);
  assert.match(fields.replyText, /message size 17825792 is larger than configured max size/);
});
