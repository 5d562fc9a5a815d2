/** The features beside MQTT's message path with unmodified clients and `robust-ctl`. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import mqtt, { type IPublishPacket, type MqttClient } from 'mqtt';
import { Inbox } from './inbox.ts';
import { run } from './program.ts';
import { HOST, type Server, startServer } from './server.ts';
import { debian, ready } from './toolchains/index.ts';

const CTL = path.resolve(import.meta.dirname, '../../bin/robust-ctl.mjs');
const { missing } = await ready(debian);

describe('features of MQTT', () => {
  let server: Server;
  const clients: MqttClient[] = [];

  interface Connected {
    readonly client: MqttClient;
    readonly inbox: Inbox<IPublishPacket>;
  }

  async function connect(clientId: string): Promise<Connected> {
    const url = `mqtt://${server.address('mqtt')}`;
    const client = mqtt.connect(url, { clientId, protocolVersion: 5, reconnectPeriod: 0 });
    clients.push(client);
    const inbox = new Inbox<IPublishPacket>();
    client.on('message', (_topic, _payload, packet) => inbox.put(packet));
    client.on('error', () => {});
    await once(client as unknown as NodeJS.EventEmitter, 'connect');
    return { client, inbox };
  }

  async function ctl(...args: string[]): Promise<string> {
    const url = `http://${server.address('admin')}`;
    return (await run(process.execPath, [CTL, '--url', url, 'mqtt', ...args])).text;
  }

  before(async () => {
    server = await startServer();
  });
  after(async () => {
    for (const client of clients) await client.endAsync(true);
    await server[Symbol.asyncDispose]();
  });

  it('mosquitto_sub reads $SYS M170', { skip: missing ?? false }, async () => {
    const to = ['-h', HOST, '-p', String(server.ports.mqtt)];
    const topic = '$SYS/broker/clients/connected';
    const { text } = await run('mosquitto_sub', [...to, '-t', topic, '-C', '1', '-W', '20']);
    assert.equal(text.trim(), '1');
  });

  it('MQTT.js replays what is stored, and shares a queue by keys M129 M187', async () => {
    const { client } = await connect('writer');
    for (const n of ['1', '2', '3']) await client.publishAsync('plant/line', n, { qos: 1 });
    const reader = await connect('reader');
    await reader.client.subscribeAsync('$s/earliest/plant/#', { qos: 1 });
    for (const n of ['1', '2', '3']) {
      assert.equal((await reader.inbox.next()).payload.toString(), n);
    }
    await reader.client.subscribeAsync('$share/g/plant/#', { qos: 1 });
    assert.match(await ctl('groups', 'strategy', 'g', 'key_ordered'), /key_ordered/);
    assert.match(await ctl('groups', 'list'), /g\s+plant\/#\s+key_ordered\s+1\s+1/);
  });

  it('robust-ctl lists, subscribes, publishes for, traces and disconnects a client M186 M194', async () => {
    const { client, inbox } = await connect('device');
    const gone = once(client as unknown as NodeJS.EventEmitter, 'close');
    assert.match(await ctl('clients', 'list', '--id', 'devi'), /device\s+true\s+anonymous/);
    await ctl('trace', 'start', 'look', '--value', 'device');
    await ctl('clients', 'subscribe', 'device', 'orders/+', '--qos', '1');
    await ctl('publish', 'orders/1', 'hello', '--retain');
    assert.equal((await inbox.next()).payload.toString(), 'hello');
    assert.match(await ctl('trace', 'download', 'look'), /PUBLISH OUT "orders\/1"/);
    assert.match(await ctl('retained', 'list', 'orders/#'), /orders\/1/);
    await ctl('clients', 'kick', 'device');
    await gone;
  });
});
