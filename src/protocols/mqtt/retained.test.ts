import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { LAST_VALUES, type Message, slashSpelling } from '#broker';
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

  test('what changes or goes during a replay comes once, live, and nothing older behind it M114 M118', async () => {
    const writer = await bench.connect('w');
    const topics = Array.from({ length: 60 }, (_, n) => `r/${String(n).padStart(2, '0')}`);
    let packetId = 0;
    const set = (topic: string, payload: string): void => {
      writer.publish({ topic, payload, qos: 1, packetId: ++packetId, retain: true });
    };
    for (const topic of topics) set(topic, 'old');
    await writer.quiet();
    const reader = await bench.connect('r', { properties: { receiveMaximum: 4 } });
    await reader.subscribed('r/#', { qos: 1 });
    const got = new Map<string, string[]>();
    for (let round = 0, seen = 0; ; round++) {
      const packets = await reader.quiet();
      for (const { topic, payload, packetId: id } of packets) {
        seen++;
        got.set(topic!, [...(got.get(topic!) ?? []), payload!]);
        reader.puback(id!);
      }
      // Behind the replay, in its way, and far ahead of it; each once.
      if (round < 10) {
        set(topics[round]!, `new ${round}`);
        set(topics[59 - round]!, round % 2 === 0 ? '' : `new ${59 - round}`);
        await writer.quiet();
      } else if (packets.length === 0) {
        // Those that changed while the replay had them behind it came twice, the newer one last.
        assert.ok(seen >= 60 && seen <= 70, `${seen}`);
        break;
      }
    }
    for (const [n, topic] of topics.entries()) {
      const changed = n < 10 || n >= 50;
      const last = n < 10 ? `new ${n}` : n % 2 === 1 ? '' : `new ${n}`;
      const values = got.get(topic)!;
      assert.equal(values.at(-1), changed ? last : 'old', topic);
      assert.equal(new Set(values).size, values.length, `${topic}: ${values}`);
      if (n >= 50) assert.equal(values.length, 1, `${topic}: ${values}`);
    }
  });

  test('a replay that waits holds no values: what is removed meanwhile does not come M118 M119', async () => {
    const writer = await bench.connect('w');
    for (const topic of ['r/1', 'r/2', 'r/3']) {
      writer.publish({ topic, payload: 'x', qos: 1, packetId: 1, retain: true });
      await writer.quiet();
    }
    const reader = await bench.connect('r', { properties: { receiveMaximum: 1 } });
    await reader.subscribed('r/#', { qos: 1 });
    const [first] = await reader.quiet();
    assert.equal(first!.topic, 'r/1');
    bench.host.broker.lastValues.remove(slashSpelling.parse('r/2'));
    reader.puback(first!.packetId!);
    const rest = await reader.quiet();
    assert.deepEqual(
      rest.map(({ topic }) => topic),
      ['r/3'],
    );
  });

  test('a value that expires leaves a tombstone in the stream of last values M117 X5', async () => {
    const writer = await bench.connect('w');
    const properties = { messageExpirySec: 10 };
    writer.publish({ topic: 'r/1', payload: 'x', qos: 1, packetId: 1, retain: true, properties });
    await writer.expect('PUBACK');
    bench.pass(11_000);
    const { streams, lastValues } = bench.host.broker;
    const partition = streams.get(LAST_VALUES)!.partitions[0]!;
    const { promise, resolve } = Promise.withResolvers<void>();
    lastValues.settled(lastValues.endOffset - 1, () => resolve());
    await promise;
    partition.forget();
    const messages: Message[] = [];
    for (let offset = 0; offset < partition.highWatermark; ) {
      const run = await partition.readRun(offset, 1 << 20);
      messages.push(...run.messages);
      offset = run.next;
    }
    assert.deepEqual(
      messages.map(({ address, value }) => [address.text, value?.toString() ?? null]),
      [
        ['r/1', 'x'],
        ['r/1', null],
      ],
    );
    assert.equal(lastValues.count, 0);
  });
});

describe('MQTT: limits of what is retained', () => {
  test('the bytes of all retained messages and their rate have limits, and a refusal is told M116 M119', async () => {
    const bench = await Bench.open({ retainedTotalBytesMax: 4000, retainedRateMax: 10 });
    const writer = await bench.connect('w');
    let packetId = 0;
    const set = async (topic: string, bytes: number): Promise<number> => {
      const payload = 'x'.repeat(bytes);
      writer.publish({ topic, payload, qos: 1, packetId: ++packetId, retain: true });
      return (await writer.expect('PUBACK')).reason ?? 0;
    };
    assert.equal(await set('a', 1500), 0);
    assert.equal(await set('b', 1500), 0);
    assert.equal(await set('c', 1500), 0x97);
    assert.equal(await set('b', 1400), 0, 'a smaller one in its place');
    assert.equal(await set('a', 0), 0);
    assert.equal(await set('c', 1500), 0);
    const before = bench.room.metrics.refused.value;
    for (let n = 0; n < 5; n++) assert.equal(await set('b', 10), 0);
    assert.equal(await set('b', 10), 0x97, 'the eleventh in a second');
    assert.equal(bench.room.metrics.refused.value, before + 1);
    bench.pass(1000);
    assert.equal(await set('b', 10), 0);
    await bench.close();
  });
});
