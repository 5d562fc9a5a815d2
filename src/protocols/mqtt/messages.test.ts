import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { Message, originOf, strictDotSpelling } from '#broker';
import { Bench, publishBytes } from './client.fixture.ts';

describe('MQTT: messages', () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = await Bench.open();
  });
  afterEach(() => bench.close());

  test('topic aliases: set, used, changed, and not shared between connections [MQTT-3.3.2-7..10] M69', async () => {
    const reader = await bench.connect('reader');
    await reader.subscribed('#');
    const writer = await bench.connect('writer');
    writer.publish({ topic: 'one', properties: { topicAlias: 1 } });
    writer.publish({ topic: '', properties: { topicAlias: 1 } });
    writer.publish({ topic: 'two', properties: { topicAlias: 1 } });
    writer.publish({ topic: '', properties: { topicAlias: 1 } });
    writer.publish({ topic: 'three' });
    const topics = (await reader.quiet()).map((each) => each.topic);
    assert.deepEqual(topics, ['one', 'one', 'two', 'two', 'three']);
    for (const [topicAlias, topic, reason] of [
      [65, 'x', 0x94],
      [2, '', 0x82],
    ] as const) {
      const other = await bench.connect('other');
      other.publish({ topic, properties: { topicAlias } });
      assert.equal((await other.expect('DISCONNECT')).reason, reason);
    }
  });

  test('aliases towards the client: never above its maximum, the oldest is given anew [MQTT-3.1.2-26] M70', async () => {
    const reader = await bench.connect('reader', { properties: { topicAliasMaximum: 2 } });
    await reader.subscribed('#');
    const writer = await bench.connect('writer');
    for (const topic of [
      'first/topic',
      'second/topic',
      'first/topic',
      'third/topic',
      'second/topic',
      'a',
    ]) {
      writer.publish({ topic });
    }
    const seen = await reader.quiet();
    assert.deepEqual(
      seen.map((each) => [each.topic, each.properties!.topicAlias]),
      [
        ['first/topic', 1],
        ['second/topic', 2],
        ['', 1],
        ['third/topic', 2],
        ['second/topic', 1],
        ['a', undefined],
      ],
    );
  });

  test('the server receive maximum is enforced with 0x93 [MQTT-3.3.4-7] M84', async () => {
    const other = await Bench.open({ receiveMaximum: 3 });
    const client = await other.connect('c');
    for (let packetId = 1; packetId <= 3; packetId++) {
      client.publish({ topic: 'a', qos: 2, packetId });
      await client.expect('PUBREC');
    }
    client.publish({ topic: 'a', qos: 2, packetId: 3, dup: true });
    await client.expect('PUBREC');
    client.publish({ topic: 'a', qos: 2, packetId: 4 });
    assert.equal((await client.expect('DISCONNECT')).reason, 0x93);
    await other.close();
  });

  test('messages larger than the client takes are dropped for it and free their slot [MQTT-3.1.2-25] M85', async () => {
    const properties = { maximumPacketSize: 30, receiveMaximum: 1 };
    const reader = await bench.connect('reader', { properties });
    await reader.subscribed('t', { qos: 1 });
    const writer = await bench.connect('writer');
    // Exactly 30 bytes with its header: 1 + 1 + 2 + 1 + 2 + 1 + 22.
    const fits = 'x'.repeat(22);
    writer.publish({ topic: 't', payload: `${fits}x`, qos: 1, packetId: 1 });
    writer.publish({ topic: 't', payload: fits, qos: 1, packetId: 2 });
    const got = await reader.quiet();
    assert.deepEqual(
      got.map((each) => each.payload),
      [fits],
    );
    assert.equal(publishBytes({ topic: 't', payload: fits, qos: 1 }, 5).length, 30);
  });

  test('what 5.0 properties say arrives unchanged and in order [MQTT-3.3.2-18] M10 M65', async () => {
    const properties = {
      payloadFormat: 1,
      contentType: 'text/plain',
      responseTopic: 'answers/here',
      correlationData: Buffer.from([0, 255, 1]),
      userProperties: [
        ['b', '1'],
        ['a', '\ufeffé'],
        ['b', '1'],
        ['key', 'k'],
        ['', ''],
        ['priority', 'not a number'],
        ['timestamp', '1700000000000'],
      ] as [string, string][],
    };
    for (const qos of [0, 1] as const) {
      const reader = await bench.connect('reader');
      await reader.subscribed('p', { qos });
      const writer = await bench.connect('writer');
      writer.publish({ topic: 'p', payload: 'x', qos, packetId: 1, properties });
      assert.deepEqual((await reader.expect('PUBLISH')).properties, properties);
    }
  });

  test('the message expiry is passed on less the time that passed, rounded up [MQTT-3.3.2-6] M68', async () => {
    const durable = { clean: false, properties: { sessionExpirySec: 1000 } };
    const reader = await bench.connect('reader', durable);
    await reader.subscribed('t', { qos: 1 });
    const writer = await bench.connect('writer');
    const publish = (packetId: number, messageExpirySec: number): void =>
      writer.publish({ topic: 't', qos: 1, packetId, properties: { messageExpirySec } });
    publish(1, 10);
    assert.equal((await reader.expect('PUBLISH')).properties!.messageExpirySec, 10);
    reader.puback(1);
    await reader.quiet();
    reader.drop();
    await reader.closed();
    publish(2, 10);
    publish(3, 3);
    await writer.quiet();
    bench.pass(3500);
    const again = await bench.connect('reader', durable);
    const got = await again.quiet();
    const expiries = got.map((each) => each.properties!.messageExpirySec);
    assert.ok(expiries.includes(7) && !expiries.includes(0), `${expiries}`);
    assert.equal(got.filter((each) => each.properties!.messageExpirySec! <= 3).length, 0);
  });

  test('a slow reader loses QoS 0, keeps QoS 1, and bounds memory M88 M161', async () => {
    const other = await Bench.open({ sendBytesMax: 10_000 });
    const reader = await other.connect('reader', {}, { sendMark: 4096 });
    await reader.subscribed('q0/#', { qos: 0 });
    await reader.subscribed('q1/#', { qos: 1 });
    const writer = await other.connect('writer');
    reader.wire.hold();
    const payload = 'x'.repeat(1000);
    for (let index = 0; index < 100; index++) {
      writer.publish({ topic: 'q0/a', payload });
      writer.publish({ topic: 'q1/a', payload, qos: 1, packetId: index + 1 });
      await writer.expect('PUBACK');
    }
    assert.ok(reader.wire.heldBytes < 12_000, `${reader.wire.heldBytes}`);
    reader.wire.release();
    let kept = 0;
    let lossy = 0;
    for (let seen = await reader.quiet(); seen.length > 0; seen = await reader.quiet()) {
      for (const each of seen) {
        if (each.qos === 0) lossy++;
        else {
          kept++;
          reader.puback(each.packetId!);
        }
      }
    }
    assert.equal(kept, 100);
    assert.ok(lossy < 20 && other.room.metrics.droppedSlow.value === 100 - lossy);
    await other.close();
  });

  test('when the log has no room, reading waits; nothing is lost and the order stays X32', async () => {
    const limits = { walFileBytes: 4 << 20, entryBytesMax: 2 << 20, entryBytesSoft: 1 << 18 };
    const other = await Bench.open({}, { limits: { ...limits, inFlightBytesMax: 1 << 18 } });
    const reader = await other.connect('reader');
    await reader.subscribed('t', { qos: 1 });
    const writer = await other.connect('writer', { version: 4 });
    const payload = Buffer.alloc(20_000, 'y');
    const batch: Buffer[] = [];
    for (let packetId = 1; packetId <= 100; packetId++) {
      payload.writeUInt32BE(packetId);
      batch.push(publishBytes({ topic: 't', payload, qos: 1, packetId }, 4));
    }
    writer.send(Buffer.concat(batch));
    assert.equal(writer.wire.connection.paused, true);
    for (let packetId = 1; packetId <= 100; packetId++) {
      assert.equal((await writer.expect('PUBACK')).packetId, packetId);
      const got = await reader.expect('PUBLISH');
      assert.equal(Buffer.from(got.payload!).readUInt32BE(), packetId);
      reader.puback(got.packetId!);
    }
    assert.equal(writer.wire.connection.paused, false);
    await other.close();
  });

  test('without the right to publish: 0x87 in 5.0, acknowledged and dropped in 3.1.1 M82', async () => {
    bench.host.broker.principals.putRule({
      id: 'r',
      effect: 'deny',
      principal: '*',
      actions: ['publish', 'subscribe'],
      pattern: 'secret/#',
    });
    const reader = await bench.connect('reader', {
      user: 'admin',
      password: Buffer.from('robustmq'),
    });
    await reader.subscribed('secret/#');
    const five = await bench.connect('five');
    five.publish({ topic: 'secret/a', qos: 1, packetId: 1 });
    assert.equal((await five.expect('PUBACK')).reason, 0x87);
    five.publish({ topic: 'secret/a', qos: 2, packetId: 2 });
    assert.equal((await five.expect('PUBREC')).reason, 0x87);
    five.subscribe(3, [{ filter: 'secret/x' }, { filter: 'open' }]);
    assert.deepEqual((await five.expect('SUBACK')).codes, [0x87, 0]);
    const four = await bench.connect('four', { version: 4 });
    four.publish({ topic: 'secret/a', qos: 1, packetId: 1 });
    assert.equal((await four.expect('PUBACK')).reason, 0);
    assert.deepEqual(await reader.quiet(), []);
  });

  test('the QoS 1 acknowledgement waits for the disk, QoS 0 delivery does not [MQTT-3.3.4-1] M71', async () => {
    const reader = await bench.connect('reader');
    await reader.subscribed('t');
    const writer = await bench.connect('writer');
    writer.publish({ topic: 't', qos: 1, packetId: 1 });
    await reader.expect('PUBLISH');
    const stored = bench.host.broker.streams.get('t')!.partitions[0]!;
    await writer.expect('PUBACK');
    assert.equal(stored.highWatermark, 1);
  });

  test('a message that is too large for its stream: 0x83 in 5.0, acknowledged and dropped in 3.1.1 M81', async () => {
    const { broker } = bench.host;
    broker.streams.create('small', { messageBytesMax: 10 });
    const payload = 'x'.repeat(11);
    const five = await bench.connect('five');
    five.publish({ topic: 'small', payload, qos: 1, packetId: 1 });
    assert.equal((await five.expect('PUBACK')).reason, 0x83);
    const four = await bench.connect('four', { version: 4 });
    four.publish({ topic: 'small', payload, qos: 2, packetId: 1 });
    await four.expect('PUBREC');
    four.pubrel(1);
    await four.expect('PUBCOMP');
    assert.equal(broker.streams.get('small')!.partitions[0]!.endOffset, 0);
  });

  test('a client that asks and does not read is not read any more M161', async () => {
    const other = await Bench.open({ sendBytesMax: 10_000 });
    const client = await other.connect('c', {}, { sendMark: 4096 });
    client.wire.hold();
    const pings = Buffer.alloc(2000, Buffer.from([0xc0, 0]));
    for (let count = 0; count < 30; count++) {
      client.send(pings);
      await client.quiet();
    }
    assert.equal(client.wire.connection.paused, true);
    assert.ok(client.wire.heldBytes < 25_000);
    client.wire.release();
    assert.equal((await client.quiet()).length, 30_000);
    await other.close();
  });

  test('headers and fields of other protocols are shown as user properties, bytes as base64 X8 X38', async () => {
    const { broker } = bench.host;
    const reader = await bench.connect('reader');
    await reader.subscribed('a.b.c');
    const message = new Message(strictDotSpelling.parse('a.b.c'), null, originOf('amqp'));
    message.key = Buffer.from([0xff]);
    message.headers = [
      { name: 'text', value: Buffer.from('é') },
      { name: 'number', value: Buffer.from('5'), type: 'amqp:I' },
      { name: 'bytes', value: Buffer.from([0xc3, 0x28]) },
      { name: 'zero\0', value: Buffer.from('a\0b') },
    ];
    message.contentType = 'text/pl\0ain';
    message.messageId = 'm1';
    message.timestampMs = 1_700_000_000_000;
    message.priority = 3;
    broker.publish(message, broker.target(message.address, 'captured'), null, 0);
    const got = await reader.expect('PUBLISH');
    assert.equal(got.topic, 'a.b.c');
    assert.equal(got.payload, '');
    assert.deepEqual(got.properties, {
      contentType: 'text/pl\ufffdain',
      userProperties: [
        ['text', 'é'],
        ['number', '5'],
        ['_b.t.number', 'amqp:I'],
        ['bytes', 'wyg='],
        ['_b.t.bytes', 'base64'],
        ['zero\ufffd', 'YQBi'],
        ['_b.t.zero\ufffd', 'base64'],
        ['_b.null', '1'],
        ['key', '/w=='],
        ['_b.t.key', 'base64'],
        ['message-id', 'm1'],
        ['timestamp', '1700000000000'],
        ['priority', '3'],
      ],
    });
  });
});
