/**
 * Kafka Streams (programs/java/Streams.java), by the classic group protocol, which is its default.
 * Counts go out one by one, so a record that is counted twice, or not at all, shows in the output.
 */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Jvm } from './jvm.ts';
import { KafkaRecords, type Seen } from './kafka-records.ts';
import type { Program } from './program.ts';
import { type Server, startServer } from './server.ts';
import { FULL } from './tier.ts';
import { kafkaPrograms, ready } from './toolchains/index.ts';

const PATIENCE_MS = 90_000;
const HEAP_MB = 256;
const EXACTLY_ONCE = 'processing.guarantee=exactly_once_v2';
const LINES = 3_000;
const WORDS = 23;

/** Four words a line, the same ones in each run. */
function lines(from: number, to: number): { key: string; value: string }[] {
  return Array.from({ length: to - from }, (_, n) => {
    const number = from + n;
    const words = [number, number * 3, number * 7, number * 11].map((word) => `w${word % WORDS}`);
    return { key: `${number}`, value: words.join(' ') };
  });
}

function counted(until: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { value } of lines(0, until)) {
    for (const word of value.split(' ')) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return counts;
}

/** Each word was counted 1, 2, 3 and so on, up to how often it came. */
function assertCounted(seen: readonly Seen[], until: number): void {
  const counts = new Map<string, number>();
  for (const { key, value } of seen) {
    const count = (counts.get(key ?? '') ?? 0) + 1;
    assert.equal(Number(value), count, `${key} was counted ${value}, not ${count}`);
    counts.set(key ?? '', count);
  }
  assert.deepEqual([...counts].sort(), [...counted(until)].sort());
}

if (FULL) {
  const { folder, missing } = await ready(kafkaPrograms);

  describe('Kafka Streams', { skip: missing ?? false }, () => {
    let jvm: Jvm;
    let server: Server;
    let kafka: KafkaRecords;

    before(async () => {
      jvm = await Jvm.open(folder ?? '');
      await jvm.compile('Streams.java');
      server = await startServer();
      kafka = new KafkaRecords(server.address('kafka'));
    });
    after(async () => {
      await jvm[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    });

    function streams(topology: string, state: string, ...configs: string[]): Program {
      const stateFolder = path.join(jvm.folder, state);
      const args = [server.address('kafka'), topology, stateFolder, ...configs];
      return jvm.start({ main: 'Streams', args, heapMb: HEAP_MB });
    }

    const processed = (program: Program, count: number): Promise<string> =>
      program.line((line) => line === `processed ${count}`, PATIENCE_MS);

    async function close(program: Program): Promise<void> {
      await Promise.all([
        program.line((line) => line === 'closed true', PATIENCE_MS),
        program.kill('SIGTERM'),
      ]);
      const failed = program.lines.filter((line) => line.startsWith('exception'));
      assert.deepEqual(failed, [], program.lines.join('\n'));
    }

    it('counts words exactly once, killed in the middle as is the broker K69 K70 K71 K72 K86 K210', async () => {
      await kafka.create(3, ['words.lines', 'words.counts']);
      await kafka.send('words.lines', lines(0, LINES));
      const first = streams('words', 'state', EXACTLY_ONCE);
      await processed(first, 1000);
      await first.kill();
      const second = streams('words', 'state', EXACTLY_ONCE);
      await processed(second, 500);
      await server.kill();
      await server.start();
      const all = 4 * LINES;
      await jvm.watch(kafka.read('words.counts', (seen) => seen.length >= all, PATIENCE_MS));
      await close(second);
      assertCounted(await kafka.all('words.counts', PATIENCE_MS), LINES);
    });

    it('restores its stores from their changelogs, on another machine too K38 K86 K210', async () => {
      await kafka.send('words.lines', lines(LINES, LINES + 1));
      const elsewhere = streams('words', 'elsewhere', EXACTLY_ONCE);
      const ends = (LINES + 1) * 4;
      await jvm.watch(
        kafka.read('words.counts', (seen) => seen.filter(isCount).length >= ends, PATIENCE_MS),
      );
      await close(elsewhere);
      const restored = elsewhere.lines.filter((line) => /^restored counts \d [1-9]/.test(line));
      assert.ok(restored.length > 1, elsewhere.lines.join('\n'));
      assertCounted(await kafka.all('words.counts', PATIENCE_MS), LINES + 1);
    });

    it('finds its internal topics as it made them, and empties what it has passed on K42 K86 K121', async () => {
      const changelog = await kafka.configs('words-counts-changelog');
      assert.equal(changelog['cleanup.policy'], 'compact');
      const repartition = await kafka.configs('words-by-word-repartition');
      assert.equal(repartition['cleanup.policy'], 'delete');
      assert.equal(repartition['retention.ms'], '-1');
      const offsets = await kafka.admin((admin) =>
        admin.fetchTopicOffsets('words-by-word-repartition'),
      );
      const emptied = offsets.reduce((sum, { low }) => sum + Number(low), 0);
      assert.ok(emptied > 0, JSON.stringify(offsets));
      assert.equal(offsets.length, 3);
    });
  });
}

function isCount({ value }: Seen): boolean {
  return /^\d+$/.test(value ?? '');
}
