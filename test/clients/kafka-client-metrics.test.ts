/**
 * Metrics that clients push (KIP-714): the Java client pushes by default, and Kafka's own tools say
 * what is wanted (programs/java/ClientMetrics.java).
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { AdminClient } from '../../src/cli/admin-client.ts';
import { run } from './program.ts';
import { ADMIN, type Server, startServer } from './server.ts';
import { FULL } from './tier.ts';
import { kafkaToolArguments, kafkaTools, ready } from './toolchains/index.ts';

const TIMEOUT_MS = 120_000;
const PROGRAM = path.join(import.meta.dirname, 'programs/java/ClientMetrics.java');
const LIST = '/api/v1/protocols/kafka/client-metrics';

if (FULL) {
  const { folder, missing } = await ready(kafkaTools);

  describe('metrics of Kafka clients', { skip: missing ?? false }, () => {
    let server: Server;
    let files: string;
    before(async () => {
      server = await startServer();
      files = await mkdtemp(path.join(tmpdir(), 'robustmq-client-metrics-'));
      const properties = [
        'security.protocol=SASL_PLAINTEXT',
        'sasl.mechanism=PLAIN',
        'sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required ' +
          `username="${ADMIN.user}" password="${ADMIN.password}";`,
      ];
      await writeFile(path.join(files, 'admin.properties'), properties.join('\n'));
    });
    after(async () => {
      await rm(files, { recursive: true, force: true });
      await server[Symbol.asyncDispose]();
    });

    const url = () => `http://${server.address('admin')}`;

    async function tool(name: string, rest: readonly string[]): Promise<string> {
      const java = kafkaToolArguments(folder ?? '', name);
      if (name.startsWith('kafka.')) java[java.length - 1] = name;
      const login = ['--command-config', path.join(files, 'admin.properties')];
      const at = ['--bootstrap-server', server.address('kafka'), ...login];
      return (await run('java', [...java, ...at, ...rest], { timeoutMs: TIMEOUT_MS })).text;
    }

    it('producer, consumer and admin of Java push what they do, and know their ids K82 K171 K172 K200 K201 K203', async () => {
      const jvm = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xmx256m'];
      const login = [ADMIN.user, ADMIN.password, `${url()}${LIST}`];
      const program = ['-cp', path.join(folder ?? '', '*'), PROGRAM, server.address('kafka')];
      const options = { timeoutMs: TIMEOUT_MS };
      const { text } = await run('java', [...jvm, ...program, ...login], options);
      const lines = text.trim().split('\n');
      assert.equal(lines.at(-1), 'done');
      const ids = lines.flatMap(
        (line) => /^(?:admin|producer|consumer) ([0-9a-f-]{36})$/.exec(line)?.[1] ?? [],
      );
      assert.equal(new Set(ids).size, 3, text);
      // Who closes may push once more, and is not shown then; others are for a while.
      for (const row of await new AdminClient({ url: url(), ...ADMIN }).list(LIST)) {
        const { instance, client, software } = row as Readonly<Record<string, string>>;
        assert.ok(ids.includes(instance!) && client!.startsWith('metrics-'), `${client}`);
        assert.match(software!, /^apache-kafka-java \d/);
      }
      const metrics = await (await fetch(`${url()}/metrics`)).text();
      const pushes = /^robustmq_kafka_client_metrics_pushes_total (\d+)$/m.exec(metrics)?.[1];
      assert.ok(Number(pushes) >= 6, `pushes: ${pushes}`);
      assert.match(metrics, /^robustmq_kafka_client_metrics_dropped_total 0$/m);
    });

    it('kafka-client-metrics and kafka-configs set, show, list and delete subscriptions K80 K82 K85 K174', async () => {
      const name = ['--name', 'tools'];
      const wanted = ['--metrics', 'org.apache.kafka.producer.', '--interval', '60000'];
      const match = ['--match', 'client_id=app-.*,client_source_address=10\\..*'];
      await tool('ClientMetricsCommand', ['--alter', ...name, ...wanted, ...match]);
      const described = await tool('ClientMetricsCommand', ['--describe', ...name]);
      assert.match(described, /interval\.ms=60000/);
      assert.match(described, /match=client_id=app-\.\*,client_source_address=10\\\.\.\*/);
      assert.match(await tool('ClientMetricsCommand', ['--list']), /^tools$/m);
      const entity = ['--entity-type', 'client-metrics', '--entity-name', 'tools'];
      const set = ['--alter', '--add-config', 'interval.ms=30000'];
      await tool('kafka.admin.ConfigCommand', [...entity, ...set]);
      const shown = await tool('kafka.admin.ConfigCommand', [...entity, '--describe']);
      assert.match(shown, /interval\.ms=30000 .*DYNAMIC_CLIENT_METRICS_CONFIG:interval\.ms=30000/);
      await tool('ClientMetricsCommand', ['--delete', ...name]);
      assert.doesNotMatch(await tool('ClientMetricsCommand', ['--list']), /^tools$/m);
    });
  });
}
