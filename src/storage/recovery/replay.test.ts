/** What a start after a kill, without a checkpoint in between, has to know from entries alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualFiles } from '../files/virtual-files.ts';
import type { LogEngine } from '../log-engine.ts';
import {
  appended,
  dataBatch,
  factsOf,
  openTestEngine,
  readAll,
  seededRandom,
  textOf,
  VirtualTime,
} from '../storage.fixture.ts';

/** Lives of one engine on a disk, each ended by a kill. */
class Lives {
  readonly disk = new VirtualFiles({ random: seededRandom(1) });
  time = new VirtualTime();
  engine!: LogEngine;

  async begin(): Promise<void> {
    this.time = new VirtualTime();
    const limits = { walFileBytes: 2 ** 20 };
    this.engine = await this.time.until(
      openTestEngine({ files: this.disk, time: this.time, limits }),
    );
  }

  async again(): Promise<void> {
    await this.time.until(this.engine.flushed());
    this.disk.kill();
    this.time.kill();
    await this.begin();
  }
}

test('the sequences of producers are known after a kill K28', async () => {
  const lives = new Lives();
  await lives.begin();
  const first = factsOf({ producerId: 5, producerEpoch: 0, baseSequence: 0, count: 2 });
  const log = lives.engine.open(1, 'fsync');
  await lives.time.until(appended(log, dataBatch('a'), first));
  await lives.again();
  const found = lives.engine.open(1, 'fsync');
  assert.deepEqual(found.append(dataBatch('a'), first), { baseOffset: 0, duplicate: true });
  assert.throws(() => found.append(dataBatch('c'), { ...first, baseSequence: 7 }), {
    code: 'out-of-order-sequence',
  });
  await lives.time.until(lives.engine.close());
});

test('what was trimmed stays so after a kill K39', async () => {
  const lives = new Lives();
  await lives.begin();
  const log = lives.engine.open(1, 'fsync');
  for (const text of ['a', 'b', 'c']) await lives.time.until(appended(log, dataBatch(text)));
  log.trim(2);
  await lives.again();
  const found = lives.engine.open(1, 'fsync');
  assert.equal(found.startOffset, 2);
  const batches = await lives.time.until(readAll(found));
  assert.deepEqual(batches.map(textOf), ['c']);
  await lives.time.until(lives.engine.close());
});

test('a log that was removed does not come back after a kill', async () => {
  const lives = new Lives();
  await lives.begin();
  for (const id of [1, 2]) {
    await lives.time.until(appended(lives.engine.open(id, 'fsync'), dataBatch(`${id}`)));
  }
  lives.engine.open(1, 'fsync').remove();
  await lives.again();
  assert.deepEqual([lives.engine.has(1), lives.engine.has(2)], [false, true]);
  await lives.time.until(lives.engine.close());
});

test('a checkpoint lies there twice, and either copy is enough', async () => {
  for (const lost of ['data/checkpoint-a', 'data/checkpoint-b']) {
    const lives = new Lives();
    await lives.begin();
    await lives.time.until(appended(lives.engine.open(1, 'fsync'), dataBatch('a')));
    await lives.time.until(lives.engine.close());
    assert.ok(lives.disk.paths.includes(lost));
    await lives.disk.remove(lost);
    await lives.begin();
    assert.deepEqual(lives.engine.report.damaged, []);
    assert.equal(lives.engine.open(1, 'fsync').highWatermark, 1);
    await lives.time.until(lives.engine.close());
  }
});
