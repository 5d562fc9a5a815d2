/**
 * Delayed messages of MQTT.js and mosquitto_pub on the real server and clock: at their time, listed
 * and cancelled through the admin API, and over a server that is killed meanwhile.
 */
import assert from 'node:assert/strict';
import { type EventEmitter, once } from 'node:events';
import { after, afterEach, before, describe, it } from 'node:test';
import mqtt, { type IClientOptions, type IPublishPacket, type MqttClient } from 'mqtt';
import { AdminClient } from '../../src/cli/admin-client.ts';
import { Inbox } from './inbox.ts';
import { run } from './program.ts';
import { ADMIN, HOST, type Server, startServer } from './server.ts';
import { debian, ready } from './toolchains/index.ts';

const { missing } = await ready(debian);

describe('delayed messages of real clients', () => {
  let server: Server;
  const clients: MqttClient[] = [];

  async function connect(options: IClientOptions = {}) {
    const settings = { protocolVersion: 5, reconnectPeriod: 0, connectTimeout: 10_000 } as const;
    const client = mqtt.connect(`mqtt://${server.address('mqtt')}`, { ...settings, ...options });
    clients.push(client);
    const inbox = new Inbox<IPublishPacket>();
    client.on('message', (_topic, _payload, packet) => inbox.put(packet));
    client.on('error', () => {});
    await once(client as unknown as EventEmitter, 'connect');
    return { client, inbox };
  }

  const admin = () => new AdminClient({ url: `http://${server.address('admin')}`, ...ADMIN });

  before(async () => {
    server = await startServer();
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) await client.endAsync(true);
  });
  after(() => server[Symbol.asyncDispose]());

  it('MQTT.js gets what it delayed at its time, with its properties M182', async () => {
    const { client, inbox } = await connect();
    await client.subscribeAsync('later/#', { qos: 2 });
    const properties = { contentType: 'text/plain', userProperties: { k: 'v' } };
    const sentMs = Date.now();
    await client.publishAsync('$delayed/1/later/js', 'x', { qos: 2, properties });
    const packet = await inbox.next();
    const tookMs = Date.now() - sentMs;
    assert.deepEqual([packet.topic, String(packet.payload), packet.qos], ['later/js', 'x', 2]);
    assert.equal(packet.properties?.contentType, 'text/plain');
    assert.ok(tookMs >= 1000, `${tookMs} ms`);
  });

  it('mosquitto_pub delays a message too M182', { skip: missing ?? false }, async () => {
    const { client, inbox } = await connect();
    await client.subscribeAsync('later/#', { qos: 1 });
    const to = ['-h', HOST, '-p', String(server.ports.mqtt)];
    await run('mosquitto_pub', [...to, '-t', '$delayed/1/later/m', '-m', 'hi', '-q', '1']);
    assert.equal(String((await inbox.next()).payload), 'hi');
  });

  it('they are listed and cancelled through the admin API M182 X69', async () => {
    const { client } = await connect();
    await client.publishAsync('$delayed/4000/later/never', 'x', { qos: 1 });
    const [row] = await admin().list('/api/v1/protocols/mqtt/delayed');
    assert.equal(row?.['topic'], 'later/never');
    const kinds = await admin().list('/api/v1/time');
    assert.equal(kinds.find(({ kind }) => kind === 'mqtt.delayed')?.['count'], 1);
    const id = encodeURIComponent(String(row?.['id']));
    await admin().delete(`/api/v1/time/mqtt.delayed/${id}`);
    assert.deepEqual(await admin().list('/api/v1/protocols/mqtt/delayed'), []);
  });

  it('a killed server publishes them after its restart, to the sessions of before M182 M29', async () => {
    const keeper: IClientOptions = {
      ...{ clientId: 'keeper', clean: false, properties: { sessionExpiryInterval: 3600 } },
    };
    const first = await connect(keeper);
    await first.client.subscribeAsync('after/#', { qos: 1 });
    const { client } = await connect();
    await client.publishAsync('$delayed/1/after/crash', 'still there', { qos: 1 });
    await server.kill();
    await server.start();
    const again = await connect(keeper);
    assert.equal(String((await again.inbox.next()).payload), 'still there');
  });
});
