/**
 * Kafka Connect in distributed mode with its file connectors: lines go from a file to a topic to a
 * file, and the worker and the broker are stopped and killed on the way.
 */
import assert from 'node:assert/strict';
import { appendFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ConnectWorker, linesOf } from './connect-worker.ts';
import { Jvm } from './jvm.ts';
import { KafkaRecords, type Seen } from './kafka-records.ts';
import { type Server, startServer } from './server.ts';
import { FULL } from './tier.ts';
import { kafkaPrograms, ready } from './toolchains/index.ts';

const PATIENCE_MS = 90_000;
const PART = 500;
/**
 * For small batches lines are long: the connector, when a batch is full, leaves whole lines in its
 * buffer until the file grows again, and two of this length do not fit into it.
 */
const FILLER = '.'.repeat(1_500);
const BATCH_LINES = 10;
const TOPIC = 'connect.lines';

const numbered = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, n) => `line ${from + n}`);
const text = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('');
const values = (seen: readonly Seen[]): (string | null)[] => seen.map(({ value }) => value);

if (FULL) {
  const { folder, missing } = await ready(kafkaPrograms);

  describe('Kafka Connect', { skip: missing ?? false }, () => {
    let jvm: Jvm;
    let server: Server;
    let kafka: KafkaRecords;
    let worker: ConnectWorker;
    let input: string;
    let output: string;

    before(async () => {
      jvm = await Jvm.open(folder ?? '');
      server = await startServer();
      kafka = new KafkaRecords(server.address('kafka'));
      input = path.join(jvm.folder, 'in');
      output = path.join(jvm.folder, 'out');
    });
    after(async () => {
      await jvm[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    });

    async function start(): Promise<void> {
      const brokers = server.address('kafka');
      worker = await ConnectWorker.start({ jvm, brokers, group: 'workers' });
    }

    const source = () => ({ 'connector.class': 'FileStreamSource', topic: TOPIC, file: input });
    const sink = () => ({ 'connector.class': 'FileStreamSink', topics: TOPIC, file: output });

    /** Every line up to `count` is there; how often the last kill let them repeat is not asked. */
    async function arrived(count: number): Promise<readonly string[]> {
      const all = (lines: readonly string[]): boolean => new Set(lines).size >= count;
      const lines = await jvm.watch(linesOf(output, all, PATIENCE_MS));
      assert.deepEqual([...new Set(lines)], numbered(0, count));
      return lines;
    }

    it('a worker makes its topics, and lines go from file to topic to file K86 K210', async () => {
      await kafka.create(1, [TOPIC]);
      await appendFile(input, text(numbered(0, PART)));
      await start();
      await worker.ask('PUT', '/connectors/source/config', source());
      await worker.ask('PUT', '/connectors/sink/config', sink());
      assert.deepEqual(await arrived(PART), numbered(0, PART));
      for (const kind of ['configs', 'offsets', 'statuss']) {
        const configs = await kafka.configs(`workers-${kind}`);
        assert.equal(configs['cleanup.policy'], 'compact');
      }
    });

    it('its HTTP API tells of connectors, tasks and topics K86', async () => {
      assert.deepEqual(((await worker.ask('GET', '/connectors')) as string[]).sort(), [
        'sink',
        'source',
      ]);
      const state = { state: 'RUNNING', worker_id: worker.id };
      const status = await worker.ask('GET', '/connectors/sink/status');
      const { connector, tasks } = status as { connector: object; tasks: object[] };
      assert.partialDeepStrictEqual(connector, state);
      assert.partialDeepStrictEqual(tasks, [{ id: 0, ...state }]);
      const topics = { sink: { topics: [TOPIC] } };
      assert.deepEqual(await worker.ask('GET', '/connectors/sink/topics'), topics);
    });

    it('after a clean stop a worker goes on where it stopped K63 K86', async () => {
      await worker.program.kill('SIGTERM');
      await appendFile(input, text(numbered(PART, 2 * PART)));
      await start();
      assert.deepEqual(await arrived(2 * PART), numbered(0, 2 * PART));
    });

    it('after a kill of the worker, and of the broker, nothing is lost K72 K86', async () => {
      await worker.program.kill();
      await appendFile(input, text(numbered(2 * PART, 3 * PART)));
      await start();
      await arrived(3 * PART);
      await server.kill();
      await appendFile(input, text(numbered(3 * PART, 4 * PART)));
      await server.start();
      await arrived(4 * PART);
    });

    it('offsets of a stopped connector are shown and reset K86 K142', async () => {
      const before = (await linesOf(output, () => true, PATIENCE_MS)).length;
      const { high } = await kafka.admin(async (admin) => {
        const [only] = await admin.fetchTopicOffsets(TOPIC);
        return only ?? { high: '0' };
      });
      await worker.ask('PUT', '/connectors/sink/stop');
      const { offsets } = (await worker.ask('GET', '/connectors/sink/offsets')) as {
        offsets: readonly object[];
      };
      const at = { kafka_topic: TOPIC, kafka_partition: 0 };
      assert.deepEqual(offsets, [{ partition: at, offset: { kafka_offset: Number(high) } }]);
      await worker.ask('DELETE', '/connectors/sink/offsets');
      await worker.ask('PUT', '/connectors/sink/resume');
      const again = (lines: readonly string[]): boolean => lines.length >= before + Number(high);
      await jvm.watch(linesOf(output, again, PATIENCE_MS));
      for (const name of ['sink', 'source']) await worker.ask('DELETE', `/connectors/${name}`);
      assert.deepEqual(await worker.ask('GET', '/connectors'), []);
      await worker.program.kill('SIGTERM');
    });
  });

  describe('Kafka Connect with exactly-once sources', { skip: missing ?? false }, () => {
    it('each line comes once, over a kill of its worker and of the broker K69 K71 K72 K86', async () => {
      await using jvm = await Jvm.open(folder ?? '');
      await using server = await startServer();
      const kafka = new KafkaRecords(server.address('kafka'));
      const configs = { 'exactly.once.source.support': 'enabled' };
      const options = { jvm, brokers: server.address('kafka'), group: 'exact', configs };
      const workers = await Promise.all([
        ConnectWorker.start(options),
        ConnectWorker.start(options),
      ]);
      const file = path.join(jvm.folder, 'in');
      const all = numbered(0, 4 * PART).map((line) => `${line} ${FILLER}`);
      await appendFile(file, text(all.slice(0, 2 * PART)));
      await kafka.create(1, [TOPIC]);
      const source = {
        'connector.class': 'FileStreamSource',
        topic: TOPIC,
        file,
        'batch.size': `${BATCH_LINES}`,
        'exactly.once.support': 'required',
      };
      await workers[0].ask('PUT', '/connectors/source/config', source);
      const until = (count: number): Promise<readonly Seen[]> =>
        jvm.watch(kafka.read(TOPIC, (seen) => seen.length >= count, PATIENCE_MS));
      await until(PART);
      const { tasks } = (await workers[0].ask('GET', '/connectors/source/status')) as {
        tasks: readonly { worker_id: string }[];
      };
      const owner = workers.find(({ id }) => id === tasks[0]?.worker_id);
      assert.ok(owner !== undefined, JSON.stringify(tasks));
      await owner.program.kill();
      await until(2 * PART);
      await appendFile(file, text(all.slice(2 * PART)));
      await until(3 * PART);
      await server.kill();
      await server.start();
      await until(4 * PART);
      const seen = await kafka.all(TOPIC, PATIENCE_MS);
      assert.deepEqual(values(seen), all);
    });
  });
}
