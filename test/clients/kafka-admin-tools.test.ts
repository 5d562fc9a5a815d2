/**
 * Apache Kafka's administrative tools, each once, with what it prints. They are slow to start: few
 * runs, much each.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Program, run } from './program.ts';
import { ADMIN, type Server, startServer } from './server.ts';
import { FULL } from './tier.ts';
import { kafkaToolArguments, kafkaTools, ready } from './toolchains/index.ts';

const TOOL_TIMEOUT_MS = 60_000;
const { folder, missing } = await ready(kafkaTools);

describe("Apache Kafka's administrative tools", { skip: missing ?? false }, () => {
  let server: Server;
  let files: string;
  /** Who changes the cluster must be known. */
  const asAdmin = ['--command-config', ''];

  before(async () => {
    server = await startServer();
    files = await mkdtemp(path.join(tmpdir(), 'robustmq-tools-'));
    const properties = [
      'security.protocol=SASL_PLAINTEXT',
      'sasl.mechanism=PLAIN',
      'sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required ' +
        `username="${ADMIN.user}" password="${ADMIN.password}";`,
    ];
    asAdmin[1] = path.join(files, 'admin.properties');
    await writeFile(asAdmin[1], properties.join('\n'));
  });
  after(async () => {
    await rm(files, { recursive: true, force: true });
    await server[Symbol.asyncDispose]();
  });

  /** Arguments of a tool, by the name of its class. */
  function args(name: string, rest: readonly string[]): string[] {
    const java = kafkaToolArguments(folder ?? '', name);
    // Some tools live in other packages than most.
    if (name.startsWith('kafka.')) java[java.length - 1] = name;
    return [...java, '--bootstrap-server', server.address('kafka'), ...rest];
  }

  async function tool(name: string, rest: readonly string[], input = ''): Promise<string> {
    const { text } = await run('java', args(name, rest), { input, timeoutMs: TOOL_TIMEOUT_MS });
    return text;
  }

  async function jsonFile(value: unknown): Promise<string> {
    const file = path.join(files, 'input.json');
    await writeFile(file, JSON.stringify(value));
    return file;
  }

  it('the console consumer speaks the consumer protocol; its group is described and deleted K64 K85 K201', async () => {
    await tool('ConsoleProducer', ['--topic', 'admin.group'], 'one\ntwo\nthree\n');
    const reading = [
      ...['--topic', 'admin.group', '--group', 'modern', '--from-beginning'],
      ...['--consumer-property', 'group.protocol=consumer'],
    ];
    const reader = new Program('java', args('consumer.ConsoleConsumer', reading));
    try {
      await reader.line((line) => line === 'three', TOOL_TIMEOUT_MS);
      const listed = await tool('GroupsCommand', ['--list']);
      assert.match(listed, /modern\s+Consumer\s+consumer/);
      const group = ['--describe', '--group', 'modern'];
      const state = await tool('consumer.group.ConsumerGroupCommand', [...group, '--state']);
      assert.match(state, /modern\s+.*uniform\s+Stable\s+1/);
      const members = [...group, '--members', '--verbose'];
      const shown = await tool('consumer.group.ConsumerGroupCommand', members);
      assert.match(shown, /admin\.group:0/);
    } finally {
      await reader.kill('SIGTERM');
    }
    const rest = ['--delete', '--group', 'modern'];
    assert.match(await tool('consumer.group.ConsumerGroupCommand', rest), /was successful/);
  });

  it('kafka-configs sets, shows and removes configs of topics and groups K67 K80 K85', async () => {
    await tool('TopicCommand', ['--create', '--topic', 'admin.configs']);
    const topic = ['--entity-type', 'topics', '--entity-name', 'admin.configs'];
    const set = ['--alter', '--add-config', 'retention.ms=60000,cleanup.policy=[compact,delete]'];
    assert.match(await tool('kafka.admin.ConfigCommand', [...topic, ...set]), /Completed updating/);
    const described = await tool('kafka.admin.ConfigCommand', [...topic, '--describe']);
    assert.match(described, /retention\.ms=60000 .*DYNAMIC_TOPIC_CONFIG:retention\.ms=60000/);
    assert.match(described, /cleanup\.policy=compact,delete/);
    const group = ['--entity-type', 'groups', '--entity-name', 'a-group'];
    const longer = ['--alter', '--add-config', 'consumer.session.timeout.ms=50000'];
    await tool('kafka.admin.ConfigCommand', [...group, ...longer]);
    const kept = await tool('kafka.admin.ConfigCommand', [...group, '--describe']);
    assert.match(kept, /consumer\.session\.timeout\.ms=50000 .*DYNAMIC_GROUP_CONFIG/);
    const removed = ['--alter', '--delete-config', 'consumer.session.timeout.ms'];
    await tool('kafka.admin.ConfigCommand', [...group, ...removed]);
    const brokers = await tool('kafka.admin.ConfigCommand', [
      ...['--entity-type', 'brokers', '--entity-name', '0', '--describe', '--all'],
    ]);
    assert.match(brokers, /group\.coordinator\.rebalance\.protocols=classic,consumer/);
  });

  it('kafka-delete-records, kafka-log-dirs and kafka-get-offsets agree on a partition K85 K121 K135', async () => {
    await tool('ConsoleProducer', ['--topic', 'admin.records'], 'one\ntwo\nthree\n');
    const partitions = [{ topic: 'admin.records', partition: 0, offset: 2 }];
    const file = await jsonFile({ partitions, version: 1 });
    const deleted = await tool('DeleteRecordsCommand', ['--offset-json-file', file]);
    assert.match(deleted, /low_watermark: 2/);
    const earliest = ['--topic', 'admin.records', '--time', 'earliest'];
    assert.match(await tool('GetOffsetShell', earliest), /admin\.records:0:2/);
    const dirs = await tool('LogDirsCommand', ['--describe', '--topic-list', 'admin.records']);
    const { brokers } = JSON.parse(dirs.slice(dirs.indexOf('{'))) as {
      brokers: { logDirs: { partitions: { partition: string; size: number }[] }[] }[];
    };
    const [partition] = brokers[0]!.logDirs[0]!.partitions;
    assert.equal(partition?.partition, 'admin.records-0');
    assert.ok(partition.size > 0);
  });

  it('elections, reassignments, the quorum and features are told as of one broker K5 K85 K143 K145 K146 K155', async () => {
    await tool('TopicCommand', ['--create', '--topic', 'admin.one']);
    const election = ['--election-type', 'preferred', '--topic', 'admin.one', '--partition', '0'];
    const elected = await tool('LeaderElectionCommand', [...election, ...asAdmin]);
    assert.match(elected, /Valid replica already elected for partitions admin\.one-0/);
    const partitions = [{ topic: 'admin.one', partition: 0, replicas: [0] }];
    const file = await jsonFile({ version: 1, partitions });
    const moving = ['--reassignment-json-file', file, '--execute'];
    const moved = await tool('reassign.ReassignPartitionsCommand', [...moving, ...asAdmin]);
    assert.match(moved, /Successfully started partition reassignment for admin\.one-0/);
    const list = await tool('reassign.ReassignPartitionsCommand', ['--list']);
    assert.match(list, /No partition reassignments found/);
    const status = await tool('MetadataQuorumCommand', ['describe', '--status']);
    assert.match(status, /LeaderId:\s+0/);
    const features = await tool('FeatureCommand', ['describe']);
    assert.match(features, /group\.version\s+SupportedMinVersion: 0\s+SupportedMaxVersion: 1/);
    const cluster = kafkaToolArguments(folder ?? '', 'ClusterTool');
    const asked = [...cluster, 'cluster-id', '--bootstrap-server', server.address('kafka')];
    const { text } = await run('java', asked, { timeoutMs: TOOL_TIMEOUT_MS });
    assert.match(text, /Cluster ID: \S+/);
  });

  it('the verifiable producer and consumer, the latter with the consumer protocol, agree K85 K200 K201', async () => {
    const producing = ['--topic', 'admin.verified', '--max-messages', '200', '--acks', '-1'];
    const produced = await tool('VerifiableProducer', producing);
    assert.match(produced, /"sent":200,"acked":200/);
    const reading = [
      ...['--topic', 'admin.verified', '--group-id', 'verified', '--max-messages', '200'],
      ...['--reset-policy', 'earliest', '--group-protocol', 'consumer'],
    ];
    const consumed = await tool('VerifiableConsumer', reading);
    assert.match(consumed, /"count":\d+/);
    const described = ['--describe', '--group', 'verified'];
    const offsets = await tool('consumer.group.ConsumerGroupCommand', described);
    assert.match(offsets, /verified\s+admin\.verified\s+0\s+200\s+200\s+0/);
  });

  if (!FULL) return;

  it('kafka-topics and kafka-get-offsets know the topics of the server’s own state K48 K85', async () => {
    await tool('ConsoleProducer', ['--topic', 'admin.internal'], 'one\n');
    const reading = ['--topic', 'admin.internal', '--from-beginning', '--max-messages', '1'];
    await tool('consumer.ConsoleConsumer', [...reading, '--group', 'of-internal']);
    assert.match(await tool('TopicCommand', ['--list']), /^__consumer_offsets$/m);
    const others = await tool('TopicCommand', ['--list', '--exclude-internal']);
    assert.match(others, /^admin\.internal$/m);
    assert.doesNotMatch(others, /__consumer_offsets/);
    const described = await tool('TopicCommand', ['--describe', '--topic', '__consumer_offsets']);
    assert.match(described, /PartitionCount: 1\s.*cleanup\.policy=compact/);
    assert.match(await tool('GetOffsetShell', []), /^__consumer_offsets:0:0$/m);
  });
});
