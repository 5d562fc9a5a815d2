import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { flatAddress, Message, originOf, slashSpelling, textHeader } from '#broker';
import { openTestHost } from '../../../test/contract/test-host.ts';
import { dial, Rig, ready, said } from './client.fixture.ts';

const rig = new Rig();
describe('NATS: connection', () => {
  before(() => rig.start());
  afterEach(() => rig.closeInstances());
  after(() => rig.stop());

  test('INFO comes first, in one line, with what clients need N1', async () => {
    const client = dial(rig.open(), { peer: { address: '127.0.0.9' } });
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
    const client = dial(rig.open());
    client.take();
    client.send(
      'CONNECT {"verbose":true,"pedantic":false}\r\nSUB v 1\r\nPUB w 1\r\nx\r\nUNSUB 1\r\nPING\r\n',
    );
    assert.equal(await said(client), '+OK\r\n+OK\r\n+OK\r\n+OK\r\nPONG\r\n');
    client.send('CONNECT {"verbose":false}\r\nSUB v 2\r\nPUB w 1\r\nx\r\nUNSUB 2\r\nPING\r\n');
    assert.equal(await said(client), 'PONG\r\n');
  });

  test('a message reaches plain and wildcard subscriptions with its reply and sid N9 N16', async () => {
    const instance = rig.open();
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
    const instance = rig.open();
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
    const instance = rig.open();
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
    const instance = rig.open();
    const client = await ready(instance);
    client.send('SUB m 1\r\nUNSUB 1 2\r\nPUB m 1\r\na\r\nPUB m 1\r\nb\r\nPUB m 1\r\nc\r\n');
    assert.equal(await said(client), 'MSG m 1 1\r\na\r\nMSG m 1 1\r\nb\r\n');
    client.send('SUB m 2\r\nPUB m 1\r\na\r\nPUB m 1\r\nb\r\nUNSUB 2 2\r\nPUB m 1\r\nc\r\n');
    assert.equal(await said(client), 'MSG m 2 1\r\na\r\nMSG m 2 1\r\nb\r\n');
    assert.equal([...instance.list!('subscriptions')].length, 0);
  });

  test('one member of a queue group gets each message, plain subscriptions all of them N18 N19', async () => {
    const instance = rig.open();
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

  test('a queue group never chooses the connection that publishes without echo N7 N18 N20', async () => {
    const instance = rig.open();
    const quiet = await ready(
      instance,
      'CONNECT {"verbose":false,"echo":false,"headers":true,"no_responders":true}\r\n',
    );
    const other = await ready(instance);
    quiet.send('SUB g workers 1\r\nSUB in 2\r\n');
    // Alone in the group: nobody is there to answer.
    quiet.send('PUB g in 1\r\nx\r\n');
    assert.equal(await said(quiet), 'HMSG in 2 16 16\r\nNATS/1.0 503\r\n\r\n\r\n');
    other.send('SUB g workers 1\r\n');
    quiet.send('PUB g in 1\r\nx\r\n'.repeat(100));
    assert.equal(await said(other), 'MSG g 1 in 1\r\nx\r\n'.repeat(100));
    assert.equal(await said(quiet), '');
    other.send('PUB g 1\r\ny\r\n'.repeat(100));
    const shares = [await said(quiet), await said(other)].map(
      (text) => text.split('MSG').length - 1,
    );
    assert.equal(shares[0]! + shares[1]!, 100);
    assert.ok(shares[0]! > 20 && shares[1]! > 20, `shares ${shares}`);
  });

  test('what nobody takes is counted, and the next message finds who came meanwhile N9 N20', async () => {
    const instance = rig.open();
    const [writer, reader] = [await ready(instance), await ready(instance)];
    const frame = 'PUB meanwhile 1\r\nx\r\n';
    writer.send(frame.repeat(3));
    reader.send('SUB meanwhile 1\r\n');
    writer.send(frame.repeat(2));
    assert.equal(await said(reader), 'MSG meanwhile 1 1\r\nx\r\n'.repeat(2));
    reader.send('UNSUB 1\r\n');
    writer.send(frame);
    const stream = rig.host.broker.streams.create('meanwhile');
    writer.send(frame.repeat(2));
    while (stream.partitions[0]!.highWatermark < 2) await turn();
    assert.equal(stream.partitions[0]!.endOffset, 2);
    const [row] = [...instance.list!('connections')];
    assert.equal(row!['messagesIn'], 8);
  });

  test('a request that nobody serves is answered with 503 on its reply subject N20', async () => {
    const client = await ready(rig.open());
    client.send('SUB _INBOX.abc.* 7\r\nPUB nobody.home _INBOX.abc.1 2\r\nhi\r\n');
    assert.equal(await said(client), 'HMSG _INBOX.abc.1 7 16 16\r\nNATS/1.0 503\r\n\r\n\r\n');
    client.send('SUB serve 8\r\nPUB serve _INBOX.abc.2 0\r\n\r\n');
    assert.equal(await said(client), 'MSG serve 8 _INBOX.abc.2 0\r\n\r\n');
    const old = await ready(rig.open(), 'CONNECT {"verbose":false,"headers":true}\r\n');
    old.send('SUB in 1\r\nPUB nobody.home in 0\r\n\r\n');
    assert.equal(await said(old), '');
  });

  test('a reply subject may be any UTF-8, for answers and for 503 N16 N20', async () => {
    const client = await ready(rig.open());
    client.send(
      Buffer.from(
        'SUB grün.* 1\r\nSUB svc 2\r\nPUB nobody grün.ö 0\r\n\r\nPUB svc grün.ß 0\r\n\r\n',
      ),
    );
    assert.equal(
      await said(client),
      'HMSG grün.ö 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\nMSG svc 2 grün.ß 0\r\n\r\n',
    );
  });

  test('messages of one publisher on one subject arrive in order N21', async () => {
    const instance = rig.open();
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

  test('a client that goes takes its subscriptions along N9', async () => {
    const instance = rig.open();
    const before = rig.host.broker.subscriptionCount;
    const client = await ready(instance);
    client.send('SUB a 1\r\nSUB b.> q 2\r\n');
    assert.equal(rig.host.broker.subscriptionCount, before + 2);
    client.close();
    await client.closed;
    assert.equal(rig.host.broker.subscriptionCount, before);
    assert.equal([...instance.list!('connections')].length, 0);
  });

  test('close tells clients of the lame duck, sends what is queued, and waits for all N3', async () => {
    const instance = rig.open();
    const client = await ready(instance, 'CONNECT {"verbose":false,"protocol":1}\r\n');
    client.send('SUB a 1\r\nPUB a 1\r\nx\r\n');
    await instance.close();
    const text = client.take().toString();
    assert.match(text, /^MSG a 1 1\r\nx\r\nINFO \{.*"ldm":true.*\} \r\n$/);
    assert.ok(client.isClosed);
  });

  test('messages of other protocols carry their fields as headers, never a line end X9', async () => {
    const client = await ready(rig.open());
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
    rig.host.broker.publish(message, rig.host.broker.target(address, 'captured'), null, 0);
    const flat = flatAddress('flat.name');
    const second = new Message(flat, Buffer.from('w'), originOf('mqtt'));
    rig.host.broker.publish(second, rig.host.broker.target(flat, 'captured'), null, 0);
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
    rig.host.broker.streams.create('captured');
    const client = await ready(rig.open());
    const block = 'NATS/1.0\r\nNats-Msg-Id: 7\r\nContent-Type: a/b\r\nx: 1\r\nx: 2\r\n\r\n';
    const body = 'value';
    client.send(`HPUB captured re.ply ${block.length} ${block.length + 5}\r\n${block}${body}\r\n`);
    client.send('PUB captured 0\r\n\r\n');
    const partition = rig.host.broker.streams.get('captured')!.partitions[0]!;
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
    const client = await ready(rig.open({}, small));
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
    await rig.close(small);
  });

  test('a message larger than its stream accepts is refused without closing X28', async () => {
    rig.host.broker.streams.create('tight', { messageBytesMax: 10 });
    const client = await ready(rig.open());
    client.send('PUB tight 11\r\n01234567890\r\nPUB tight 2\r\nok\r\nPING\r\n');
    assert.equal(
      await said(client),
      `-ERR 'Permissions Violation for Publish to "tight" (message too large)'\r\nPONG\r\n`,
    );
  });
});
