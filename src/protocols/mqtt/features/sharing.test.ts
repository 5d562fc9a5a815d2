import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { Bench, type TestClient } from '../client.fixture.ts';
import type { MqttOptions } from '../options.ts';
import { STRATEGIES, type StrategyName } from '../shared-strategies.ts';

let bench: Bench;
describe('MQTT: sharing', () => {
  afterEach(() => bench.close());

  async function open(options: Partial<MqttOptions> = {}): Promise<void> {
    bench = await Bench.open(options);
  }

  const DURABLE = { clean: false, properties: { sessionExpirySec: 1000 } };

  /** Payloads that each client got; QoS 1 is acknowledged. */
  async function take(clients: readonly TestClient[], acknowledge = true): Promise<string[][]> {
    const got: string[][] = clients.map(() => []);
    for (let turns = 0; turns < 5; turns++) {
      for (const [index, client] of clients.entries()) {
        for (const packet of await client.quiet()) {
          if (packet.type !== 'PUBLISH') continue;
          got[index]!.push(`${packet.topic}:${packet.payload}`);
          if (packet.qos === 1 && acknowledge) client.puback(packet.packetId!);
        }
      }
    }
    return got;
  }

  async function members(count: number, filter: string, qos: 0 | 1): Promise<TestClient[]> {
    const clients: TestClient[] = [];
    for (let index = 0; index < count; index++) {
      const client = await bench.connect(`m${index}`);
      await client.subscribed(filter, { qos });
      clients.push(client);
    }
    return clients;
  }

  function send(client: TestClient, qos: 0 | 1, topics: readonly string[], payload = 'x'): void {
    for (const [index, topic] of topics.entries()) {
      client.publish({
        topic,
        payload: payload === 'x' ? `${index}` : payload,
        qos,
        packetId: index + 1,
      });
    }
  }

  const TOPICS = Array.from({ length: 60 }, (_, index) => `t/${index % 6}`);

  for (const strategy of STRATEGIES) {
    for (const qos of [0, 1] as const) {
      test(`${strategy} gives each message of QoS ${qos} to one member [MQTT-4.8.2-3] M124 M129`, async () => {
        await open({ sharedStrategy: strategy });
        const clients = await members(3, '$share/g/t/+', qos);
        const writer = await bench.connect('w');
        send(writer, qos, TOPICS);
        const got = await take(clients);
        assert.equal(got.flat().length, TOPICS.length);
        assert.equal(new Set(got.flat()).size, TOPICS.length);
        checkShape(strategy, got);
      });
    }
  }

  function checkShape(strategy: StrategyName, got: readonly string[][]): void {
    const sizes = got.map((each) => each.length).sort((a, b) => a - b);
    if (strategy.startsWith('round_robin')) assert.deepEqual(sizes, [20, 20, 20]);
    // One publisher, so one member.
    if (strategy === 'sticky' || strategy === 'hash_clientid') assert.deepEqual(sizes, [0, 0, 60]);
    if (strategy !== 'hash_topic') return;
    const owners = new Map<string, number>();
    for (const [index, each] of got.entries()) {
      for (const text of each) {
        const topic = text.split(':')[0]!;
        assert.equal(owners.get(topic) ?? index, index, 'a topic has one member');
        owners.set(topic, index);
      }
    }
  }

  test('key_ordered keeps the order of each topic while members come, go and are slow M129', async () => {
    await open({ sharedStrategy: 'key_ordered', inFlightMax: 4 });
    const clients = await members(3, '$share/g/t/+', 1);
    const writer = await bench.connect('w');
    const total = 600;
    const seen = new Map<string, number>();
    const open1 = new Map<TestClient, number[]>(clients.map((client) => [client, []]));
    const read = async (client: TestClient): Promise<void> => {
      for (const packet of await client.quiet()) {
        if (packet.type !== 'PUBLISH') continue;
        const at = Number(packet.payload);
        const last = seen.get(packet.topic!) ?? -1;
        assert.ok(at > last || packet.dup, `${packet.topic}: ${at} after ${last}`);
        seen.set(packet.topic!, Math.max(at, last));
        open1.get(client)!.push(packet.packetId!);
      }
    };
    let random = 7;
    const chance = (count: number): number => {
      random = (Math.imul(random, 1_103_515_245) + 12_345) & 0x7fffffff;
      return (random >> 8) % count;
    };
    for (let index = 0; index < total; index++) {
      const topic = `t/${chance(5)}`;
      writer.publish({ topic, payload: `${index}`, qos: 1, packetId: (index % 60_000) + 1 });
      const client = clients[chance(clients.length)]!;
      await read(client);
      const ids = open1.get(client)!;
      for (let acks = chance(5); acks > 0 && ids.length > 0; acks--) client.puback(ids.shift()!);
      if (index !== 200) continue;
      // A member goes with all that it had not acknowledged.
      const lost = clients.pop()!;
      open1.delete(lost);
      lost.drop();
      await lost.closed();
    }
    for (let turns = 0; turns < 200; turns++) {
      for (const client of clients) {
        await read(client);
        for (const id of open1.get(client)!.splice(0)) client.puback(id);
      }
    }
    const [group] = bench.room.groups.list();
    assert.deepEqual([group!.queue.readyCount, group!.queue.unackedCount], [0, 0]);
  });

  test('what a lost member had not acknowledged goes to another, marked as sent before [MQTT-4.8.2-5] M125 M128', async () => {
    await open({ sharedStrategy: 'sticky' });
    const clients = await members(2, '$share/g/t', 1);
    send(
      await bench.connect('w'),
      1,
      Array.from({ length: 20 }, () => 't'),
    );
    const first = await take(clients, false);
    const holder = first[0]!.length === 0 ? 1 : 0;
    assert.equal(first[holder]!.length, 20);
    clients[holder]!.drop();
    await clients[holder]!.closed();
    const packets = (await clients[1 - holder]!.quiet()).filter(({ type }) => type === 'PUBLISH');
    assert.deepEqual(
      packets.map(({ payload }) => Number(payload)),
      Array.from({ length: 20 }, (_, i) => i),
    );
    assert.ok(packets.every(({ dup }) => dup));
  });

  test('a group whose members are all away keeps its messages for who comes first M128', async () => {
    await open();
    const one = await bench.connect('one', DURABLE);
    await one.subscribed('$share/g/t', { qos: 1 });
    const two = await bench.connect('two', DURABLE);
    await two.subscribed('$share/g/t', { qos: 1 });
    for (const client of [one, two]) {
      client.drop();
      await client.closed();
    }
    const writer = await bench.connect('w');
    send(writer, 1, ['t', 't', 't']);
    await writer.quiet();
    const back = await bench.connect('two', DURABLE);
    assert.deepEqual(await take([back]), [['t:0', 't:1', 't:2']]);
  });

  test('a member that refuses a message with 0x80 or more ends it for the group [MQTT-4.8.2-6] M126', async () => {
    await open();
    const clients = await members(2, '$share/g/t', 1);
    const writer = await bench.connect('w');
    writer.publish({ topic: 't', payload: 'x', qos: 1, packetId: 1 });
    const got = await take(clients, false);
    const index = got[0]!.length === 1 ? 0 : 1;
    clients[index]!.ack(4, 1, 0x80);
    const [group] = bench.room.groups.list();
    for (const { packetId } of [...(clients[index]!.wire.isClosed ? [] : [{ packetId: 65_535 }])]) {
      clients[index]!.ack(4, packetId, 0x80);
    }
    await take(clients, false);
    assert.deepEqual([group!.queue.readyCount, group!.queue.unackedCount], [0, 0]);
  });

  test('shared subscriptions work in 3.1.1, and $queue/ is one without a name M130 M131', async () => {
    await open();
    for (const filter of ['$share/g/old/+', '$queue/old/+']) {
      const clients: TestClient[] = [];
      for (const id of ['a', 'b']) {
        const client = await bench.connect(id, { version: 4 });
        await client.subscribed(filter, { qos: 1 });
        clients.push(client);
      }
      const writer = await bench.connect('w');
      send(writer, 1, ['old/1', 'old/2', 'old/3', 'old/4']);
      const got = await take(clients);
      assert.deepEqual(
        got.map((each) => each.length),
        [2, 2],
      );
      for (const client of clients) {
        client.drop();
        await client.closed();
      }
    }
  });

  test('$queue/ is refused where it is switched off M130', async () => {
    await open({ queueAlias: false });
    const client = await bench.connect('c');
    client.subscribe(1, [{ filter: '$queue/t' }]);
    assert.deepEqual((await client.expect('SUBACK')).codes, [0x8f]);
  });

  test('members, strategy and lag of a group are shown, and its strategy is chosen while it runs M129 M132', async () => {
    await open();
    const [one] = await members(2, '$share/g/t', 1);
    const list = bench.room.actions.find(
      ({ method, path }) => method === 'GET' && path === 'groups',
    )!;
    const choose = bench.room.actions.find(({ path }) => path === 'groups/:group/strategy')!;
    const call = { params: { group: 'g' }, query: new URLSearchParams(), body: {}, user: 'admin' };
    await choose.run({ ...call, body: { strategy: 'hash_topic' } });
    send(await bench.connect('w'), 1, ['t', 't']);
    await one!.quiet();
    const reply = (await list.run(call)) as { rows: Iterable<unknown> };
    assert.deepEqual(
      [...reply.rows],
      [
        {
          group: 'g',
          filter: 't',
          strategy: 'hash_topic',
          members: 2,
          online: 2,
          lag: 0,
          inFlight: 2,
        },
      ],
    );
  });

  test('$q/ keeps messages also while nobody is subscribed, over a restart M187', async () => {
    await open();
    const first = await bench.connect('c');
    await first.subscribed('$q/jobs', { qos: 1 });
    first.drop();
    await first.closed();
    const writer = await bench.connect('w');
    send(writer, 1, ['jobs', 'jobs']);
    await writer.quiet();
    await bench.room.close();
    bench.restart();
    send(await bench.connect('w'), 1, ['jobs'], 'later');
    const again = await bench.connect('d');
    await again.subscribed('$q/jobs', { qos: 1 });
    assert.deepEqual(await take([again]), [['jobs:0', 'jobs:1', 'jobs:later']]);
  });
});
