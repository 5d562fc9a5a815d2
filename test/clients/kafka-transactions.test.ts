/**
 * Transactions with the Java client (programs/java/Transactions.java) and Kafka's own tools for
 * them. They are slow to start: few runs, much each.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { run } from './program.ts';
import { ADMIN, type Server, startServer } from './server.ts';
import { FULL } from './tier.ts';
import { kafkaToolArguments, kafkaTools, ready } from './toolchains/index.ts';

const TIMEOUT_MS = 90_000;
const PROGRAM = path.join(import.meta.dirname, 'programs/java/Transactions.java');
const { folder, missing } = await ready(kafkaTools);

describe('transactions of the Java client', { skip: missing ?? false }, () => {
  let server: Server;

  before(async () => {
    server = await startServer();
  });
  after(() => server[Symbol.asyncDispose]());

  async function scenario(...args: string[]): Promise<string[]> {
    const jvm = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xmx256m'];
    const program = ['-cp', path.join(folder ?? '', '*'), PROGRAM, server.address('kafka')];
    const options = { timeoutMs: TIMEOUT_MS };
    const { text } = await run('java', [...jvm, ...program, ...args], options);
    const lines = text.trim().split('\n');
    assert.equal(lines.at(-1), 'done');
    return lines;
  }

  async function tool(name: string, rest: readonly string[]): Promise<string> {
    const asked = [...kafkaToolArguments(folder ?? '', name), ...rest];
    return (await run('java', asked, { timeoutMs: TIMEOUT_MS })).text;
  }

  it('committed readers see what was committed, in version 2 of the protocol K5 K70 K71 K200 K201', async () => {
    const lines = await scenario('isolation');
    assert.ok(lines.includes('transaction.version 2'));
    assert.ok(lines.includes('committed 0.0,0.1,0.2,2.0,2.1,2.2,4.0,4.1,4.2'));
    assert.ok(lines.includes('all 19'));
  });

  if (!FULL) return;

  it('a second producer of the id fences the first K69 K200', async () => {
    const lines = await scenario('fencing');
    assert.ok(lines.includes('refused') && lines.includes('fenced'), lines.join('\n'));
    assert.ok(lines.includes('committed kept'));
  });

  it('consume, transform, produce: each record once, with given-up transactions K72 K200 K201', async () => {
    const lines = await scenario('transform');
    assert.ok(lines.includes('given up true'));
    assert.ok(lines.includes('values 60 of them different 60'));
  });

  it('kafka-transactions lists, describes and aborts; other tools see what was committed K73 K85 K127 K161 K165 K166', async () => {
    const at = ['--bootstrap-server', server.address('kafka')];
    const load = ['--topic', 'tx.perf', '--num-records', '3000', '--record-size', '100'];
    const transactional = ['--transactional-id', 'perf', '--transaction-duration-ms', '20'];
    const producer = ['--command-property', `bootstrap.servers=${server.address('kafka')}`];
    const all = [...load, '--throughput', '-1', ...transactional, ...producer];
    assert.match(await tool('ProducerPerformance', all), /3000 records sent/);
    assert.match(await tool('TransactionsCommand', [...at, 'list']), /perf\s+0\s+\d+\s+Complete/);
    const one = ['describe', '--transactional-id', 'perf'];
    assert.match(await tool('TransactionsCommand', [...at, ...one]), /perf.*CompleteCommit/);
    const place = ['--topic', 'tx.perf', '--partition', '0'];
    const hanging = await tool('TransactionsCommand', [...at, 'find-hanging', ...place]);
    assert.equal(hanging.trim().split('\n').length, 1);
    const reading = ['--topic', 'tx.perf', '--from-beginning', '--max-messages', '3000'];
    const isolated = ['--isolation-level', 'read_committed'];
    const text = await tool('consumer.ConsoleConsumer', [...at, ...reading, ...isolated]);
    assert.equal(text.trim().split('\n').length, 3000);
  });

  it('kafka-transactions aborts by hand what a producer left open K73 K85 K127', async () => {
    const { Kafka, logLevel } = await import('kafkajs');
    const kafka = new Kafka({ brokers: [server.address('kafka')], logLevel: logLevel.NOTHING });
    const made = kafka.producer({ transactionalId: 'hangs', maxInFlightRequests: 1 });
    await made.connect();
    const open = await made.transaction();
    await open.send({ topic: 'tx.hangs', messages: [{ value: 'open' }] });
    const admin = [
      'security.protocol=SASL_PLAINTEXT',
      'sasl.mechanism=PLAIN',
      'sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required ' +
        `username="${ADMIN.user}" password="${ADMIN.password}";`,
    ].join('\n');
    const at = ['--bootstrap-server', server.address('kafka')];
    const scratch = await mkdtemp(path.join(tmpdir(), 'robustmq-tx-'));
    const file = path.join(scratch, 'admin.properties');
    await writeFile(file, admin);
    const config = ['--command-config', file];
    const place = ['--topic', 'tx.hangs', '--partition', '0'];
    const producers = await tool('TransactionsCommand', [...at, 'describe-producers', ...place]);
    assert.match(producers, /^\d+\s+0\s+\d+\s+\d+\s+\d+\s+0\s*$/m);
    const abort = ['abort', ...place, '--start-offset', '0'];
    await tool('TransactionsCommand', [...at, ...config, ...abort]);
    const after = await tool('TransactionsCommand', [...at, 'describe-producers', ...place]);
    assert.match(after, /None/);
    await made.disconnect();
    await rm(scratch, { recursive: true });
  });
});
