/** kcat (librdkafka of the distribution), unmodified. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Program, run } from './program.ts';
import { type Server, startServer } from './server.ts';
import { debian, ready } from './toolchains/index.ts';

const { missing } = await ready(debian);

describe('kcat', { skip: missing ?? false }, () => {
  let server: Server;
  const kcat = (args: readonly string[], input?: string) =>
    run('kcat', ['-b', server.address('kafka'), ...args], input === undefined ? {} : { input });

  before(async () => {
    server = await startServer();
  });
  after(() => server[Symbol.asyncDispose]());

  it('produces lines and consumes them from the beginning to the end K85 K204', async () => {
    const lines = Array.from({ length: 1000 }, (_, index) => `line ${index}`);
    await kcat(['-P', '-t', 'kcat-lines'], lines.join('\n'));
    const { text } = await kcat(['-C', '-t', 'kcat-lines', '-o', 'beginning', '-e', '-q']);
    assert.deepEqual(text.trim().split('\n'), lines);
  });

  it('lists the broker, topics and partitions K103', async () => {
    await kcat(['-P', '-t', 'kcat-listed'], 'x');
    const { text } = await kcat(['-L', '-J']);
    const listed = JSON.parse(text) as {
      brokers: { id: number; name: string }[];
      topics: { topic: string; partitions: { partition: number; leader: number }[] }[];
    };
    assert.equal(listed.brokers.length, 1);
    assert.equal(listed.brokers[0]?.name, server.address('kafka'));
    const topic = listed.topics.find((each) => each.topic === 'kcat-listed');
    assert.equal(topic?.partitions.length, 1);
    assert.equal(topic?.partitions[0]?.leader, listed.brokers[0]?.id);
  });

  it('keys, headers and offsets are shown as they were sent K24', async () => {
    const sent = ['-K', ':', '-H', 'one=1', '-H', 'two=second'];
    await kcat(['-P', '-t', 'kcat-keys', ...sent], 'k1:v1\nk2:v2');
    const format = ['-f', '%o|%k|%s|%h\\n'];
    const { text } = await kcat(['-C', '-t', 'kcat-keys', '-e', '-q', ...format]);
    assert.equal(text, '0|k1|v1|one=1,two=second\n1|k2|v2|one=1,two=second\n');
  });

  it('a null value is sent with -Z and shown as NULL K24', async () => {
    await kcat(['-P', '-t', 'kcat-null', '-K', ':', '-Z'], 'gone:');
    const { text } = await kcat(['-C', '-t', 'kcat-null', '-e', '-q', '-Z', '-f', '%k=%s %S\\n']);
    assert.equal(text, 'gone=NULL -1\n');
  });

  for (const codec of ['gzip', 'snappy', 'lz4', 'zstd']) {
    it(`${codec} batches pass through K22`, async () => {
      const lines = Array.from({ length: 200 }, (_, index) => `${codec} ${index}`);
      await kcat(['-P', '-t', `kcat-${codec}`, '-z', codec], lines.join('\n'));
      const { text } = await kcat(['-C', '-t', `kcat-${codec}`, '-e', '-q']);
      assert.deepEqual(text.trim().split('\n'), lines);
    });
  }

  it('a group goes on where it stopped K63 K111', async () => {
    await kcat(['-P', '-t', 'kcat-group'], 'one\ntwo\nthree');
    const group = ['-X', 'auto.offset.reset=earliest', '-q', '-G', 'kcat-readers', 'kcat-group'];
    const first = await kcat(['-c', '2', ...group]);
    assert.equal(first.text, 'one\ntwo\n');
    const second = await kcat(['-c', '1', ...group]);
    assert.equal(second.text, 'three\n');
  });

  it('offsets are found by time and for the ends K36 K102', async () => {
    await kcat(['-P', '-t', 'kcat-times'], 'one\ntwo');
    for (const [time, offset] of [
      ['-1', 2],
      ['-2', 0],
      ['1', 0],
    ] as const) {
      const { text } = await kcat(['-Q', '-t', `kcat-times:0:${time}`]);
      assert.match(text, new RegExp(`kcat-times \\[0\\] offset ${offset}`));
    }
  });

  it('a waiting consumer gets a new record by long poll K30', async () => {
    await kcat(['-P', '-t', 'kcat-live'], 'old');
    const waiting = ['-C', '-t', 'kcat-live', '-o', '1', '-c', '1', '-u'];
    const reader = new Program('kcat', ['-b', server.address('kafka'), ...waiting]);
    await reader.line((line) => line.includes('Reached end of topic'));
    await kcat(['-P', '-t', 'kcat-live'], 'new');
    const { text } = await reader.end();
    assert.equal(text, 'new\n');
  });

  it('an idempotent producer is served K28 K29', async () => {
    const settings = ['-X', 'enable.idempotence=true'];
    await kcat(['-P', '-t', 'kcat-idempotent', ...settings], 'one\ntwo');
    const { text } = await kcat(['-C', '-t', 'kcat-idempotent', '-e', '-q']);
    assert.equal(text, 'one\ntwo\n');
  });
});
