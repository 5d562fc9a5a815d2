import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { Bench } from './client.fixture.ts';

describe('MQTT: retained', () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = await Bench.open();
  });
  afterEach(() => bench.close());

  test('the last retained message of a topic comes after SUBACK with the flag set [MQTT-3.3.1-6] M114 M115', async () => {
    const writer = await bench.connect('w');
    for (const qos of [0, 1, 2] as const) {
      writer.publish({ topic: `r/${qos}`, payload: 'old', qos, packetId: 1 + qos, retain: true });
      writer.publish({
        topic: `r/${qos}`,
        payload: `new${qos}`,
        qos,
        packetId: 11 + qos,
        retain: true,
      });
    }
    await writer.quiet();
    const reader = await bench.connect('r');
    reader.subscribe(5, [{ filter: 'r/+', qos: 1 }]);
    const [suback, ...rest] = await reader.quiet();
    assert.equal(suback!.type, 'SUBACK');
    assert.deepEqual(rest.map(({ payload, retain, qos }) => [payload, retain, qos]).sort(), [
      ['new0', true, 0],
      ['new1', true, 1],
      ['new2', true, 1],
    ]);
  });

  test('an empty payload clears the value and is itself delivered [MQTT-3.3.1-6] [MQTT-3.3.1-7] M115', async () => {
    const live = await bench.connect('live');
    await live.subscribed('r');
    const writer = await bench.connect('w');
    writer.publish({ topic: 'r', payload: 'x', retain: true });
    writer.publish({ topic: 'r', payload: '', retain: true });
    assert.deepEqual(
      (await live.quiet()).map((each) => [each.payload, each.retain]),
      [
        ['x', false],
        ['', false],
      ],
    );
    const late = await bench.connect('late');
    await late.subscribed('r');
    assert.deepEqual(await late.quiet(), []);
  });

  test('retain as published keeps the flag on live messages [MQTT-3.3.1-12] [MQTT-3.3.1-13] M112', async () => {
    const writer = await bench.connect('w');
    for (const qos of [0, 1] as const) {
      const keeps = await bench.connect('keeps');
      const clears = await bench.connect('clears');
      await keeps.subscribed('r', { qos, retainAsPublished: true, retainHandling: 2 });
      await clears.subscribed('r', { qos, retainHandling: 2 });
      writer.publish({ topic: 'r', payload: 'x', qos, packetId: 1, retain: true });
      writer.publish({ topic: 'r', payload: 'y', qos, packetId: 2 });
      assert.deepEqual(
        (await keeps.quiet()).map((each) => each.retain),
        [true, false],
      );
      assert.deepEqual(
        (await clears.quiet()).map((each) => each.retain),
        [false, false],
      );
    }
  });

  test('retain handling: always, only when new, never [MQTT-3.3.1-9..11] M113', async () => {
    const writer = await bench.connect('w');
    writer.publish({ topic: 'r', payload: 'x', retain: true });
    const counts: number[] = [];
    for (const retainHandling of [0, 1, 2] as const) {
      const reader = await bench.connect('r');
      for (let round = 0; round < 2; round++) {
        await reader.subscribed('r', { retainHandling });
        counts.push((await reader.quiet()).length);
      }
    }
    assert.deepEqual(counts, [1, 1, 1, 0, 0, 0]);
  });

  test('a shared subscription gets no retained messages M127', async () => {
    const writer = await bench.connect('w');
    writer.publish({ topic: 'r', payload: 'x', retain: true });
    const reader = await bench.connect('r');
    await reader.subscribed('$share/g/r');
    assert.deepEqual(await reader.quiet(), []);
  });

  test('retained messages expire and show what remains [MQTT-3.3.2-5] M117', async () => {
    const writer = await bench.connect('w');
    writer.publish({
      topic: 'r',
      payload: 'x',
      retain: true,
      properties: { messageExpirySec: 10 },
    });
    await writer.quiet();
    bench.pass(4000);
    const reader = await bench.connect('r');
    await reader.subscribed('r');
    assert.equal((await reader.expect('PUBLISH')).properties!.messageExpirySec, 6);
    bench.pass(6000);
    await reader.subscribed('r');
    assert.deepEqual(await reader.quiet(), []);
  });

  test('replay is paced by the receive maximum, and a newer live value is not followed by an older one M114 M118', async () => {
    const writer = await bench.connect('w');
    for (let index = 0; index < 20; index++) {
      writer.publish({
        topic: `r/${index}`,
        payload: 'old',
        qos: 1,
        packetId: index + 1,
        retain: true,
      });
    }
    await writer.quiet();
    const reader = await bench.connect('r', { properties: { receiveMaximum: 3 } });
    await reader.subscribed('r/#', { qos: 1 });
    const first = await reader.quiet();
    assert.equal(first.length, 3);
    const waiting = 'r/19';
    assert.ok(!first.some((each) => each.topic === waiting));
    writer.publish({ topic: waiting, payload: 'new', retain: true });
    assert.equal((await reader.expect('PUBLISH')).payload, 'new');
    const seen = [...first];
    for (let next = first; next.length > 0; next = await reader.quiet()) {
      if (next !== first) seen.push(...next);
      for (const each of next) reader.puback(each.packetId!);
    }
    assert.equal(seen.length, 19);
    assert.ok(seen.every((each) => each.topic !== waiting));
  });

  test('an unacknowledged replayed message is sent again after a restart, with its id and DUP M78', async () => {
    const durable = { clean: false, properties: { sessionExpirySec: 100 } };
    const writer = await bench.connect('w');
    const userProperties: [string, string][] = [['a', 'b']];
    writer.publish({
      topic: 'r',
      payload: 'x',
      qos: 2,
      packetId: 1,
      retain: true,
      properties: { userProperties },
    });
    await writer.expect('PUBREC');
    const reader = await bench.connect('r', durable);
    await reader.subscribed('r', { qos: 2 }, { subscriptionIds: [9] });
    const sent = await reader.expect('PUBLISH');
    await bench.room.close();
    bench.restart();
    const again = await bench.connect('r', durable);
    assert.deepEqual(await again.expect('PUBLISH'), { ...sent, dup: true });
    again.pubrec(sent.packetId!);
    await again.expect('PUBREL');
    again.pubcomp(sent.packetId!);
    await again.quiet();
    await bench.room.close();
    bench.restart();
    const third = await bench.connect('r', durable);
    assert.deepEqual(await third.quiet(), []);
  });
});
