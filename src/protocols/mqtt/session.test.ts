import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { Bench } from './client.fixture.ts';

describe('MQTT: session', () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = await Bench.open();
  });
  afterEach(() => bench.close());

  const durable = { clean: false, properties: { sessionExpirySec: 3600 } } as const;

  test('a message crosses from publisher to subscriber at every pair of QoS [MQTT-3.8.4-8] M107', async () => {
    for (const granted of [0, 1, 2] as const) {
      for (const qos of [0, 1, 2] as const) {
        const reader = await bench.connect('reader');
        const writer = await bench.connect('writer');
        await reader.subscribed('t/#', { qos: granted });
        writer.publish({ topic: 't/1', payload: 'x', qos, packetId: 7 });
        const got = await reader.expect('PUBLISH');
        assert.equal(got.qos, Math.min(granted, qos));
        assert.equal(got.topic, 't/1');
        assert.equal(got.payload, 'x');
        assert.equal(got.dup, false);
        reader.drop();
        writer.drop();
        await reader.closed();
        await writer.closed();
      }
    }
  });

  test('QoS 2 in is delivered once, however often it is sent before PUBREL [MQTT-4.3.3-10] M74', async () => {
    const reader = await bench.connect('reader');
    await reader.subscribed('a', { qos: 1 });
    const writer = await bench.connect('writer');
    writer.publish({ topic: 'a', payload: '1', qos: 2, packetId: 5 });
    assert.equal((await writer.expect('PUBREC')).packetId, 5);
    writer.publish({ topic: 'a', payload: '1', qos: 2, packetId: 5, dup: true });
    assert.equal((await writer.expect('PUBREC')).packetId, 5);
    writer.pubrel(5);
    assert.equal((await writer.expect('PUBCOMP')).reason, 0);
    writer.pubrel(5);
    assert.equal((await writer.expect('PUBCOMP')).reason, 0x92);
    const got = await reader.quiet();
    assert.equal(got.length, 1);
    writer.publish({ topic: 'a', payload: '2', qos: 2, packetId: 5 });
    await writer.expect('PUBREC');
    assert.equal((await reader.expect('PUBLISH')).payload, '2');
  });

  test('QoS 2 out goes through PUBREC, PUBREL and PUBCOMP; a repeated PUBREC gets PUBREL again M76 M77', async () => {
    const reader = await bench.connect('reader');
    await reader.subscribed('a', { qos: 2 });
    const writer = await bench.connect('writer');
    writer.publish({ topic: 'a', payload: '1', qos: 2, packetId: 5 });
    const { packetId } = await reader.expect('PUBLISH');
    reader.pubrec(packetId!);
    assert.equal((await reader.expect('PUBREL')).packetId, packetId);
    reader.pubrec(packetId!);
    assert.deepEqual(await reader.expect('PUBREL'), {
      type: 'PUBREL',
      packetId,
      reason: 0,
      properties: {},
    });
    reader.pubcomp(packetId!);
    reader.pubrec(packetId!);
    assert.equal((await reader.expect('PUBREL')).reason, 0x92);
  });

  test('a PUBREC with an error ends the flow without PUBREL [MQTT-4.3.3-4] M76', async () => {
    const reader = await bench.connect('reader', { properties: { receiveMaximum: 1 } });
    await reader.subscribed('a', { qos: 2 });
    const writer = await bench.connect('writer');
    writer.publish({ topic: 'a', payload: '1', qos: 2, packetId: 5 });
    writer.publish({ topic: 'a', payload: '2', qos: 2, packetId: 6 });
    const first = await reader.expect('PUBLISH');
    assert.deepEqual(await reader.quiet(), []);
    reader.pubrec(first.packetId!, 0x80);
    assert.equal((await reader.expect('PUBLISH')).payload, '2');
  });

  test('the client receive maximum bounds what is unacknowledged; PINGRESP is not held up [MQTT-3.3.4-9] M83', async () => {
    const reader = await bench.connect('reader', { properties: { receiveMaximum: 2 } });
    await reader.subscribed('a', { qos: 1 });
    const writer = await bench.connect('writer');
    for (let id = 1; id <= 5; id++) {
      writer.publish({ topic: 'a', payload: `${id}`, qos: 1, packetId: id });
    }
    const first = await reader.quiet();
    assert.deepEqual(
      first.map((each) => each.payload),
      ['1', '2'],
    );
    reader.send(Buffer.from([0xc0, 0]));
    await reader.expect('PINGRESP');
    reader.puback(first[0]!.packetId!);
    assert.equal((await reader.expect('PUBLISH')).payload, '3');
    assert.deepEqual(await reader.quiet(), []);
  });

  test('PUBACKs come in the order of the messages [MQTT-4.6.0-2] M71', async () => {
    const writer = await bench.connect('writer');
    const ids = [9, 3, 7, 1];
    for (const [index, packetId] of ids.entries()) {
      // A $ topic has no home: its message is done at once, before those that go to the disk.
      writer.publish({ topic: index % 2 === 0 ? 'a' : '$x/y', qos: 1, packetId });
    }
    for (const packetId of ids) assert.equal((await writer.expect('PUBACK')).packetId, packetId);
  });

  test('a session is resumed: subscriptions, and messages that came meanwhile M27 M89', async () => {
    const first = await bench.connect('reader', durable);
    await first.subscribed('a', { qos: 1 });
    first.drop();
    await first.closed();
    const writer = await bench.connect('writer');
    writer.publish({ topic: 'a', payload: 'meanwhile', qos: 1, packetId: 1 });
    await writer.expect('PUBACK');
    const again = bench.client();
    again.connect('reader', durable);
    assert.equal((await again.expect('CONNACK')).sessionPresent, true);
    assert.equal((await again.expect('PUBLISH')).payload, 'meanwhile');
  });

  test('clean start removes the old session [MQTT-3.1.2-4] M27', async () => {
    const first = await bench.connect('reader', durable);
    await first.subscribed('a', { qos: 1 });
    first.drop();
    await first.closed();
    const clean = bench.client();
    clean.connect('reader', { ...durable, clean: true });
    assert.equal((await clean.expect('CONNACK')).sessionPresent, false);
    const writer = await bench.connect('writer');
    writer.publish({ topic: 'a', qos: 1, packetId: 1 });
    await writer.expect('PUBACK');
    assert.deepEqual(await clean.quiet(), []);
  });

  test('unacknowledged messages are sent again with their ids, DUP and order [MQTT-4.4.0-1] M78', async () => {
    const first = await bench.connect('reader', durable);
    await first.subscribed('a', { qos: 2 });
    const writer = await bench.connect('writer');
    for (const [index, qos] of ([1, 2, 2, 1] as const).entries()) {
      writer.publish({ topic: 'a', payload: `${index}`, qos, packetId: index + 1 });
    }
    const sent = await first.quiet();
    assert.equal(sent.length, 4);
    first.pubrec(sent[1]!.packetId!);
    await first.expect('PUBREL');
    first.drop();
    await first.closed();
    const again = await bench.connect('reader', durable);
    const resent = await again.quiet();
    assert.deepEqual(
      resent.map(({ type, packetId, dup, payload }) => [type, packetId, dup, payload]),
      [
        ['PUBREL', sent[1]!.packetId, undefined, undefined],
        ['PUBLISH', sent[0]!.packetId, true, '0'],
        ['PUBLISH', sent[2]!.packetId, true, '2'],
        ['PUBLISH', sent[3]!.packetId, true, '3'],
      ],
    );
  });

  test('a restart of the room finds sessions, QoS 2 states and packet ids again M75', async () => {
    const first = await bench.connect('reader', durable);
    await first.subscribed('a', { qos: 2 });
    const writer = await bench.connect('writer', durable);
    writer.publish({ topic: 'a', payload: 'x', qos: 2, packetId: 11 });
    await writer.expect('PUBREC');
    writer.publish({ topic: 'a', payload: 'y', qos: 2, packetId: 12 });
    await writer.expect('PUBREC');
    const [x, y] = await first.quiet();
    first.pubrec(x!.packetId!);
    await first.expect('PUBREL');
    await bench.room.close();
    bench.restart();
    const again = bench.client();
    again.connect('reader', durable);
    assert.equal((await again.expect('CONNACK')).sessionPresent, true);
    assert.deepEqual(
      (await again.quiet()).map(({ type, packetId, payload }) => [type, packetId, payload]),
      [
        ['PUBREL', x!.packetId, undefined],
        ['PUBLISH', y!.packetId, 'y'],
      ],
    );
    const writerAgain = await bench.connect('writer', durable);
    writerAgain.publish({ topic: 'a', payload: 'x', qos: 2, packetId: 11, dup: true });
    await writerAgain.expect('PUBREC');
    assert.deepEqual(await again.quiet(), []);
  });

  test('session expiry counts from the disconnect, over restarts too [MQTT-3.1.2-23] M29', async () => {
    const options = { clean: false, properties: { sessionExpirySec: 10 } };
    const first = await bench.connect('reader', options);
    first.drop();
    await first.closed();
    bench.pass(5000);
    await bench.room.close();
    bench.restart();
    bench.pass(4000);
    assert.equal(bench.room.sessions.count, 1);
    bench.pass(2000);
    assert.equal(bench.room.sessions.count, 0);
  });

  test('takeover tells the old connection 0x8E and loses no message [MQTT-3.1.4-3] M43', async () => {
    const old = await bench.connect('reader', durable);
    await old.subscribed('a', { qos: 1 });
    const writer = await bench.connect('writer');
    writer.publish({ topic: 'a', payload: '1', qos: 1, packetId: 1 });
    const sent = await old.expect('PUBLISH');
    const taker = bench.client();
    taker.connect('reader', durable);
    assert.equal((await old.expect('DISCONNECT')).reason, 0x8e);
    await old.closed();
    assert.equal((await taker.expect('CONNACK')).sessionPresent, true);
    const again = await taker.expect('PUBLISH');
    assert.equal(again.packetId, sent.packetId);
    assert.equal(again.dup, true);
  });

  test('overlapping subscriptions give one copy with the highest QoS and all identifiers M109 M110', async () => {
    const reader = await bench.connect('reader');
    await reader.subscribed('a/+', { qos: 0 }, { subscriptionIds: [1] });
    await reader.subscribed('a/#', { qos: 2 }, { subscriptionIds: [268_435_455] });
    await reader.subscribed('b', { qos: 2 }, { subscriptionIds: [3] });
    const writer = await bench.connect('writer');
    for (const qos of [0, 1] as const) {
      writer.publish({ topic: 'a/b', payload: 'x', qos, packetId: 1 });
      const got = await reader.quiet();
      assert.equal(got.length, 1);
      assert.equal(got[0]!.qos, qos);
      assert.deepEqual(
        got[0]!.properties!.subscriptionIds!.toSorted((a, b) => a - b),
        [1, 268_435_455],
      );
    }
  });

  test('no local keeps own messages away, at QoS 0 and 1 [MQTT-3.8.3-3] M111', async () => {
    const client = await bench.connect('both');
    await client.subscribed('a', { qos: 1, noLocal: true });
    client.publish({ topic: 'a', qos: 0 });
    client.publish({ topic: 'a', qos: 1, packetId: 1 });
    await client.expect('PUBACK');
    assert.deepEqual(await client.quiet(), []);
    const other = await bench.connect('other');
    other.publish({ topic: 'a', payload: 'other', qos: 1, packetId: 1 });
    assert.equal((await client.expect('PUBLISH')).payload, 'other');
  });

  test('QoS 2 of a shared group stays with its member, QoS 1 goes to another M124 M125', async () => {
    const one = await bench.connect('one', durable);
    await one.subscribed('$share/g/a', { qos: 2 });
    const writer = await bench.connect('writer');
    writer.publish({ topic: 'a', payload: 'q1', qos: 1, packetId: 1 });
    writer.publish({ topic: 'a', payload: 'q2', qos: 2, packetId: 2 });
    const sent = await one.quiet();
    assert.deepEqual(
      sent.map((each) => each.payload),
      ['q1', 'q2'],
    );
    const two = await bench.connect('two');
    await two.subscribed('$share/g/a', { qos: 2 });
    one.drop();
    await one.closed();
    assert.deepEqual(
      (await two.quiet()).map((each) => each.payload),
      ['q1'],
    );
    await bench.room.close();
    bench.restart();
    const again = await bench.connect('one', durable);
    const [q2] = (await again.quiet()).filter((each) => each.payload === 'q2');
    assert.deepEqual([q2?.packetId, q2?.dup, q2?.qos], [sent[1]!.packetId, true, 2]);
  });

  test('each message of a shared group reaches one member, also at QoS 0 [MQTT-4.8.2-3] M124', async () => {
    const members = [
      await bench.connect('m1'),
      await bench.connect('m2'),
      await bench.connect('m3'),
    ];
    for (const member of members) await member.subscribed('$share/g/t/#', { qos: 1 });
    const writer = await bench.connect('writer', { version: 4 });
    for (let index = 0; index < 60; index++) {
      writer.publish({ topic: `t/${index}`, qos: index % 2 === 0 ? 0 : 1, packetId: index + 1 });
    }
    const got = (await Promise.all(members.map((member) => member.quiet()))).flat();
    assert.equal(got.length, 60);
    assert.equal(new Set(got.map((each) => each.topic)).size, 60);
  });
});
