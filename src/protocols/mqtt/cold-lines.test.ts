/** Messages that many sessions wait for which are not in memory: one row for all of them. */
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { Bench, type Shown, type TestClient } from './client.fixture.ts';
import type { MqttOptions } from './options.ts';

const durable = { clean: false, properties: { sessionExpirySec: 86_400 } } as const;
const COLD_AFTER_MS = 5000;
const MEMBERS = 40;

describe('MQTT: what many sessions that are not in memory wait for', () => {
  let bench: Bench;

  async function open(options: Partial<MqttOptions> = {}): Promise<void> {
    // Lines are where a message and its row share one commit (decision 0035): with one owner.
    bench = await Bench.open({ sessionColdAfter: COLD_AFTER_MS, ...options }, { owners: 1 });
  }

  afterEach(() => bench.close());

  async function turns(): Promise<void> {
    const { state } = bench.host.broker;
    for (let turn = 0; turn < 20; turn++) {
      await new Promise<void>((resolve) => state.committed(() => resolve()));
      await new Promise((resolve) => setImmediate(resolve));
      bench.pass(30);
    }
  }

  async function cool(clients: readonly TestClient[]): Promise<void> {
    for (const client of clients) client.drop();
    for (const client of clients) await client.closed();
    await turns();
    bench.pass(COLD_AFTER_MS + 1000);
    await turns();
  }

  /** Sessions with these filters, out of memory. */
  async function members(filters: readonly string[], from = 0, count = MEMBERS): Promise<void> {
    const clients: TestClient[] = [];
    for (let n = from; n < from + count; n++) {
      const client = await bench.connect(`c${n}`, durable);
      for (const filter of filters) await client.subscribed(filter, { qos: 1 });
      clients.push(client);
    }
    await cool(clients);
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

  const texts = (shown: readonly Shown[]): (string | undefined)[] =>
    shown.map(({ payload }) => payload);

  async function got(client: string): Promise<(string | undefined)[]> {
    const again = await bench.connect(client, durable);
    const shown = texts(await again.quiet());
    again.drop();
    await again.closed();
    return shown;
  }

  const rows = (): number => bench.host.broker.state.count('cold/queue.line');
  const length = (client: string): number =>
    bench.host.broker.cold.length(`mqtt.session.${client}`);

  /** What was dropped because of limits, as the metrics tell. */
  function dropped(overflow: MqttOptions['queueOverflow']): number {
    if (overflow === 'drop-newest') return bench.room.metrics.droppedFull.value;
    return bench.host.metrics.counter('robustmq_queue_dropped_total', '').value;
  }

  test('a message has one row for all of them, and each gets it once in its order M198', async () => {
    await open();
    await members(['all/#', 'all/+']);
    const alone = await bench.connect('alone', durable);
    await alone.subscribed('all/#', { qos: 1 });
    await alone.subscribed('own', { qos: 1 });
    await cool([alone]);
    await publish('all/1', ['1']);
    await publish('own', ['2']);
    await publish('all/1', ['3']);
    await publish('own', ['4']);
    assert.equal(rows(), 4, 'two messages, each in the lines of two filters');
    assert.equal(bench.host.broker.state.count('cold/queue.waiting'), 2);
    assert.deepEqual(await got('alone'), ['1', '2', '3', '4']);
    bench.restart();
    assert.deepEqual(await got('c0'), ['1', '3']);
    assert.deepEqual(await got('c39'), ['1', '3']);
  });

  test('who comes later gets what comes later, and rows go with the last who needs them M198', async () => {
    await open();
    await members(['all']);
    await publish('all', ['1']);
    await members(['all'], MEMBERS);
    await publish('all', ['2']);
    assert.equal(bench.host.broker.cold.messages, 3 * MEMBERS);
    for (let n = 0; n < MEMBERS; n++) assert.deepEqual(await got(`c${n}`), ['1', '2']);
    await turns();
    assert.equal(rows(), 1, 'the first is needed no more');
    for (let n = MEMBERS; n < 2 * MEMBERS; n++) {
      const again = bench.client();
      again.connect(`c${n}`, { clean: true });
      await again.expect('CONNACK');
      again.drop();
      await again.closed();
    }
    await turns();
    assert.equal(rows(), 0);
    assert.equal(bench.host.broker.cold.messages, 0);
  });

  test('each keeps to its limit, and what it lost is counted M159 M198', async () => {
    for (const [queueOverflow, expected] of [
      ['drop-oldest', ['3', '4', '5']],
      ['drop-newest', ['1', '2', '3']],
    ] as const) {
      await open({ queueMax: 3, queueOverflow });
      await members(['all']);
      await publish('all', ['1', '2', '3', '4', '5']);
      await turns();
      assert.equal(length('c0'), 3);
      assert.equal(rows(), 3);
      assert.equal(dropped(queueOverflow), 2 * MEMBERS, queueOverflow);
      bench.restart();
      assert.deepEqual(await got('c0'), expected);
      assert.deepEqual(await got('c39'), expected);
      if (queueOverflow === 'drop-oldest') await bench.close();
    }
  });

  test('messages that expire leave at their time M66', async () => {
    await open();
    await members(['all']);
    await publish('all', ['1'], { properties: { messageExpirySec: 20 } });
    await publish('all', ['2'], { properties: { messageExpirySec: 40 } });
    await publish('all', ['3']);
    assert.equal(length('c0'), 3);
    bench.pass(21_000);
    await turns();
    assert.equal(length('c0'), 2);
    assert.equal(rows(), 2);
    bench.restart();
    bench.pass(21_000);
    await turns();
    assert.equal(rows(), 1);
    assert.deepEqual(await got('c5'), ['3']);
  });
});
