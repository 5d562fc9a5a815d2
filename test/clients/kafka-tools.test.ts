/**
 * Apache Kafka's own command-line tools, by class name. They are slow to start: few runs, much
 * each.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Program, run } from './program.ts';
import { type Server, startServer } from './server.ts';
import { FULL } from './tier.ts';
import { kafkaToolArguments, kafkaTools, ready } from './toolchains/index.ts';

const TOOL_TIMEOUT_MS = 60_000;
const { folder, missing } = await ready(kafkaTools);

describe("Apache Kafka's tools", { skip: missing ?? false }, () => {
  let server: Server;

  before(async () => {
    server = await startServer();
  });
  after(() => server[Symbol.asyncDispose]());

  function args(tool: string, rest: readonly string[]): string[] {
    const server_ = ['--bootstrap-server', server.address('kafka')];
    return [...kafkaToolArguments(folder ?? '', tool), ...server_, ...rest];
  }

  async function tool(name: string, rest: readonly string[], input = ''): Promise<string> {
    const { text } = await run('java', args(name, rest), { input, timeoutMs: TOOL_TIMEOUT_MS });
    return text;
  }

  it('kafka-topics creates, lists, describes, alters and deletes a topic K81 K85 K103 K119 K120 K137', async () => {
    const topic = ['--topic', 'tools.topic_1'];
    const shape = ['--partitions', '3', '--config', 'retention.ms=3600000'];
    assert.match(await tool('TopicCommand', ['--create', ...topic, ...shape]), /Created topic/);
    assert.deepEqual((await tool('TopicCommand', ['--list'])).trim().split('\n'), [
      'tools.topic_1',
    ]);
    const described = await tool('TopicCommand', ['--describe', ...topic]);
    assert.match(described, /PartitionCount: 3\s+ReplicationFactor: 1/);
    assert.match(described, /retention\.ms=3600000/);
    assert.match(described, /Partition: 2\s+Leader: 0\s+Replicas: 0\s+Isr: 0/);
    await tool('TopicCommand', ['--alter', ...topic, '--partitions', '5']);
    const altered = await tool('TopicCommand', ['--describe', ...topic]);
    assert.match(altered, /PartitionCount: 5/);
    await tool('TopicCommand', ['--delete', ...topic]);
    assert.doesNotMatch(await tool('TopicCommand', ['--list']), /tools\.topic_1/);
  });

  it('the console producer and consumer carry keys, headers and lines K85 K100 K101 K200', async () => {
    const properties = ['--reader-property', 'parse.key=true', '--reader-property'];
    const produced = [...properties, 'parse.headers=true', '--topic', 'tools.lines'];
    const lines = Array.from({ length: 100 }, (_, n) => `h1:a,h2:b\tkey ${n}\tvalue ${n}`);
    await tool('ConsoleProducer', produced, `${lines.join('\n')}\n`);
    const shown = ['print.key', 'print.headers', 'print.offset', 'print.partition'];
    const formats = shown.flatMap((name) => ['--formatter-property', `${name}=true`]);
    const reading = ['--topic', 'tools.lines', '--from-beginning', '--max-messages', '100'];
    const text = await tool('consumer.ConsoleConsumer', [...reading, ...formats]);
    const wanted = lines.map((_, n) => `Partition:0\tOffset:${n}\th1:a,h2:b\tkey ${n}\tvalue ${n}`);
    assert.deepEqual(text.trim().split('\n'), wanted);
  });

  it('the console consumer reads one partition from the beginning while records come K30', async () => {
    await tool('ConsoleProducer', ['--topic', 'tools.partition'], 'before\n');
    const reading = ['--topic', 'tools.partition', '--partition', '0', '--from-beginning'];
    const reader = new Program('java', args('consumer.ConsoleConsumer', reading));
    await reader.line((line) => line === 'before', TOOL_TIMEOUT_MS);
    await tool('ConsoleProducer', ['--topic', 'tools.partition'], 'during\n');
    await reader.line((line) => line === 'during', TOOL_TIMEOUT_MS);
    await reader.kill('SIGTERM');
  });

  it('a group of the console consumer goes on where it stopped; kafka-consumer-groups shows it K63 K85 K115 K116', async () => {
    await tool('ConsoleProducer', ['--topic', 'tools.group'], 'one\ntwo\nthree\n');
    const group = ['--topic', 'tools.group', '--group', 'tools-readers'];
    const first = ['--from-beginning', '--max-messages', '2'];
    assert.equal(await tool('consumer.ConsoleConsumer', [...group, ...first]), 'one\ntwo\n');
    const described = ['--describe', '--group', 'tools-readers'];
    const offsets = await tool('consumer.group.ConsumerGroupCommand', described);
    assert.match(offsets, /tools-readers\s+tools\.group\s+0\s+2\s+3\s+1/);
    const second = await tool('consumer.ConsoleConsumer', [...group, '--max-messages', '1']);
    assert.equal(second, 'three\n');
    const listed = await tool('consumer.group.ConsumerGroupCommand', ['--list']);
    assert.match(listed, /^tools-readers$/m);
  });

  it('kafka-broker-api-versions is answered with a range for every API K2 K118', async () => {
    const text = await tool('BrokerApiVersionsCommand', []);
    assert.match(text, /Produce\(0\): 0 to \d+ \[usable: \d+\]/);
    assert.match(text, /Fetch\(1\): \d+ to \d+ \[usable: \d+\]/);
  });

  it('kafka-get-offsets tells the ends of a topic K102', async () => {
    await tool('ConsoleProducer', ['--topic', 'tools.offsets'], 'one\ntwo\n');
    const latest = await tool('GetOffsetShell', ['--topic', 'tools.offsets']);
    assert.equal(latest.trim(), 'tools.offsets:0:2');
  });

  if (FULL) {
    it('the performance tools move 50 000 records K85', async () => {
      const shape = ['--num-records', '50000', '--record-size', '200', '--throughput', '-1'];
      const topic = ['--topic', 'tools.performance'];
      const produced = await tool('ProducerPerformance', [...topic, ...shape]);
      assert.match(produced, /50000 records sent/);
      await tool('ConsumerPerformance', [...topic, '--num-records', '50000', '--timeout', '30000']);
    });
  }
});
