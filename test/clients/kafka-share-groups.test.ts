/**
 * Share groups (KIP-932) with the Java client (programs/java/ShareGroups.java) and Kafka's own
 * tools for them. They are slow to start: few runs, much each.
 */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import mqtt from 'mqtt';
import { run } from './program.ts';
import { type Server, startServer } from './server.ts';
import { FULL } from './tier.ts';
import { kafkaToolArguments, kafkaTools, ready } from './toolchains/index.ts';

const TIMEOUT_MS = 120_000;
const PROGRAM = path.join(import.meta.dirname, 'programs/java/ShareGroups.java');
const { folder, missing } = await ready(kafkaTools);
/** Locks of a second, so that no test waits for the usual ones. */
const SHORT = ['--kafka-share-record-lock-duration-min', '1s'];

describe('share groups of the Java client', { skip: missing ?? false }, () => {
  let server: Server;

  before(async () => {
    server = await startServer({ flags: SHORT });
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
    const at = ['--bootstrap-server', server.address('kafka')];
    const asked = [...kafkaToolArguments(folder ?? '', name), ...at, ...rest];
    return (await run('java', asked, { timeoutMs: TIMEOUT_MS })).text;
  }

  it('records are accepted, released and rejected one by one K66 K176 K178 K179 K202', async () => {
    const lines = await scenario('explicit');
    assert.ok(lines.includes('accepted 20 twice 10 offsets 30'), lines.join('\n'));
    assert.ok(lines.includes('left 0'), lines.join('\n'));
  });

  if (!FULL) return;

  it('what was polled is accepted by the next poll or commit K66 K202', async () => {
    const lines = await scenario('implicit');
    assert.ok(lines.includes('read 300 different 300'), lines.join('\n'));
    assert.ok(lines.includes('again 0'), lines.join('\n'));
  });

  it('two consumers share one partition, and each record goes to one of them K66 K202', async () => {
    const lines = await scenario('together');
    assert.ok(lines.includes('both'), lines.join('\n'));
    assert.ok(lines.includes('read 400 different 400'), lines.join('\n'));
  });

  it('a record that is kept too long goes to another consumer K66 K67 K202', async () => {
    const lines = await scenario('timeout');
    assert.ok(lines.includes('again true'), lines.join('\n'));
    assert.ok(lines.includes('late InvalidRecordStateException'), lines.join('\n'));
  });

  it('what MQTT publishes is read by a share group, also after kill -9 K66 K202 X17 X62', async () => {
    const publisher = await mqtt.connectAsync(`mqtt://${server.address('mqtt')}`);
    const publish = async (from: number, to: number): Promise<void> => {
      for (let n = from; n < to; n++) {
        await publisher.publishAsync('share.mqtt', `value ${n}`, { qos: 1 });
      }
    };
    await publish(0, 3);
    await scenario('begin', 'crossing', 'share.mqtt');
    const first = await scenario('read', 'crossing', 'share.mqtt', '3');
    assert.ok(first.includes('values value 0,value 1,value 2'), first.join('\n'));
    await publish(3, 5);
    await publisher.endAsync();
    await server.kill();
    await server.start();
    const second = await scenario('read', 'crossing', 'share.mqtt', '2');
    assert.ok(second.includes('values value 3,value 4'), second.join('\n'));
  });

  it('kafka-share-groups lists, describes, moves and deletes; the console consumer reads K66 K85 K177 K190 K191 K192', async () => {
    const name = 'consumer.group.ShareGroupCommand';
    const group = ['--group', 'tools'];
    const topic = ['--topic', 'share.explicit'];
    await scenario('begin', 'tools', 'share.explicit');
    assert.match(await tool(name, ['--list']), /^tools$/m);
    assert.match(await tool(name, ['--describe', '--state', ...group]), /tools\s.*Empty\s/);
    const all = ['--reset-offsets', ...group, ...topic, '--execute'];
    assert.match(await tool(name, [...all, '--to-latest']), /share\.explicit\s+0\s+30/);
    assert.match(await tool(name, ['--describe', ...group]), /share\.explicit\s+0\s+30\s+0/);
    assert.match(await tool(name, [...all, '--to-earliest']), /share\.explicit\s+0\s+0/);
    const reading = [...group, ...topic, '--max-messages', '30'];
    const read = await tool('consumer.ConsoleShareConsumer', reading);
    assert.equal(read.match(/^value \d+$/gm)?.length, 30);
    assert.match(
      await tool(name, ['--delete-offsets', ...group, ...topic]),
      /share\.explicit\s+Successful/,
    );
    assert.match(await tool(name, ['--delete', ...group]), /successful/);
    assert.doesNotMatch(await tool(name, ['--list']), /^tools$/m);
  });
});
