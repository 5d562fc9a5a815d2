/** MQTT.js, unmodified, over TCP and WebSocket, versions 3.1.1 and 5. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type EventEmitter, once } from 'node:events';
import { after, afterEach, before, describe, it } from 'node:test';
import mqtt, { type IClientOptions, type IPublishPacket, type MqttClient } from 'mqtt';
import { Inbox } from './inbox.ts';
import { ADMIN, type Server, startServer } from './server.ts';

/** The client's own typing of its events hides that it is an emitter. */
const events = (client: MqttClient) => client as unknown as EventEmitter;
const QOS = [0, 1, 2] as const;

describe('MQTT.js', () => {
  let server: Server;
  const clients: MqttClient[] = [];

  interface Connected {
    readonly client: MqttClient;
    readonly inbox: Inbox<IPublishPacket>;
  }

  async function connect(options: IClientOptions = {}, webSocket = false): Promise<Connected> {
    const url = webSocket
      ? `ws://${server.address('mqtt-ws')}/mqtt`
      : `mqtt://${server.address('mqtt')}`;
    const settings = { protocolVersion: 5, reconnectPeriod: 0, connectTimeout: 10_000 } as const;
    const client = mqtt.connect(url, { ...settings, ...options });
    clients.push(client);
    const inbox = new Inbox<IPublishPacket>();
    client.on('message', (_topic, _payload, packet) => inbox.put(packet));
    const failed = once(events(client), 'error').then(([error]) => Promise.reject(error));
    await Promise.race([once(events(client), 'connect'), failed]);
    client.on('error', () => {});
    return { client, inbox };
  }

  before(async () => {
    server = await startServer();
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) await client.endAsync(true);
  });
  after(() => server[Symbol.asyncDispose]());

  for (const webSocket of [false, true]) {
    const over = webSocket ? 'WebSocket' : 'TCP';
    for (const protocolVersion of [4, 5] as const) {
      it(`version ${protocolVersion} over ${over} passes binary messages at QoS 0, 1 and 2 [MQTT-4.3.3-1] M71 M76 M151 R63`, async () => {
        const { client, inbox } = await connect({ protocolVersion }, webSocket);
        for (const qos of QOS) {
          const topic = `js/${over}/${protocolVersion}/${qos}`;
          const [grant] = await client.subscribeAsync(topic, { qos });
          assert.equal(grant?.qos, qos);
          const body = randomBytes(5000);
          await client.publishAsync(topic, body, { qos });
          const packet = await inbox.next();
          assert.deepEqual([packet.topic, packet.qos, packet.payload], [topic, qos, body]);
        }
      });
    }

    it(`a message of 1 MiB passes over ${over} M15`, async () => {
      const { client, inbox } = await connect({}, webSocket);
      await client.subscribeAsync(`js/large/${over}`, { qos: 2 });
      const body = randomBytes(1024 * 1024);
      await client.publishAsync(`js/large/${over}`, body, { qos: 2 });
      assert.ok(body.equals((await inbox.next()).payload as Buffer));
    });
  }

  it('a retained message is replayed, is not marked retained live, and can be removed [MQTT-3.3.1-6] M112 M115', async () => {
    const writer = await connect();
    const witness = await connect();
    await witness.client.subscribeAsync('js/retained', { qos: 1 });
    await writer.client.publishAsync('js/retained', 'kept', { qos: 1, retain: true });
    assert.equal((await witness.inbox.next()).retain, false);
    const reader = await connect();
    await reader.client.subscribeAsync('js/retained', { qos: 1 });
    const replayed = await reader.inbox.next();
    assert.deepEqual([String(replayed.payload), replayed.retain], ['kept', true]);
    await writer.client.publishAsync('js/retained', '', { qos: 1, retain: true });
    assert.equal((await reader.inbox.next()).payload.length, 0);
    const late = await connect();
    await late.client.subscribeAsync('js/retained', { qos: 1 });
    await writer.client.publishAsync('js/retained', 'live', { qos: 1 });
    assert.equal(String((await late.inbox.next()).payload), 'live');
  });

  for (const [rh, replays] of [
    [0, 2],
    [1, 1],
    [2, 0],
  ] as const) {
    it(`retain handling ${rh} replays ${replays} times for two subscribes [MQTT-3.3.1-9] M113`, async () => {
      const { client, inbox } = await connect();
      const topic = `js/handling/${rh}`;
      await client.publishAsync(topic, 'kept', { qos: 1, retain: true });
      await client.subscribeAsync(topic, { qos: 1, rh });
      await client.subscribeAsync(topic, { qos: 1, rh });
      await client.publishAsync(topic, 'end', { qos: 1 });
      const seen: string[] = [];
      while (seen.at(-1) !== 'end') seen.push(String((await inbox.next()).payload));
      assert.equal(seen.length - 1, replays);
    });
  }

  it('a will with its properties is published when the connection breaks [MQTT-3.1.2-8] M34 M36', async () => {
    const watcher = await connect();
    await watcher.client.subscribeAsync('js/will', { qos: 1 });
    const properties = { contentType: 'text/plain', userProperties: { cause: 'lost' } };
    const will = { topic: 'js/will', payload: Buffer.from('gone'), qos: 1, properties } as const;
    const mortal = await connect({ will });
    mortal.client.stream.destroy();
    const packet = await watcher.inbox.next();
    assert.equal(String(packet.payload), 'gone');
    assert.equal(packet.properties?.contentType, 'text/plain');
    assert.deepEqual({ ...packet.properties?.userProperties }, { cause: 'lost' });
  });

  it('a persistent session gets what came while it was away, and says that it was present [MQTT-3.1.2-5] M27 M47', async () => {
    const session = { clientId: 'js-sleeper', properties: { sessionExpiryInterval: 300 } };
    const first = await connect({ ...session, clean: true });
    await first.client.subscribeAsync('js/away', { qos: 2 });
    await first.client.endAsync();
    const writer = await connect();
    for (let n = 0; n < 100; n++) await writer.client.publishAsync('js/away', `${n}`, { qos: 2 });
    const again = await connect({ ...session, clean: false });
    const bodies = (await again.inbox.take(100)).map((packet) => Number(packet.payload));
    assert.deepEqual(
      bodies,
      Array.from({ length: 100 }, (_, n) => n),
    );
  });

  it('a session and its waiting messages outlive a restart [MQTT-4.1.0-1] M75 M116', async () => {
    const session = { clientId: 'js-restart', properties: { sessionExpiryInterval: 300 } };
    const first = await connect({ ...session, clean: true });
    await first.client.subscribeAsync('js/restart', { qos: 1 });
    await first.client.endAsync();
    const writer = await connect();
    await writer.client.publishAsync('js/restart', 'waits', { qos: 1 });
    await writer.client.publishAsync('js/restart/state', 'kept', { qos: 1, retain: true });
    await writer.client.endAsync();
    await server.restart();
    const again = await connect({ ...session, clean: false });
    assert.equal(String((await again.inbox.next()).payload), 'waits');
    await again.client.subscribeAsync('js/restart/state', { qos: 1 });
    assert.equal(String((await again.inbox.next()).payload), 'kept');
  });

  it('a second connection with the same client id ends the first with 0x8E [MQTT-3.1.4-3] M43', async () => {
    const first = await connect({ clientId: 'js-twin' });
    const ended = once(events(first.client), 'disconnect', {
      signal: AbortSignal.timeout(10_000),
    });
    await connect({ clientId: 'js-twin' });
    const [packet] = await ended;
    assert.equal(packet.reasonCode, 0x8e);
  });

  it('user properties, correlation and the other properties pass unchanged [MQTT-3.3.2-17] M65', async () => {
    const { client, inbox } = await connect();
    await client.subscribeAsync('js/properties', {
      qos: 1,
      properties: { subscriptionIdentifier: 9 },
    });
    const properties = {
      payloadFormatIndicator: true,
      messageExpiryInterval: 60,
      responseTopic: 'js/answers',
      correlationData: randomBytes(16),
      contentType: 'application/json',
      userProperties: { name: ['one', 'two'], other: 'three' },
    };
    await client.publishAsync('js/properties', '{}', { qos: 1, properties });
    const got = (await inbox.next()).properties;
    assert.equal(got?.subscriptionIdentifier, 9);
    const { messageExpiryInterval, ...rest } = properties;
    assert.ok((got?.messageExpiryInterval ?? 0) <= messageExpiryInterval);
    for (const [name, value] of Object.entries(rest)) {
      const actual: unknown = got?.[name as keyof typeof rest];
      // The library makes user properties an object without a prototype.
      assert.deepEqual(name === 'userProperties' ? { ...(actual as object) } : actual, value, name);
    }
  });

  it('no local and retain as published do what they say [MQTT-3.8.3-3] M111 M112', async () => {
    const own = await connect();
    const other = await connect();
    await own.client.subscribeAsync('js/options', { qos: 1, nl: true, rap: true });
    await own.client.publishAsync('js/options', 'own', { qos: 1 });
    await other.client.publishAsync('js/options', 'other', { qos: 1, retain: true });
    const packet = await own.inbox.next();
    assert.deepEqual([String(packet.payload), packet.retain], ['other', true]);
  });

  it('a shared subscription gives each message to one member [MQTT-4.8.2] M124', async () => {
    const members = [await connect(), await connect(), await connect()];
    for (const { client } of members)
      await client.subscribeAsync('$share/g/js/shared/+', { qos: 1 });
    const writer = await connect();
    await writer.client.subscribeAsync('js/shared/#', { qos: 1 });
    for (let n = 0; n < 90; n++) {
      await writer.client.publishAsync(`js/shared/${n % 5}`, `${n}`, { qos: 1 });
    }
    await writer.inbox.take(90);
    const numbers: number[] = [];
    const collect = async ({ inbox }: Connected) => {
      while (numbers.length < 90) {
        const packet = await inbox.next(2000).catch(() => null);
        if (packet === null) return;
        numbers.push(Number(packet.payload));
      }
    };
    await Promise.all(members.map(collect));
    assert.deepEqual(
      numbers.sort((a, b) => a - b),
      Array.from({ length: 90 }, (_, n) => n),
    );
    for (const { inbox } of members) assert.ok(inbox.count > 0, 'a member got nothing');
  });

  it('a topic alias stands for its topic [MQTT-3.3.2-8] M69', async () => {
    const { client, inbox } = await connect({ autoAssignTopicAlias: false });
    await client.subscribeAsync('js/alias/long/topic', { qos: 1 });
    const alias = { qos: 1, properties: { topicAlias: 1 } } as const;
    await client.publishAsync('js/alias/long/topic', 'named', alias);
    await client.publishAsync('', 'by alias', alias);
    for (const body of ['named', 'by alias']) {
      const packet = await inbox.next();
      assert.deepEqual([packet.topic, String(packet.payload)], ['js/alias/long/topic', body]);
    }
  });

  it('unsubscribe ends the flow; an unknown filter is answered 0x11 [MQTT-3.10.4-2] M120', async () => {
    const { client, inbox } = await connect();
    await client.subscribeAsync(['js/unsub/a', 'js/unsub/b'], { qos: 1 });
    await client.unsubscribeAsync('js/unsub/a');
    await client.publishAsync('js/unsub/a', 'a', { qos: 1 });
    await client.publishAsync('js/unsub/b', 'b', { qos: 1 });
    assert.equal((await inbox.next()).topic, 'js/unsub/b');
  });

  it('a message that expired while the session was away is not delivered [MQTT-3.3.2-5] M68 X11', async () => {
    const session = { clientId: 'js-late', properties: { sessionExpiryInterval: 300 } };
    const first = await connect({ ...session, clean: true });
    await first.client.subscribeAsync('js/expiry', { qos: 1 });
    await first.client.endAsync();
    const writer = await connect();
    const brief = { qos: 1, properties: { messageExpiryInterval: 1 } } as const;
    await writer.client.publishAsync('js/expiry', 'short-lived', brief);
    await writer.client.publishAsync('js/expiry', 'lasting', { qos: 1 });
    await new Promise((resolve) => setTimeout(resolve, 1500)); // The lifetime under test.
    const again = await connect({ ...session, clean: false });
    assert.equal(String((await again.inbox.next()).payload), 'lasting');
  });

  it('credentials are checked; the client sees why it was refused [MQTT-3.2.2-7] M39 M48', async () => {
    await connect({ username: ADMIN.user, password: ADMIN.password });
    await assert.rejects(connect({ username: ADMIN.user, password: 'wrong' }), { code: 0x86 });
  });

  it('20 000 messages with up to 500 in flight arrive complete and in order [MQTT-4.6.0-6] M80 M83', async () => {
    const { client, inbox } = await connect();
    const writer = await connect();
    await client.subscribeAsync('js/many', { qos: 1 });
    // MQTT.js does not count what it has in flight against the server's receive maximum.
    const publishing = (async () => {
      for (let first = 0; first < 20_000; first += 500) {
        const batch = Array.from({ length: 500 }, (_, n) =>
          writer.client.publishAsync('js/many', String(first + n), { qos: 1 }),
        );
        await Promise.all(batch);
      }
    })();
    const packets = await inbox.take(20_000);
    await publishing;
    assert.deepEqual(
      packets.map((packet) => Number(packet.payload)),
      packets.map((_, n) => n),
    );
  });
});
