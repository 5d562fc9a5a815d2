import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import type { ActionReply } from '#contract';
import { Bench, type Shown, type TestClient } from '../client.fixture.ts';
import type { MqttOptions } from '../options.ts';

let bench: Bench;
describe('MQTT: features', () => {
  afterEach(() => bench.close());

  async function open(options: Partial<MqttOptions> = {}): Promise<void> {
    bench = await Bench.open(options);
  }

  interface Asked {
    readonly params?: Readonly<Record<string, string>>;
    readonly query?: string;
    readonly body?: Record<string, never> | object;
  }

  /** Asks an action as admin would: `GET clients`. */
  async function ask(name: string, asked: Asked = {}): Promise<ActionReply> {
    const [method, path] = name.split(' ');
    const action = bench.room.actions.find((each) => each.method === method && each.path === path);
    assert.ok(action !== undefined, name);
    return action.run({
      params: asked.params ?? {},
      query: new URLSearchParams(asked.query ?? ''),
      body: (asked.body ?? {}) as Record<string, never>,
      user: 'admin',
    });
  }

  async function rows(name: string, asked: Asked = {}): Promise<Record<string, unknown>[]> {
    const reply = await ask(name, asked);
    assert.ok(reply !== null && 'rows' in reply);
    return [...reply.rows] as Record<string, unknown>[];
  }

  const published = (packets: readonly Shown[]): Shown[] =>
    packets.filter(({ type }) => type === 'PUBLISH');

  async function topics(client: TestClient): Promise<(string | undefined)[]> {
    return published(await client.quiet()).map(({ topic }) => topic);
  }

  test('$SYS shows both trees at once and every interval, only to who asks for it M105 M170', async () => {
    await open({ sysInterval: 10_000 });
    const all = await bench.connect('all');
    await all.subscribed('#');
    const client = await bench.connect('c');
    await client.subscribed('$SYS/#');
    const values = async (): Promise<Shown[]> =>
      published(await client.quiet()).filter(({ topic }) => !topic!.includes('/clients/c/'));
    const first = await values();
    const value = (topic: string): string | undefined =>
      first.find((each) => each.topic === topic)?.payload;
    assert.equal(value('$SYS/broker/clients/connected'), '2');
    assert.equal(value('$SYS/broker/subscriptions/count'), '2');
    assert.equal(value('$SYS/brokers/robustmq@test-server/version'), '0.0.0');
    assert.ok(first.every(({ retain }) => retain));
    bench.pass(10_000);
    const next = await values();
    assert.equal(next.length, first.length);
    assert.ok(next.every(({ retain }) => retain === false));
    assert.deepEqual(await topics(all), []);
  });

  test('$SYS is read-only for clients, for wills and for delayed messages M170', async () => {
    await open({ sysInterval: 10_000 });
    const client = await bench.connect('c', { user: 'admin', password: Buffer.from('robustmq') });
    for (const topic of ['$SYS/broker/version', '$events/client_connected', '$delayed/1/$SYS/x']) {
      client.publish({ topic, payload: 'no', qos: 1, packetId: 1, retain: true });
      assert.equal((await client.expect('PUBACK')).reason, 0x87, topic);
    }
    assert.equal(bench.host.broker.lastValues.count, 0);
    const dying = bench.client();
    const will = { topic: '$SYS/x', payload: Buffer.from('w'), qos: 0, retain: false } as const;
    dying.connect('d', { will: { ...will, properties: {} } });
    assert.equal((await dying.expect('CONNACK')).reason, 0x87);
  });

  test('an interval of 0 means that there is no $SYS M170', async () => {
    await open({ sysInterval: 0 });
    const client = await bench.connect('c');
    await client.subscribed('$SYS/#');
    bench.pass(100_000);
    assert.deepEqual(await topics(client), []);
  });

  test('presence events tell who comes, subscribes and goes, and why M171', async () => {
    await open({
      presenceEvents: ['client_connected', 'client_disconnected', 'session_subscribed'],
    });
    const watcher = await bench.connect('watcher');
    await watcher.subscribed('$events/#');
    await watcher.quiet();
    const client = await bench.connect('c');
    await client.subscribed('t', { qos: 1 });
    client.publish({ topic: 'a/+' });
    await client.closed();
    const events = published(await watcher.quiet()).map(({ topic, payload }) => {
      const { clientid, topic: filter, reason_code: reason } = JSON.parse(payload!);
      return [topic, clientid, filter ?? reason ?? null];
    });
    assert.deepEqual(events, [
      ['$events/client_connected', 'c', null],
      ['$events/session_subscribed', 'c', 't'],
      ['$events/client_disconnected', 'c', 0x90],
    ]);
  });

  test('events about messages tell deliveries, acknowledgements and drops M171', async () => {
    await open({ presenceEvents: ['message_delivered', 'message_acked', 'message_dropped'] });
    const watcher = await bench.connect('watcher');
    await watcher.subscribed('$events/#');
    const small = { properties: { maximumPacketSize: 60 } };
    const client = await bench.connect('c', small);
    await client.subscribed('t', { qos: 1 });
    const writer = await bench.connect('w');
    writer.publish({ topic: 't', payload: 'x', qos: 1, packetId: 1 });
    writer.publish({ topic: 't', payload: 'x'.repeat(100), qos: 1, packetId: 2 });
    const got = published(await client.quiet());
    client.puback(got[0]!.packetId!);
    const events = published(await watcher.quiet()).map(({ topic }) => topic);
    assert.deepEqual(
      events,
      ['message_delivered', 'message_dropped', 'message_acked'].map((name) => `$events/${name}`),
    );
  });

  test('every client is subscribed by the rules of the options and of administrators M180', async () => {
    await open({ autoSubscribe: ['inbox/%c qos=1 rh=2'] });
    await ask('PUT auto-subscribe/:name', {
      params: { name: 'user' },
      body: { filter: 'user/%u', qos: 0 },
    });
    const client = await bench.connect('c');
    const writer = await bench.connect('w');
    for (const topic of ['inbox/c', 'inbox/w', 'user/anonymous', 'user/other']) {
      writer.publish({ topic });
    }
    assert.deepEqual(await topics(client), ['inbox/c', 'user/anonymous']);
    assert.equal((await rows('GET auto-subscribe')).length, 2);
    await ask('DELETE auto-subscribe/:name', { params: { name: 'user' } });
    await assert.rejects(ask('DELETE auto-subscribe/:name', { params: { name: 'option-1' } }));
    assert.equal((await rows('GET auto-subscribe')).length, 1);
  });

  test('rules rewrite names and filters once, before the rights are asked M181', async () => {
    await open({ topicRewrite: ['all x/# ^x/y/(.+)$ z/y/$1', 'all x/# ^x/y/(\\d+)$ z/y/%c/$1'] });
    const client = await bench.connect('c');
    await client.subscribed('x/y/5');
    assert.equal(bench.room.sessions.get('c')!.subscription('z/y/c/5')?.filter, 'z/y/c/5');
    client.publish({ topic: 'x/y/5' });
    client.publish({ topic: 'x/y/word' });
    assert.deepEqual(await topics(client), ['z/y/c/5']);
    client.unsubscribe(7, ['x/y/5']);
    assert.deepEqual((await client.expect('UNSUBACK')).codes, [0]);
  });

  test('a new rule holds for a connection that used the name before M181', async () => {
    await open();
    const client = await bench.connect('c');
    await client.subscribed('#');
    client.publish({ topic: 'a/1' });
    const rule = { action: 'publish', filter: 'a/+', expression: '^a/(.*)$', to: 'b/$1' };
    await ask('PUT topic-rewrite/:name', { params: { name: 'r' }, body: rule });
    client.publish({ topic: 'a/1' });
    await ask('DELETE topic-rewrite/:name', { params: { name: 'r' } });
    client.publish({ topic: 'a/1' });
    assert.deepEqual(await topics(client), ['a/1', 'b/1', 'a/1']);
    const wrong = { ...rule, expression: '(' };
    await assert.rejects(ask('PUT topic-rewrite/:name', { params: { name: 'r' }, body: wrong }));
  });

  test('delayed messages are listed and taken back M182', async () => {
    await open();
    const client = await bench.connect('c');
    await client.subscribed('t');
    client.publish({ topic: '$delayed/60/t', payload: 'x', qos: 1, packetId: 1 });
    await client.expect('PUBACK');
    const [row] = await rows('GET delayed');
    assert.equal(row!['topic'], 't');
    await ask('DELETE delayed/:id', { params: { id: String(row!['id']) } });
    bench.pass(61_000);
    assert.deepEqual(await topics(client), []);
  });

  test('an exclusive filter has one subscriber until it goes, over a restart too M183', async () => {
    await open();
    const durable = { clean: false, properties: { sessionExpirySec: 1000 } };
    const owner = await bench.connect('owner', durable);
    await owner.subscribed('$exclusive/t', { qos: 1 });
    const other = await bench.connect('other');
    other.subscribe(1, [{ filter: '$exclusive/t' }, { filter: 't' }]);
    assert.deepEqual((await other.expect('SUBACK')).codes, [0x97, 0]);
    other.publish({ topic: 't' });
    assert.deepEqual(await topics(owner), ['t']);
    await bench.room.close();
    bench.restart();
    const late = await bench.connect('late');
    late.subscribe(1, [{ filter: '$exclusive/t' }]);
    assert.deepEqual((await late.expect('SUBACK')).codes, [0x97]);
    const again = await bench.connect('owner', durable);
    again.unsubscribe(2, ['$exclusive/t']);
    await again.expect('UNSUBACK');
    late.subscribe(3, [{ filter: '$exclusive/t' }]);
    assert.deepEqual((await late.expect('SUBACK')).codes, [0]);
  });

  test('slow subscriptions are listed with their latency, the slowest first, for a time M184', async () => {
    await open({ slowThreshold: 500, slowMax: 2, slowExpiry: 60_000 });
    const client = await bench.connect('c');
    for (const topic of ['a', 'b', 'c']) await client.subscribed(topic, { qos: 1 });
    const writer = await bench.connect('w');
    for (const [topic, ms] of [
      ['a', 1000],
      ['b', 3000],
      ['c', 2000],
    ] as const) {
      writer.publish({ topic, qos: 1, packetId: 1 });
      const [packet] = published(await client.quiet());
      bench.pass(ms);
      client.puback(packet!.packetId!);
    }
    const list = await rows('GET slow-subscriptions');
    assert.deepEqual(
      list.map(({ topic, latencyMs }) => [topic, latencyMs]),
      [
        ['b', 3000],
        ['c', 2000],
      ],
    );
    bench.pass(61_000);
    assert.deepEqual(await rows('GET slow-subscriptions'), []);
  });

  test('chosen topics and filters are counted by QoS, in, out and dropped M185', async () => {
    await open({ topicMetricsMax: 2 });
    await ask('POST topic-metrics', { body: { topic: 'a/1' } });
    await ask('POST topic-metrics', { body: { topic: 'a/#' } });
    await assert.rejects(ask('POST topic-metrics', { body: { topic: 'b' } }));
    const client = await bench.connect('c');
    await client.subscribed('a/#', { qos: 1 });
    client.publish({ topic: 'a/1', qos: 1, packetId: 1 });
    client.publish({ topic: 'a/2' });
    await client.quiet();
    const [exact, filter] = await rows('GET topic-metrics');
    assert.deepEqual(
      [exact!['in'], exact!['inQos1'], exact!['out'], exact!['outQos1']],
      [1, 1, 1, 1],
    );
    assert.deepEqual([filter!['in'], filter!['out']], [2, 2]);
    await ask('DELETE topic-metrics/:topic', { params: { topic: 'a/1' } });
    assert.equal((await rows('GET topic-metrics')).length, 1);
  });

  test('a trace writes what a client does until its time, and nothing is watched afterwards M186', async () => {
    await open();
    await ask('POST traces/:name', {
      params: { name: 'x' },
      body: { type: 'clientid', value: 'c', seconds: 60 },
    });
    const client = await bench.connect('c');
    const other = await bench.connect('o');
    await client.subscribed('t', { qos: 1 });
    other.publish({ topic: 't', payload: 'hello', qos: 1, packetId: 1 });
    await other.quiet();
    await client.quiet();
    const reply = await ask('GET traces/:name', { params: { name: 'x' } });
    assert.ok(reply !== null && 'text' in reply);
    const lines = reply.text.trim().split('\n');
    assert.match(lines[0]!, /"c" CONNECTED/);
    assert.match(lines[1]!, /SUBSCRIBE t qos=1/);
    assert.match(lines[2]!, /PUBLISH OUT "t" qos=1 .*"hello"/);
    assert.equal(lines.length, 3);
    bench.pass(61_000);
    assert.equal(bench.room.hooks.messages, null);
    assert.equal((await rows('GET traces'))[0]!['state'], 'done');
  });

  test('$s/ reads what is stored from the beginning, a time or the end, and goes on with what comes M187', async () => {
    await open();
    const writer = await bench.connect('w');
    const send = async (payload: string): Promise<void> => {
      writer.publish({ topic: `log/${payload}`, payload, qos: 1, packetId: 1 });
      await writer.expect('PUBACK');
    };
    await send('1');
    bench.pass(60_000);
    const second = bench.room.nowMs();
    await send('2');
    const readers: Record<string, TestClient> = {};
    for (const from of ['earliest', String(second), 'latest']) {
      const client = await bench.connect(`r-${from}`);
      await client.subscribed(`$s/${from}/log/#`, { qos: 1 });
      readers[from] = client;
    }
    await send('3');
    const got = async (from: string): Promise<(string | undefined)[]> =>
      published(await readers[from]!.quiet()).map(({ payload }) => payload);
    assert.deepEqual(await got('earliest'), ['1', '2', '3']);
    assert.deepEqual(await got(String(second)), ['2', '3']);
    assert.deepEqual(await got('latest'), ['3']);
    const lost = await bench.connect('x');
    lost.subscribe(1, [
      { filter: '$s/earliest/#' },
      { filter: '$s/never/t' },
      { filter: '$s/earliest/none' },
    ]);
    assert.deepEqual((await lost.expect('SUBACK')).codes, [0x90, 0x8f, 0x90]);
  });

  test('a durable reader of $s/ goes on behind what it acknowledged, over a restart M187', async () => {
    await open();
    const writer = await bench.connect('w');
    for (let index = 0; index < 5; index++) {
      writer.publish({ topic: 'log', payload: `${index}`, qos: 1, packetId: index + 1 });
    }
    await writer.quiet();
    const durable = { clean: false, properties: { sessionExpirySec: 1000 } };
    const first = await bench.connect('r', durable);
    await first.subscribed('$s/earliest/log', { qos: 1 });
    const packets = published(await first.quiet());
    assert.equal(packets.length, 5);
    for (const { packetId } of packets.slice(0, 2)) first.puback(packetId!);
    await first.quiet();
    first.drop();
    await first.closed();
    await bench.room.close();
    bench.restart();
    const again = await bench.connect('r', durable);
    const rest = published(await again.quiet()).map(({ payload }) => payload);
    assert.deepEqual(rest, ['2', '3', '4']);
  });

  test('clients are listed, filtered, looked into and disconnected M194', async () => {
    await open();
    const durable = { clean: false, properties: { sessionExpirySec: 1000, receiveMaximum: 1 } };
    const client = await bench.connect('dev-1', durable);
    await client.subscribed('t', { qos: 1 });
    const writer = await bench.connect('w');
    for (const payload of ['a', 'b', 'c']) {
      writer.publish({ topic: 't', payload, qos: 1, packetId: 1 });
      await writer.expect('PUBACK');
    }
    const [row] = await rows('GET clients', { query: 'client=dev&connected=true' });
    assert.deepEqual([row!['client'], row!['queued'], row!['inFlight']], ['dev-1', 2, 1]);
    const params = { client: 'dev-1' };
    const queued = await rows('GET clients/:client/queue', { params });
    assert.deepEqual(
      queued.map(({ payload }) => payload),
      ['b', 'c'],
    );
    assert.equal((await rows('GET clients/:client/inflight', { params })).length, 1);
    const [first] = published(await client.quiet());
    client.puback(first!.packetId!);
    assert.equal((await client.expect('PUBLISH')).payload, 'b', 'a look takes nothing');
    await ask('DELETE clients/:client', { params });
    assert.equal((await client.expect('DISCONNECT')).reason, 0x98);
    assert.equal((await rows('GET clients', { query: 'connected=false' })).length, 1);
    await ask('DELETE clients/:client', { params, query: 'session=true' });
    assert.equal((await rows('GET clients', { query: 'client=dev' })).length, 0);
  });

  test('an administrator subscribes, unsubscribes and publishes on behalf of a client M194', async () => {
    await open();
    const client = await bench.connect('c');
    const params = { client: 'c' };
    await ask('POST clients/:client/subscriptions', { params, body: { filter: 'x/+', qos: 1 } });
    assert.equal((await rows('GET clients/:client/subscriptions', { params })).length, 1);
    await ask('POST publish', {
      body: { topic: 'x/1', payload: 'aGk=', encoding: 'base64', qos: 1 },
    });
    const [packet] = published(await client.quiet());
    assert.deepEqual([packet!.topic, packet!.payload, packet!.qos], ['x/1', 'hi', 1]);
    const messages = [{ topic: 'x/2', client: 'c' }, { topic: '$SYS/x' }, { topic: 'x/3', qos: 1 }];
    const reply = await ask('POST publish/bulk', { body: { messages } });
    assert.ok(reply !== null && 'value' in reply);
    const value = reply.value as { published: number; refused: { index: number }[] };
    assert.deepEqual([value.published, value.refused.map(({ index }) => index)], [2, [1]]);
    assert.deepEqual(await topics(client), ['x/2', 'x/3']);
    await ask('DELETE clients/:client/subscriptions', { params, query: 'filter=x/%2B' });
    assert.equal((await rows('GET clients/:client/subscriptions', { params })).length, 0);
  });

  test('retained messages are limited in number, size and age, and a refusal is told M116 M117 M119', async () => {
    await open({ retainedMax: 2, retainedBytesMax: 10, retainedExpiry: 60_000 });
    const client = await bench.connect('c');
    const retain = async (topic: string, payload: string): Promise<number | undefined> => {
      client.publish({ topic, payload, qos: 1, packetId: 1, retain: true });
      return (await client.expect('PUBACK')).reason;
    };
    assert.equal(await retain('a/1', 'x'), 0);
    assert.equal(await retain('a/2', 'x'), 0);
    assert.equal(await retain('a/3', 'x'), 0x97);
    assert.equal(await retain('a/2', 'again'), 0);
    assert.equal(await retain('a/2', 'longer than ten'), 0x83);
    assert.equal(bench.host.broker.lastValues.count, 2);
    bench.pass(61_000);
    await client.quiet();
    assert.equal(bench.host.broker.lastValues.count, 0);
  });

  test('a session loses its oldest or its newest messages above its limit, as the options say M87', async () => {
    for (const [queueOverflow, kept] of [
      ['drop-oldest', ['3', '4']],
      ['drop-newest', ['0', '1']],
    ] as const) {
      await open({ queueMax: 2, queueOverflow });
      const durable = { clean: false, properties: { sessionExpirySec: 1000 } };
      const away = await bench.connect('away', durable);
      await away.subscribed('t', { qos: 1 });
      away.drop();
      await away.closed();
      const writer = await bench.connect('w');
      for (let index = 0; index < 5; index++) {
        writer.publish({ topic: 't', payload: `${index}`, qos: 1, packetId: 1 });
        assert.equal((await writer.expect('PUBACK')).reason, 0);
      }
      const back = await bench.connect('away', durable);
      assert.deepEqual(
        published(await back.quiet()).map(({ payload }) => payload),
        kept,
      );
      if (queueOverflow === 'drop-newest') {
        assert.equal(bench.room.metrics.droppedFull.value, 3);
        continue;
      }
      await bench.close();
    }
  });

  test('a limited QoS is told, granted and enforced M50', async () => {
    await open({ qosMax: 1 });
    const client = bench.client();
    client.connect('c');
    assert.equal((await client.expect('CONNACK')).properties?.maximumQos, 1);
    client.subscribe(1, [{ filter: 't', qos: 2 }]);
    assert.deepEqual((await client.expect('SUBACK')).codes, [1]);
    client.publish({ topic: 't', qos: 2, packetId: 1 });
    assert.equal((await client.expect('DISCONNECT')).reason, 0x9b);
    const will = { topic: 'w', payload: Buffer.from('w'), qos: 2, retain: false } as const;
    const dying = bench.client();
    dying.connect('d', { will: { ...will, properties: {} } });
    assert.equal((await dying.expect('CONNACK')).reason, 0x9b);
  });

  test('where retain is off a retained message or will is refused with 0x9a [MQTT-3.2.2-14] M51', async () => {
    await open({ retainAvailable: false });
    const client = bench.client();
    client.connect('c');
    assert.equal((await client.expect('CONNACK')).properties?.retainAvailable, 0);
    client.publish({ topic: 't', retain: true });
    assert.equal((await client.expect('DISCONNECT')).reason, 0x9a);
    const will = { topic: 'w', payload: Buffer.from('w'), qos: 0, retain: true } as const;
    const dying = bench.client();
    dying.connect('d', { will: { ...will, properties: {} } });
    assert.equal((await dying.expect('CONNACK')).reason, 0x9a);
  });

  test('messages are counted by QoS in both directions, and latencies observed M194', async () => {
    await open();
    const client = await bench.connect('c');
    await client.subscribed('t', { qos: 2 });
    client.publish({ topic: 't' });
    client.publish({ topic: 't', qos: 1, packetId: 1 });
    await client.quiet();
    const { received, sent, subscriptions, handshake } = bench.room.metrics;
    assert.deepEqual(
      received.map(({ value }) => value),
      [1, 1, 0],
    );
    assert.deepEqual(
      sent.map(({ value }) => value),
      [1, 1, 0],
    );
    assert.deepEqual([subscriptions.value, handshake.count], [1, 1]);
  });
});
