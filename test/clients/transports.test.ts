/**
 * The transports with real clients: TLS with names and certificates of clients, WebSocket over TLS,
 * MQTT over QUIC, listeners of the configuration file, bans, and draining.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import mqtt from 'mqtt';
import { connect as connectNats } from 'nats';
import { Authority, type Issued } from '../contract/authority.ts';
import { mosquittoSub, run } from './program.ts';
import { runPython } from './python-scenarios.ts';
import { ADMIN, HOST, type Server, startServer } from './server.ts';
import { debian, python, ready } from './toolchains/index.ts';

const CONFIG = `
[mqtt]
tls-listen = ["localhost:0"]
wss-listen = ["localhost:0"]
quic-listen = ["localhost:0"]
[kafka]
tls-listen = ["localhost:0"]
[nats]
wss-listen = ["localhost:0"]
[amqp]
tls-listen = ["localhost:0"]
[tls]
cert = ["FOLDER/server.pem", "FOLDER/other.pem"]
key = ["FOLDER/server.key", "FOLDER/other.key"]

[listeners.plant]
protocol = "mqtt"
transport = "tls"
listen = ["localhost:0"]
ca = "FOLDER/ca.pem"
crl = "FOLDER/crl.pem"
identity-user = "cn"
identity-client-id = "cn"

[listeners.slow]
protocol = "mqtt"
listen = ["localhost:0"]
authentication = "required"
connections-max = 50

[listeners.mounted]
protocol = "mqtt"
listen = ["localhost:0"]
mount-point = "tenants/\${clientid}"
packet-bytes-max = "2KiB"
wildcard-available = false
connect-rate = 2
connect-rate-action = "refuse"

[listeners.quic-few]
protocol = "mqtt"
transport = "quic"
listen = ["localhost:0"]
quic-streams-max = 4

[listeners.nats-first]
protocol = "nats"
transport = "tls"
listen = ["localhost:0"]
`;

const tools = await ready(debian);
const snakes = await ready(python);

describe('transports', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'robustmq-transports-'));
  const authority = new Authority(folder);
  authority.issue('other', '/CN=other.test', 'DNS:other.test');
  const robot = authority.issue('robot', '/CN=robot-7', 'DNS:robot');
  const revoked = authority.issue('revoked', '/CN=robot-8', 'DNS:robot');
  issueServer(authority);
  authority.revoke(revoked);
  let server: Server;
  const port = (name: string): number => (server.ports as Record<string, number>)[name]!;

  before(async () => {
    const config = path.join(folder, 'robustmq.toml');
    writeFileSync(config, CONFIG.replaceAll('FOLDER', folder));
    server = await startServer({ flags: ['--config', config] });
  });
  after(async () => {
    await server[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  const admin = async (method: string, route: string, body?: object): Promise<Response> => {
    const credentials = Buffer.from(`${ADMIN.user}:${ADMIN.password}`).toString('base64');
    return fetch(`http://${server.address('admin')}/api/v1${route}`, {
      method,
      headers: { authorization: `Basic ${credentials}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  };

  it('openssl sees the certificate of the name it asks for, and the protocol agreed on M153', async () => {
    for (const name of ['localhost', 'other.test']) {
      const shown = await handshake(port('mqtt-tls'), ['-servername', name, '-alpn', 'mqtt']);
      assert.match(shown, new RegExp(`subject=CN ?= ?${name}`));
      assert.match(shown, /ALPN protocol: mqtt/);
      assert.match(shown, /Verify return code: 0/);
    }
    assert.match(await handshake(port('mqtt-tls'), ['-tls1_2']), /TLSv1\.2/);
  });

  it('MQTT.js over TLS and over WebSocket with TLS M150 M151', async () => {
    const ca = authority.caText;
    for (const url of [
      `mqtts://localhost:${port('mqtt-tls')}`,
      `wss://localhost:${port('mqtt-wss')}/mqtt`,
    ]) {
      const client = await mqtt.connectAsync(url, { ca, protocolVersion: 5, reconnectPeriod: 0 });
      await client.subscribeAsync('t/#', { qos: 1 });
      const came = new Promise((resolve) => {
        client.once('message', (_topic, payload) => resolve(payload.toString()));
      });
      await client.publishAsync('t/x', url, { qos: 1 });
      assert.equal(await came, url);
      await client.endAsync();
    }
  });

  it('a listener with a mount point and limits of its own, with MQTT.js M150 M159', async () => {
    const own = { protocolVersion: 5, reconnectPeriod: 0 } as const;
    const at = (name: string): string => `mqtt://localhost:${port(name)}`;
    const outside = await mqtt.connectAsync(`mqtt://${server.address('mqtt')}`, own);
    const inside = await mqtt.connectAsync(at('mounted'), { ...own, clientId: 'a7' });
    const nextOf = (client: mqtt.MqttClient) =>
      new Promise<[string, string | undefined]>((resolve) => {
        client.once('message', (topic, _payload, packet) => {
          resolve([topic, packet.properties?.responseTopic]);
        });
      });
    await outside.subscribeAsync('tenants/#', { qos: 1 });
    await inside.subscribeAsync('state', { qos: 1 });
    const [seenOutside, seenInside] = [nextOf(outside), nextOf(inside)];
    const properties = { responseTopic: 'answers' };
    await inside.publishAsync('state', 'x', { qos: 1, retain: true, properties });
    assert.deepEqual(await seenOutside, ['tenants/a7/state', 'tenants/a7/answers']);
    assert.deepEqual(await seenInside, ['state', 'answers']);
    const told = new Promise((resolve) => {
      inside.once('disconnect', ({ reasonCode }) => resolve(reasonCode));
    });
    inside.subscribe('all/#', () => {});
    assert.equal(await told, 0xa2);
    await outside.publishAsync('tenants/a7/state', '', { qos: 1, retain: true });
    await outside.endAsync();
    const late = Array.from({ length: 4 }, () => mqtt.connectAsync(at('mounted'), own));
    const outcomes = await Promise.allSettled(late);
    const refused = outcomes.filter(({ status }) => status === 'rejected');
    assert.ok(refused.length >= 2);
    for (const outcome of outcomes) {
      if (outcome.status === 'fulfilled') await outcome.value.endAsync();
      else assert.match(String(outcome.reason), /Connection rate exceeded/);
    }
  });

  it('mosquitto_pub shows a certificate that names its user; a revoked one fails M153 M154', {
    skip: tools.missing ?? false,
  }, async () => {
    const password = { name: 'robot-7', password: 'never used' };
    assert.equal((await admin('POST', '/users', password)).status, 201);
    const to = ['-h', 'localhost', '-p', String(port('plant')), '--cafile', authority.ca];
    const who = ['--cert', robot.cert, '--key', robot.key, '-V', '5'];
    const subscriber = mosquittoSub([...to, ...who, '-t', 'plant/#', '-C', '1', '-d']);
    await subscriber.line((line) => /Subscribed/.test(line));
    const answer = await admin('GET', '/protocols/mqtt/connections');
    const { items } = (await answer.json()) as { items: Record<string, unknown>[] };
    const row = items.find(({ listener }) => listener === 'plant');
    assert.deepEqual([row?.['client'], row?.['user']], ['robot-7', 'robot-7']);
    const plain = ['-h', HOST, '-p', String(port('mqtt'))];
    await run('mosquitto_pub', [...plain, '-t', 'plant/a', '-m', 'hello']);
    assert.equal((await subscriber.end()).code, 0);
    const bad = ['--cert', revoked.cert, '--key', revoked.key];
    const args = [...to, ...bad, '-t', 'plant/a', '-m', 'x'];
    await assert.rejects(run('mosquitto_pub', args), /revoked|certificate/i);
  });

  it('a listener of the file asks everybody for credentials M150', {
    skip: tools.missing ?? false,
  }, async () => {
    const to = ['-h', HOST, '-p', String(port('slow')), '-t', 'a', '-m', 'b'];
    await assert.rejects(run('mosquitto_pub', to), /not authori[sz]ed/i);
    await run('mosquitto_pub', [...to, '-u', ADMIN.user, '-P', ADMIN.password]);
  });

  it('nats.js with the handshake first N45', async () => {
    const nc = await connectNats({
      servers: `localhost:${port('nats-first')}`,
      tls: { ca: authority.caText, handshakeFirst: true },
      reconnect: false,
    });
    await nc.flush();
    await nc.close();
  });

  describe('Python', { skip: snakes.missing ?? false }, () => {
    const quic = async (scenario: string, listener = 'mqtt-quic'): Promise<void> => {
      const where = ['localhost', String(port(listener)), authority.ca];
      await runPython(snakes.folder ?? '', 'quic_scenarios.py', [...where, scenario]);
    };

    it('MQTT over QUIC: 200 messages out and back in order, by ALPN mqtt M157', () =>
      quic('messages'));
    it('MQTT over QUIC: a message of 2 MiB, larger than every window M157', () => quic('large'));
    it('a QUIC client whose port changes under it goes on M157', () => quic('rebinding'));
    it('a QUIC client that moves on purpose goes on M157', () => quic('migration'));
    it('MQTT over QUIC: a stream for each topic M157', () => quic('streams'));
    it('a QUIC stream for each message, which ends behind it M157', () =>
      quic('stream_per_message'));
    it('streams of a QUIC client that moves go on M157', () => quic('moved_streams'));
    it('a QUIC stream that breaks ends the connection only when something is lost M157', () =>
      quic('broken_stream'));
    it('a QUIC client has as many streams as it may, and a new one when one has ended M157', () =>
      quic('too_many_streams', 'quic-few'));
    it('another protocol does not get into a QUIC listener M157', () => quic('foreign'));
    it('paho, confluent-kafka and pika over TLS M150 K9 A1', async () => {
      const ports = ['mqtt-tls', 'kafka-tls', 'amqp-tls'].map((name) => String(port(name)));
      await runPython(snakes.folder ?? '', 'tls_scenarios.py', [...ports, authority.ca]);
    });
  });

  it('new certificates are shown without a restart, and connections go on M153', async () => {
    const client = await mqtt.connectAsync(`mqtts://localhost:${port('mqtt-tls')}`, {
      ca: authority.caText,
      reconnectPeriod: 0,
    });
    const before = await handshake(port('mqtt-tls'), []);
    issueServer(authority);
    assert.equal((await admin('POST', '/tls/reload', {})).status, 200);
    const after = await handshake(port('mqtt-tls'), []);
    assert.notEqual(pemOf(before), pemOf(after));
    await client.publishAsync('still/here', 'x', { qos: 1 });
    await client.endAsync();
  });

  it('a ban sends the client away with its reason and keeps it out until it is lifted M178', async () => {
    const url = `mqtt://${server.address('mqtt')}`;
    const options = { clientId: 'rogue-1', protocolVersion: 5, reconnectPeriod: 0 } as const;
    const client = await mqtt.connectAsync(url, options);
    const told = new Promise<number | undefined>((resolve) => {
      client.once('disconnect', ({ reasonCode }) => resolve(reasonCode));
    });
    const ban = { kind: 'client-pattern', value: 'rogue-\\d+', reason: 'test', seconds: 600 };
    assert.equal((await admin('POST', '/bans', ban)).status, 201);
    assert.equal(await told, 0x98);
    await assert.rejects(mqtt.connectAsync(url, options), /Banned/);
    const value = encodeURIComponent(ban.value);
    assert.equal((await admin('DELETE', `/bans/client-pattern/${value}`)).status, 204);
    await (await mqtt.connectAsync(url, options)).endAsync();
  });

  it('draining tells every client where to go, in the words of its protocol M163 N40', async () => {
    const url = `mqtt://${server.address('mqtt')}`;
    const client = await mqtt.connectAsync(url, { protocolVersion: 5, reconnectPeriod: 0 });
    const told = new Promise<{ code?: number | undefined; reference?: string | undefined }>(
      (resolve) => {
        client.once('disconnect', ({ reasonCode, properties }) => {
          resolve({ code: reasonCode, reference: properties?.serverReference });
        });
      },
    );
    const nc = await connectNats({
      servers: server.address('nats'),
      tls: { ca: authority.caText },
      reconnect: false,
    });
    const lame = (async () => {
      for await (const { type } of nc.status()) if (type === 'ldm') return true;
      return false;
    })();
    const plan = { perSecond: 100, reference: 'b.example:1883' };
    assert.equal((await admin('POST', '/drain', plan)).status, 200);
    assert.deepEqual(await told, { code: 0x9c, reference: 'b.example:1883' });
    assert.equal(await lame, true);
    await nc.closed();
    await assert.rejects(mqtt.connectAsync(url, { reconnectPeriod: 0 }));
  });

  function handshake(to: number, more: readonly string[]): Promise<string> {
    const args = ['s_client', '-connect', `localhost:${to}`, '-CAfile', authority.ca, ...more];
    return run('openssl', args, { input: '' }).then(({ text }) => text);
  }
});

function issueServer(authority: Authority): Issued {
  return authority.issue('server', '/CN=localhost', 'DNS:localhost,IP:127.0.0.1,IP:::1');
}

function pemOf(text: string): string {
  return /-----BEGIN CERTIFICATE-----[^-]+/.exec(text)?.[0] ?? '';
}
