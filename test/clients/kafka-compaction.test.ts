/**
 * A compacted topic with unmodified clients: made and filled by kafkajs, read from its beginning by
 * kafkajs, kcat, librdkafka for Python and Apache Kafka's console consumer. All see the last value
 * of each key at its offset, and the end of the log where it was.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { CompressionTypes, Kafka, logLevel } from 'kafkajs';
import { run } from './program.ts';
import { runPython } from './python-scenarios.ts';
import { HOST, type Server, startServer } from './server.ts';
import { debian, kafkaToolArguments, kafkaTools, python, ready } from './toolchains/index.ts';

process.env['KAFKAJS_NO_PARTITIONER_WARNING'] = '1';

const TOPIC = 'compacted.accounts';
const KEYS = 10;
const ROUNDS = 40;
const COMPACTED_WITHIN_MS = 60_000;
const { folder, missing } = await ready(kafkaTools);
const kcat = await ready(debian);
const librdkafka = await ready(python);
/** What is left but for the first account, whose tombstone goes in its own time. */
const LEFT = [
  ...Array.from({ length: KEYS - 1 }, (_, n) => {
    return `${(ROUNDS - 1) * KEYS + n + 1} account ${n + 1}=balance ${ROUNDS - 1}`;
  }),
  `${ROUNDS * KEYS} last=one`,
];

describe('a compacted topic', () => {
  let server: Server;
  let kafka: Kafka;
  let groups = 0;

  before(async () => {
    server = await startServer();
    const brokers = [server.address('kafka')];
    kafka = new Kafka({ brokers, clientId: 'compaction', logLevel: logLevel.NOTHING });
  });
  after(() => server[Symbol.asyncDispose]());

  /** Every record of the topic, as `offset key=value`. */
  async function readAll(end: number): Promise<string[]> {
    const consumer = kafka.consumer({ groupId: `reader-${++groups}`, maxWaitTimeInMs: 100 });
    const lines: string[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    await consumer.connect();
    await consumer.subscribe({ topic: TOPIC, fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachMessage: async ({ message: { offset, key, value } }) => {
        lines.push(`${offset} ${key}=${value}`);
        if (Number(offset) === end - 1) resolve();
      },
    });
    await promise;
    await consumer.disconnect();
    return lines;
  }

  it('keeps the last value of each key at its offset, in the background K39 K40 K42', async () => {
    const admin = kafka.admin();
    await admin.connect();
    const settings = {
      'cleanup.policy': 'compact',
      'min.cleanable.dirty.ratio': '0.01',
      'max.compaction.lag.ms': '500',
      'delete.retention.ms': '100',
    };
    const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }));
    await admin.createTopics({ topics: [{ topic: TOPIC, configEntries }] });
    const producer = kafka.producer();
    await producer.connect();
    for (let round = 0; round < ROUNDS; round++) {
      const messages = Array.from({ length: KEYS }, (_, n) => ({
        key: `account ${n}`,
        // The last word on the first account is that it is gone.
        value: n === 0 && round === ROUNDS - 1 ? null : `balance ${round}`,
      }));
      await producer.send({ topic: TOPIC, messages, compression: CompressionTypes.GZIP });
    }
    await producer.send({ topic: TOPIC, messages: [{ key: 'last', value: 'one' }] });
    const keyless = producer.send({ topic: TOPIC, messages: [{ value: 'no key' }] });
    await assert.rejects(keyless, 'a record without a key is refused');
    await producer.disconnect();

    const end = ROUNDS * KEYS + 1;
    const untilMs = Date.now() + COMPACTED_WITHIN_MS;
    let lines = await readAll(end);
    // Each look is a whole read of the topic; it ends when the server has compacted.
    while (lines.length > KEYS + 1 && Date.now() < untilMs) lines = await readAll(end);
    const kept = lines.filter((line) => !line.includes('account 0='));
    assert.deepEqual(kept, LEFT);
    const [offsets] = await admin.fetchTopicOffsets(TOPIC);
    assert.deepEqual([offsets?.low, offsets?.high], ['0', String(end)]);
    await admin.disconnect();
  });

  it('is read by the console consumer from its beginning K40 K100', {
    skip: missing ?? false,
  }, async () => {
    const shown = ['print.key', 'print.offset'];
    const formats = shown.flatMap((name) => ['--formatter-property', `${name}=true`]);
    const count = ['--from-beginning', '--max-messages', String(KEYS)];
    const args = [
      ...kafkaToolArguments(folder ?? '', 'consumer.ConsoleConsumer'),
      ...['--bootstrap-server', server.address('kafka'), '--topic', TOPIC, ...count, ...formats],
    ];
    const { text } = await run('java', args, { input: '', timeoutMs: 60_000 });
    const lines = text
      .trim()
      .split('\n')
      .filter((line) => !line.includes('account 0\t'));
    assert.match(lines[0]!, /Offset:391\taccount 1\tbalance 39/);
    assert.ok(lines.length >= KEYS - 1);
  });

  it('is read by kcat over its gaps up to its end K40 K85', {
    skip: kcat.missing ?? false,
  }, async () => {
    const read = async (...from: string[]): Promise<string[]> => {
      const args = ['-b', server.address('kafka'), '-C', '-t', TOPIC, '-e', '-q', ...from];
      const { text } = await run('kcat', [...args, '-f', '%o %k=%s\\n']);
      return text
        .trim()
        .split('\n')
        .filter((line) => !line.includes('account 0='));
    };
    assert.deepEqual(await read('-o', 'beginning'), LEFT);
    assert.deepEqual(await read('-o', '7'), LEFT, 'from the middle of a gap');
    assert.deepEqual(await read('-o', '-1'), LEFT.slice(-1));
  });

  it('is read by librdkafka for Python, by assignment and by a group that goes on K40 K63', {
    skip: librdkafka.missing ?? false,
  }, async () => {
    const port = String(server.ports.kafka);
    const expected = JSON.stringify(LEFT);
    const args = [HOST, port, TOPIC, expected];
    await runPython(librdkafka.folder ?? '', 'confluent_compacted.py', args);
  });
});
