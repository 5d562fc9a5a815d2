/** mosquitto_pub, mosquitto_sub and mosquitto_rr, unmodified, in all three versions of MQTT. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import mqtt from 'mqtt';
import { mosquittoSub, Program, run } from './program.ts';
import { ADMIN, HOST, type Server, startServer } from './server.ts';
import { debian, ready } from './toolchains/index.ts';

const VERSIONS = ['mqttv31', 'mqttv311', 'mqttv5'] as const;
const { missing } = await ready(debian);

describe('mosquitto-clients', { skip: missing ?? false }, () => {
  let server: Server;
  const to = () => ['-h', HOST, '-p', String(server.ports.mqtt)];
  const publish = (args: readonly string[], input?: string) =>
    run('mosquitto_pub', [...to(), ...args], input === undefined ? {} : { input });

  /** A mosquitto_sub whose subscription the server has confirmed. */
  async function subscriber(args: readonly string[]): Promise<Program> {
    const program = mosquittoSub([...to(), '-d', ...args]);
    await program.line((line) => line.includes('received SUBACK'));
    return program;
  }

  before(async () => {
    server = await startServer();
  });
  after(() => server[Symbol.asyncDispose]());

  for (const version of VERSIONS) {
    for (const qos of ['0', '1', '2']) {
      it(`${version} carries a message at QoS ${qos} [MQTT-4.3.${Number(qos) + 1}] M71 M76 R63`, async () => {
        const topic = `mosquitto/${version}/qos${qos}`;
        const args = ['-V', version, '-t', topic, '-q', qos];
        const reader = await subscriber([...args, '-C', '1', '-F', '%t|%q|%p']);
        await publish([...args, '-m', `hello ${qos}`]);
        await reader.line((line) => line === `${topic}|${qos}|hello ${qos}`);
        assert.equal((await reader.end()).code, 0);
      });
    }

    it(`${version} gets a retained message when it subscribes, until an empty one removes it [MQTT-3.3.1-5] M112 M115`, async () => {
      const topic = `mosquitto/${version}/state`;
      const args = ['-V', version, '-t', topic, '-q', '1'];
      await publish([...args, '-r', '-m', 'on']);
      const first = await run('mosquitto_sub', [...to(), ...args, '-C', '1', '-F', '%r %p']);
      assert.equal(first.text.trim(), '1 on');
      await publish([...args, '-r', '-n']);
      await publish([...args, '-r', '-t', `${topic}/marker`, '-m', 'end']);
      const filter = ['-V', version, '-t', `${topic}/#`, '-q', '1'];
      const second = await run('mosquitto_sub', [...to(), ...filter, '-C', '1', '-F', '%p']);
      assert.equal(second.text.trim(), 'end');
    });

    it(`${version} keeps a session and gets what came while it was away [MQTT-3.1.2-4] M27 M89`, async () => {
      const topic = `mosquitto/${version}/away`;
      const session = ['-V', version, '-i', `keeper-${version}`, '-c', '-q', '1', '-t', topic];
      await run('mosquitto_sub', [...to(), ...session, '-E']);
      for (const text of ['one', 'two', 'three']) {
        await publish(['-V', version, '-t', topic, '-q', '1', '-m', text]);
      }
      const back = await run('mosquitto_sub', [...to(), ...session, '-C', '3']);
      assert.deepEqual(back.text.trim().split('\n'), ['one', 'two', 'three']);
    });
  }

  it('a will is published when the client dies without a DISCONNECT [MQTT-3.1.2-8] M34', async () => {
    const reader = await subscriber(['-t', 'mosquitto/will', '-q', '2', '-C', '1', '-F', '%q %p']);
    const will = ['--will-topic', 'mosquitto/will', '--will-payload', 'gone', '--will-qos', '2'];
    const mortal = await subscriber(['-t', 'mosquitto/nothing', ...will]);
    await mortal.kill('SIGKILL');
    await reader.line((line) => line === '2 gone');
  });

  it('a clean DISCONNECT drops the will [MQTT-3.14.4-3] M122', async () => {
    const reader = await subscriber(['-t', 'mosquitto/peace/#', '-q', '1', '-C', '1', '-F', '%p']);
    const will = ['--will-topic', 'mosquitto/peace/will', '--will-payload', 'gone'];
    await run('mosquitto_sub', [...to(), '-t', 'mosquitto/nothing', ...will, '-E']);
    await publish(['-t', 'mosquitto/peace/marker', '-m', 'end']);
    const { text } = await reader.end();
    assert.match(text, /^end$/m);
    assert.doesNotMatch(text, /^gone$/m);
  });

  it('wildcards match as the specification says, # with its parent [MQTT-4.7.1] M104', async () => {
    const filters = ['-t', 'w/+/c', '-t', 'p/#'];
    const reader = await subscriber([...filters, '-q', '1', '-C', '4', '-F', '%t']);
    for (const topic of ['w/b/c', 'w/b/d', 'w//c', 'p', 'px', 'p/q/r']) {
      await publish(['-t', topic, '-q', '1', '-m', 'x']);
    }
    const { text } = await reader.end();
    const seen = text.split('\n').filter((line) => /^[wp]/.test(line));
    assert.deepEqual(seen, ['w/b/c', 'w//c', 'p', 'p/q/r']);
  });

  it('version 5 properties reach the subscriber unchanged and in order [MQTT-3.3.2-17] M10 M65', async () => {
    const format = '%C|%D|%R|%F|%P';
    const reader = await subscriber([
      ...['-V', 'mqttv5', '-t', 'mosquitto/props', '-q', '1', '-C', '1', '-F', format],
    ]);
    const properties = [
      ...['-D', 'publish', 'content-type', 'text/plain'],
      ...['-D', 'publish', 'correlation-data', 'c-1'],
      ...['-D', 'publish', 'response-topic', 'answers/here'],
      ...['-D', 'publish', 'payload-format-indicator', '1'],
      ...['-D', 'publish', 'user-property', 'b', '2'],
      ...['-D', 'publish', 'user-property', 'a', '1'],
    ];
    await publish(['-V', 'mqttv5', '-t', 'mosquitto/props', '-q', '1', '-m', 'x', ...properties]);
    const line = await reader.line((text) => text.startsWith('text/plain|'));
    assert.equal(line, 'text/plain|c-1|answers/here|1|b:2 a:1');
  });

  it('mosquitto_rr gets the answer on its response topic with its correlation data X24', async () => {
    const responder = await mqtt.connectAsync(`mqtt://${server.address('mqtt')}`, {
      protocolVersion: 5,
    });
    responder.on('message', (_topic, payload, packet) => {
      const { responseTopic, correlationData } = packet.properties ?? {};
      if (responseTopic === undefined) return;
      const properties = correlationData === undefined ? {} : { correlationData };
      responder.publish(responseTopic, `answer to ${payload}`, { qos: 1, properties });
    });
    await responder.subscribeAsync('mosquitto/service', { qos: 1 });
    const exchange = ['-t', 'mosquitto/service', '-e', 'mosquitto/answers', '-q', '1'];
    const { text } = await run('mosquitto_rr', [
      ...to(),
      ...exchange,
      '-m',
      'question',
      '-W',
      '10',
    ]);
    assert.equal(text.trim(), 'answer to question');
    await responder.endAsync();
  });

  it('a binary message of 1 MiB arrives byte by byte M15', async () => {
    const bytes = randomBytes(1024 * 1024);
    const file = path.join(server.dataDir, '..', `${path.basename(server.dataDir)}.bin`);
    await writeFile(file, bytes);
    const reading = ['-t', 'mosquitto/large', '-q', '2', '-C', '1', '-F', '%x'];
    const program = mosquittoSub([...to(), ...reading, '-d']);
    await program.line((line) => line.includes('received SUBACK'));
    await publish(['-t', 'mosquitto/large', '-q', '2', '-f', file]);
    const { text } = await program.end();
    assert.ok(text.includes(bytes.toString('hex')));
  });

  it('5000 lines at QoS 1 arrive complete and in order [MQTT-4.6.0-6] M80', async () => {
    const lines = Array.from({ length: 5000 }, (_, index) => `line ${index}`);
    const reader = await subscriber(['-t', 'mosquitto/lines', '-q', '1', '-C', '5000']);
    await publish(['-t', 'mosquitto/lines', '-q', '1', '-l'], lines.join('\n'));
    const { text } = await reader.end(60_000);
    assert.deepEqual(
      text.split('\n').filter((line) => line.startsWith('line ')),
      lines,
    );
  });

  it('the user admin with its password is let in from loopback M39', async () => {
    await publish(['-u', ADMIN.user, '-P', ADMIN.password, '-t', 'mosquitto/user', '-m', 'x']);
  });

  for (const [version, code] of [
    ['mqttv311', 5],
    ['mqttv5', 134],
  ] as const) {
    it(`a wrong password is refused in ${version} with the right code [MQTT-3.2.2-7] M48`, async () => {
      const args = ['-V', version, '-u', ADMIN.user, '-P', 'wrong', '-t', 'x', '-m', 'x'];
      const refused = await new Program('mosquitto_pub', [...to(), ...args]).end();
      const accepted = version === 'mqttv311' ? [4, code] : [code];
      assert.ok(accepted.includes(refused.code ?? -1), `exit code ${refused.code}`);
    });
  }
});
