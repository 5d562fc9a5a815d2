import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import type { Action } from '#contract';
import { Bench, type Shown, type TestClient } from './client.fixture.ts';
import type { MqttOptions } from './options.ts';

const durable = { clean: false, properties: { sessionExpirySec: 86_400 } } as const;
const COLD_AFTER_MS = 5000;

describe('MQTT: sessions that are not in memory', () => {
  let bench: Bench;

  async function open(options: Partial<MqttOptions> = {}): Promise<void> {
    bench = await Bench.open({ sessionColdAfter: COLD_AFTER_MS, ...options });
  }

  afterEach(() => bench.close());

  /** All sessions without a client leave memory, and their queues. */
  async function cool(clients: readonly TestClient[]): Promise<void> {
    for (const client of clients) client.drop();
    for (const client of clients) await client.closed();
    await turns();
    bench.pass(COLD_AFTER_MS + 1000);
    await turns();
  }

  /** What was begun is on disk, and who waited for that has had a turn. */
  async function turns(): Promise<void> {
    const { state } = bench.host.broker;
    for (let turn = 0; turn < 20; turn++) {
      await new Promise<void>((resolve) => state.committed(() => resolve()));
      await new Promise((resolve) => setImmediate(resolve));
      bench.pass(30);
    }
  }

  async function publish(topic: string, payloads: readonly string[], more = {}): Promise<void> {
    const writer = await bench.connect('writer');
    for (const [index, payload] of payloads.entries()) {
      writer.publish({ topic, payload, qos: 1, packetId: index + 1, ...more });
    }
    for (const _ of payloads) await writer.expect('PUBACK');
    writer.drop();
    await writer.closed();
  }

  const queueOf = (client: string): unknown =>
    bench.host.broker.queues.get(`mqtt.session.${client}`);

  const texts = (shown: readonly Shown[]): (string | undefined)[] =>
    shown.map(({ payload }) => payload);

  test('it gets what matches its filters, and its client finds all of it in order M198 M28', async () => {
    await open();
    const client = await bench.connect('c', durable);
    await client.subscribed('a/+', { qos: 1 });
    await client.subscribed('b', { qos: 2 });
    await client.subscribed('zero', { qos: 0 });
    await cool([client]);
    assert.equal(bench.room.sessions.warmCount, 0);
    assert.equal(bench.room.sessions.count, 1);
    assert.equal(queueOf('c'), undefined);
    await publish('a/1', ['1', '2']);
    await publish('b', ['3']);
    await publish('zero', ['lost']);
    await publish('other', ['not for it']);
    assert.equal(bench.room.sessions.warmCount, 0, 'a message does not bring it back');
    assert.equal(bench.host.broker.cold.messages, 3);
    bench.restart();
    assert.equal(bench.room.sessions.warmCount, 0);
    await publish('a/2', ['4']);
    const again = bench.client();
    again.connect('c', durable);
    assert.equal((await again.expect('CONNACK')).sessionPresent, true);
    const got = await again.quiet();
    assert.deepEqual(texts(got), ['1', '2', '3', '4']);
    assert.ok(got.every(({ dup, qos }) => dup === false && qos === 1));
    await publish('a/3', ['5']);
    assert.deepEqual(texts(await again.quiet()), ['5']);
  });

  test('what was sent and not acknowledged comes again with DUP and its identifier M78 M75', async () => {
    await open();
    const client = await bench.connect('c', durable);
    await client.subscribed('a', { qos: 2 });
    await publish('a', ['1', '2', '3'], { qos: 1 });
    const sent = await client.quiet();
    client.puback(sent[0]!.packetId!);
    await client.quiet();
    await cool([client]);
    assert.equal(queueOf('c'), undefined);
    await publish('a', ['4']);
    const again = await bench.connect('c', durable);
    const got = await again.quiet();
    assert.deepEqual(texts(got), ['2', '3', '4']);
    assert.deepEqual(
      got.map(({ dup }) => dup),
      [true, true, false],
    );
    assert.deepEqual(
      got.slice(0, 2).map(({ packetId }) => packetId),
      sent.slice(1).map(({ packetId }) => packetId),
    );
  });

  test('QoS 2 goes on where it was, in both directions M75', async () => {
    await open();
    const client = await bench.connect('c', durable);
    await client.subscribed('a', { qos: 2 });
    client.publish({ topic: 'x', payload: 'once', qos: 2, packetId: 9 });
    await client.expect('PUBREC');
    const writer = await bench.connect('w');
    writer.publish({ topic: 'a', payload: '1', qos: 2, packetId: 1 });
    await writer.expect('PUBREC');
    const { packetId } = await client.expect('PUBLISH');
    client.pubrec(packetId!);
    await client.expect('PUBREL');
    await cool([client]);
    assert.equal(bench.room.sessions.warmCount, 1, 'only the writer');
    const reader = await bench.connect('r');
    await reader.subscribed('x', { qos: 1 });
    const again = await bench.connect('c', durable);
    assert.deepEqual(
      (await again.quiet()).map(({ type, packetId: id }) => [type, id]),
      [['PUBREL', packetId]],
    );
    again.pubcomp(packetId!);
    again.publish({ topic: 'x', payload: 'once', qos: 2, packetId: 9, dup: true });
    await again.expect('PUBREC');
    again.pubrel(9);
    await again.expect('PUBCOMP');
    assert.deepEqual(await reader.quiet(), [], 'it was published before');
  });

  test('it ends at its time, also when the server was away M29', async () => {
    await open();
    const brief = { clean: false, properties: { sessionExpirySec: 60 } } as const;
    const client = await bench.connect('c', brief);
    await client.subscribed('a', { qos: 1 });
    await cool([client]);
    await publish('a', ['1']);
    bench.restart();
    bench.pass(61_000);
    await turns();
    assert.equal(bench.room.sessions.count, 0);
    assert.equal(bench.host.broker.cold.count, 0);
    const again = bench.client();
    again.connect('c', brief);
    assert.equal((await again.expect('CONNACK')).sessionPresent, false);
    assert.deepEqual(await again.quiet(), []);
  });

  test('a clean start ends it M27', async () => {
    await open();
    const client = await bench.connect('c', durable);
    await client.subscribed('a', { qos: 1 });
    await cool([client]);
    await publish('a', ['1']);
    const again = bench.client();
    again.connect('c', { clean: true });
    assert.equal((await again.expect('CONNACK')).sessionPresent, false);
    await publish('a', ['2']);
    assert.deepEqual(await again.quiet(), []);
    assert.equal(bench.host.broker.cold.count, 0);
  });

  test('many messages for many of them are never in memory together M198', async () => {
    await open();
    const clients: TestClient[] = [];
    for (let n = 0; n < 150; n++) {
      const client = await bench.connect(`c${n}`, durable);
      await client.subscribed('flood/#', { qos: 1 });
      clients.push(client);
    }
    await cool(clients);
    const { cold, queues } = bench.host.broker;
    assert.equal(cold.count, 150);
    for (let part = 0; part < 15; part++) {
      await publish(
        'flood/a',
        Array.from({ length: 10 }, (_, n) => String(part * 10 + n)),
      );
      await turns();
      assert.ok(cold.visitorCount <= 64, `${cold.visitorCount} queues are in memory`);
    }
    for (let turn = 0; turn < 20; turn++) await turns();
    assert.equal(cold.visitorCount, 0);
    assert.equal([...queues.list()].length, 0);
    for (const n of [0, 77, 149]) {
      assert.equal(cold.length(`mqtt.session.c${n}`), 150);
      const again = await bench.connect(`c${n}`, durable);
      const got = texts(await again.quiet());
      assert.deepEqual(
        got.map(Number),
        Array.from({ length: 150 }, (_, id) => id),
      );
    }
  });

  test('its queue keeps to its limit, by the oldest or the newest M159', async () => {
    for (const [queueOverflow, expected] of [
      ['drop-oldest', ['3', '4', '5']],
      ['drop-newest', ['1', '2', '3']],
    ] as const) {
      await open({ queueMax: 3, queueOverflow });
      const client = await bench.connect('c', durable);
      await client.subscribed('a', { qos: 1 });
      await cool([client]);
      await publish('a', ['1', '2', '3', '4', '5']);
      await turns();
      assert.equal(bench.host.broker.cold.length('mqtt.session.c'), 3);
      const again = await bench.connect('c', durable);
      assert.deepEqual(texts(await again.quiet()), expected);
      if (queueOverflow === 'drop-oldest') await bench.close();
    }
  });

  test('messages that expire leave it at their time M66', async () => {
    await open();
    const client = await bench.connect('c', durable);
    await client.subscribed('a', { qos: 1 });
    await cool([client]);
    await publish('a', ['1'], { properties: { messageExpirySec: 20 } });
    await publish('a', ['2'], { properties: { messageExpirySec: 40 } });
    await publish('a', ['3']);
    const { cold } = bench.host.broker;
    assert.equal(cold.length('mqtt.session.c'), 3);
    bench.pass(21_000);
    await turns();
    assert.equal(cold.length('mqtt.session.c'), 2);
    assert.equal(queueOf('c'), undefined);
    bench.pass(21_000);
    await turns();
    assert.equal(cold.length('mqtt.session.c'), 1);
    const again = await bench.connect('c', durable);
    assert.deepEqual(texts(await again.quiet()), ['3']);
  });

  test('administrators see it in lists without bringing it back, and whole when they ask M194', async () => {
    await open();
    const client = await bench.connect('c', durable);
    await client.subscribed('a/#', { qos: 1 });
    await cool([client]);
    await publish('a', ['1', '2']);
    const [row] = [...bench.room.list('sessions')];
    assert.deepEqual(row, {
      ...{ client: 'c', connected: false, durable: true, expirySec: 86_400, subscriptions: 1 },
      ...{ queued: 2, inFlight: 0 },
    });
    assert.equal(bench.room.sessions.warmCount, 0);
    const find = (method: string, path: string): Action =>
      bench.room.actions.find((each) => each.method === method && each.path === path)!;
    const call = {
      ...{ params: { client: 'c' }, query: new URLSearchParams(), body: {}, user: 'admin' },
    };
    const answer = await find('GET', 'clients/:client/subscriptions').run(call);
    assert.equal([...(answer as { rows: Iterable<unknown> }).rows].length, 1);
    assert.equal(bench.room.sessions.warmCount, 1);
    bench.pass(COLD_AFTER_MS + 1000);
    await turns();
    assert.equal(bench.room.sessions.warmCount, 0);
    const again = await bench.connect('c', durable);
    assert.deepEqual(texts(await again.quiet()), ['1', '2']);
  });

  test('those with shared or exclusive filters stay in memory M124 M183', async () => {
    await open({ exclusiveSubscriptions: true });
    const shared = await bench.connect('s', durable);
    await shared.subscribed('$share/g/a', { qos: 1 });
    const alone = await bench.connect('x', durable);
    await alone.subscribed('$exclusive/b', { qos: 1 });
    await cool([shared, alone]);
    assert.equal(bench.room.sessions.warmCount, 2);
    await publish('a', ['1']);
    assert.deepEqual(texts(await (await bench.connect('s', durable)).quiet()), ['1']);
  });
});
