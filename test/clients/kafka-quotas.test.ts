/**
 * Quotas with Kafka's own tools: made, told and removed by kafka-configs, felt by a producer, and
 * by MQTT.js.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import mqtt from 'mqtt';
import { run } from './program.ts';
import { ADMIN, type Server, startServer } from './server.ts';
import { FULL } from './tier.ts';
import { kafkaToolArguments, kafkaTools, ready } from './toolchains/index.ts';

const TOOL_TIMEOUT_MS = 60_000;
const BYTES_PER_SECOND = 500_000;
const tools = await ready(kafkaTools);

// Nine starts of a Java program: in the full tier only.
if (FULL) {
  describe("Kafka's tools for quotas", { skip: tools.missing ?? false }, () => {
    let server: Server;
    let folder: string;
    let config: string;
    before(async () => {
      server = await startServer();
      folder = await mkdtemp(path.join(tmpdir(), 'kafka-quotas-'));
      config = path.join(folder, 'admin.properties');
      const login =
        'org.apache.kafka.common.security.plain.PlainLoginModule required ' +
        `username="${ADMIN.user}" password="${ADMIN.password}";`;
      await writeFile(
        config,
        `security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.jaas.config=${login}\n`,
      );
    });
    after(async () => {
      await server[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    });

    async function tool(name: string, rest: readonly string[]): Promise<string> {
      const to = ['--bootstrap-server', server.address('kafka'), '--command-config', config];
      const start = kafkaToolArguments(tools.folder ?? '', name);
      // One of them has stayed in the server's own packages.
      if (name.startsWith('kafka.')) start.splice(-1, 1, name);
      const args = [...start, ...to, ...rest];
      return (await run('java', args, { timeoutMs: TOOL_TIMEOUT_MS })).text;
    }
    const configs = (...rest: string[]) => tool('kafka.admin.ConfigCommand', rest);
    const user = ['--entity-type', 'users', '--entity-name', ADMIN.user];
    const client = ['--entity-type', 'clients', '--entity-name', 'app'];

    it('kafka-configs sets, shows and removes quotas of users, clients and addresses K79 K85 K148 K149', async () => {
      const set = ['--alter', '--add-config', 'consumer_byte_rate=2048,request_percentage=50.5'];
      await configs(...user, ...client, ...set);
      const told = await configs(...user, ...client, '--describe');
      assert.match(told, /user-principal 'admin', client-id 'app' are .*consumer_byte_rate=2048/);
      assert.match(told, /request_percentage=50\.5/);
      const ip = ['--entity-type', 'ips', '--entity-name', '192.0.2.1'];
      await configs(...ip, '--alter', '--add-config', 'connection_creation_rate=7');
      assert.match(await configs(...ip, '--describe'), /connection_creation_rate=7/);
      await configs(...user, ...client, '--alter', '--delete-config', 'consumer_byte_rate');
      const rest = await configs(...user, ...client, '--describe');
      assert.doesNotMatch(rest, /consumer_byte_rate/);
    });

    it('a quota of a user holds for MQTT.js, and its end frees who waits K79 X33', async () => {
      const quota = 'producer_byte_rate';
      await configs(...user, '--alter', '--add-config', `${quota}=1`);
      const publisher = await mqtt.connectAsync(`mqtt://${server.address('mqtt')}`, {
        username: ADMIN.user,
        password: ADMIN.password,
        protocolVersion: 5,
      });
      const body = Buffer.alloc(5000);
      await publisher.publishAsync('quota', body, { qos: 1 });
      // Hours are to be paid for the first; the second is not read.
      const order: string[] = [];
      const second = publisher.publishAsync('quota', body, { qos: 1 });
      const acked = second.then(() => order.push('acknowledged'));
      assert.match(await configs(...user, '--describe'), /producer_byte_rate=1/);
      order.push('removed');
      await configs(...user, '--alter', '--delete-config', quota);
      await acked;
      assert.deepEqual(order, ['removed', 'acknowledged']);
      await publisher.endAsync();
    });

    it('a Java producer is slowed to its quota, and says so K11 K79 K200', async () => {
      const quota = `producer_byte_rate=${BYTES_PER_SECOND}`;
      await configs('--entity-type', 'users', '--entity-default', '--alter', '--add-config', quota);
      const shape = ['--num-records', '1500', '--record-size', '1000', '--throughput', '-1'];
      const began = performance.now();
      const text = await tool('ProducerPerformance', [
        ...['--topic', 'quotas', ...shape, '--print-metrics'],
        ...['--command-property', 'batch.size=16384'],
      ]);
      const seconds = (performance.now() - began) / 1000;
      assert.match(text, /1500 records sent/);
      // The first second's bytes are there at once; the wait for the last request is no send.
      assert.ok(seconds > 1.5, `it took ${seconds} s`);
      const throttled = /produce-throttle-time-max\S*\s*:\s*([\d.]+)/.exec(text);
      assert.ok(Number(throttled?.[1]) > 0, text);
    });
  });
}
