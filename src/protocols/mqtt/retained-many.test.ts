/** Replays of thousands of retained messages: they are read in the order in which they were set. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { LAST_VALUES, slashPattern, slashSpelling } from '#broker';
import { Bench, type TestClient } from './client.fixture.ts';

const COUNT = 2_500;
const WINDOW = 100;

function topicOf(n: number): string {
  return `many/${n % 7}/${n}`;
}

describe('MQTT: thousands of retained messages', () => {
  let bench: Bench;
  let writer: TestClient;
  beforeEach(async () => {
    bench = await Bench.open();
    writer = await bench.connect('w');
    for (let n = 0; n < COUNT; n++) set(topicOf(n), 'old');
    await writer.quiet();
  });
  afterEach(() => bench.close());

  function set(topic: string, payload: string): void {
    writer.publish({ topic, payload, retain: true });
  }

  /** What a new subscription gets, window by window; `between` is called after each. */
  async function replayed(
    filter: string,
    between: (window: number) => Promise<void> | void,
  ): Promise<Map<string, string[]>> {
    const pattern = slashPattern(filter)!;
    assert.ok(bench.host.broker.lastValues.isBroad(pattern), 'it is read in order');
    const reader = await bench.connect('r', { properties: { receiveMaximum: WINDOW } });
    await reader.subscribed(filter, { qos: 1 });
    const got = new Map<string, string[]>();
    for (let window = 0; ; window++) {
      const packets = await reader.quiet();
      if (packets.length === 0) return got;
      for (const { topic, payload, qos, packetId } of packets) {
        got.set(topic!, [...(got.get(topic!) ?? []), payload!]);
        if (qos === 1) reader.puback(packetId!);
      }
      await between(window);
    }
  }

  /** At QoS 1, so that a window bounds what is under way. */
  async function again(): Promise<void> {
    for (let n = 0; n < COUNT; n++) {
      const value = { topic: topicOf(n), payload: 'old', qos: 1 as const, packetId: 1 };
      writer.publish({ ...value, retain: true });
      if (n % WINDOW === 0) await writer.quiet();
    }
    await writer.quiet();
  }

  test('what is replaced, cleared or new during a replay comes once, live, and nothing older behind it M114 M115 M118', async () => {
    await again();
    const changed = new Map<string, string>();
    const got = await replayed('many/#', async (window) => {
      if (window >= 10) return;
      // One that came already, one that comes soon, one near the end; one that there was not.
      const numbers = [window, 1_000 + window, COUNT - 1 - window];
      for (const [index, n] of numbers.entries()) {
        const payload = (window + index) % 3 === 0 ? '' : `new ${window}`;
        changed.set(topicOf(n), payload);
        set(topicOf(n), payload);
      }
      changed.set(`many/more/${window}`, 'first');
      set(`many/more/${window}`, 'first');
      await writer.quiet();
    });
    assert.equal(got.size, COUNT + 10);
    for (const [topic, values] of got) {
      assert.equal(values.at(-1), changed.get(topic) ?? 'old', topic);
      assert.equal(new Set(values).size, values.length, `${topic}: ${values}`);
    }
    for (let window = 0; window < 10; window++) {
      assert.equal(got.get(topicOf(COUNT - 1 - window))!.length, 1, 'only the new one');
      assert.equal(got.get(topicOf(window))!.length, 2, 'the old one and the new one');
    }
  });

  test('all of them can be cleared while they are replayed, and go on as they are after it M118 M119', async () => {
    await again();
    const { lastValues } = bench.host.broker;
    let last = -1;
    const got = await replayed('#', (window) => {
      if (window !== 2) return;
      for (let n = 0; n < COUNT; n++) last = lastValues.remove(slashSpelling.parse(topicOf(n)));
    });
    assert.ok(got.size >= 3 * WINDOW && got.size < COUNT / 2, `${got.size}`);
    await new Promise<void>((resolve) => lastValues.settled(last, () => resolve()));
    assert.equal(lastValues.count, 0);
    const reader = await bench.connect('late');
    await reader.subscribed('#');
    assert.deepEqual(await reader.quiet(), []);
  });

  test('a filter of all shows no topic that begins with $, one that names it does [MQTT-4.7.2-1] M118', async () => {
    set('$own/1', 'mine');
    await writer.quiet();
    const all = await bench.connect('all');
    await all.subscribed('#');
    const topics = (await all.quiet()).map(({ topic }) => topic);
    assert.equal(new Set(topics).size, COUNT);
    assert.ok(!topics.some((topic) => topic!.startsWith('$')));
    const own = await bench.connect('own');
    await own.subscribed('$own/+');
    assert.equal((await own.expect('PUBLISH')).payload, 'mine');
    const some = await bench.connect('some');
    await some.subscribed('+/3/+');
    const third = (await some.quiet()).map(({ topic }) => topic!);
    assert.equal(third.length, Math.ceil((COUNT - 3) / 7));
    assert.ok(third.every((topic) => topic.startsWith('many/3/')));
  });

  test('what is set and cleared among them is counted and found M115 M119', async () => {
    const { lastValues, streams } = bench.host.broker;
    for (let n = 0; n < COUNT; n += 5) set(topicOf(n), n % 2 === 0 ? '' : 'newer');
    await writer.quiet();
    const { count, bytes, endOffset } = lastValues;
    assert.equal(count, COUNT - COUNT / 10);
    assert.equal(streams.get(LAST_VALUES)!.partitions[0]!.endOffset, endOffset);
    assert.ok(bytes > count);
    assert.equal(lastValues.get(slashSpelling.parse(topicOf(5)))!.value!.toString(), 'newer');
    assert.equal(lastValues.get(slashSpelling.parse(topicOf(10))), undefined);
  });
});
