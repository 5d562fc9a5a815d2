/** How soon the disk gets back what one log among thousands does not need any more. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualFiles } from '../files/virtual-files.ts';
import type { LogEngine, ShardLog } from '../log-engine.ts';
import {
  appended,
  dataBatch,
  openTestEngine,
  seededRandom,
  VirtualTime,
} from '../storage.fixture.ts';

const LOGS = 2_000;
const MINUTE_MS = 60_000;
/** The pauses of the defaults; the sizes are those of tests. */
const LIMITS = { walKeptMs: 20_000, sweepDelayMs: 200, reorganiseDelayMs: 1_000 };

interface Disk {
  readonly files: VirtualFiles;
  readonly time: VirtualTime;
  readonly engine: LogEngine;
  readonly large: ShardLog;
  segmentBytes(): number;
}

/** Thousands of logs with a little each, and one with some segments of its own. */
async function filled(): Promise<Disk> {
  const time = new VirtualTime();
  const files = new VirtualFiles({ random: seededRandom(7) });
  const engine = await time.until(openTestEngine({ files, time, limits: LIMITS }));
  const logs = Array.from({ length: LOGS }, (_, index) => engine.open(5_000 + index, 'fsync'));
  const large = engine.open(4_000, 'fsync');
  for (let index = 0; index < LOGS; index++) {
    const more: Promise<number>[] = [];
    more.push(appended(logs[index]!, dataBatch(`small ${index}`)));
    if (index % 4 === 0) more.push(appended(large, dataBatch(Buffer.alloc(600, index & 0xff))));
    await time.until(Promise.all(more));
  }
  await time.advance(MINUTE_MS);
  const segmentBytes = (): number => {
    const segments = files.paths.filter((path) => path.endsWith('.seg'));
    return segments.reduce((sum, path) => sum + files.sizeOf(path), 0);
  };
  return { files, time, engine, large, segmentBytes };
}

test('what one log among thousands gave up is off the disk within a minute K39', async () => {
  const { time, engine, large, segmentBytes } = await filled();
  const { bytes } = large.stat();
  const before = segmentBytes();
  assert.ok(bytes > 250_000, `${bytes} bytes in one log`);
  large.trim(large.highWatermark);
  await time.advance(MINUTE_MS);
  const freed = before - segmentBytes();
  assert.ok(freed > bytes * 0.9, `${freed} of ${bytes} bytes are free again`);
  await time.until(engine.close());
});

test('half of a log is freed within a minute, and what is left of it can be read K39', async () => {
  const { time, engine, large, segmentBytes } = await filled();
  const { bytes } = large.stat();
  const before = segmentBytes();
  large.trim(large.highWatermark >> 1);
  await time.advance(MINUTE_MS);
  const freed = before - segmentBytes();
  assert.ok(freed > bytes * 0.3, `${freed} of ${bytes} bytes are free again`);
  const [first] = await time.until(Promise.resolve(large.read(large.startOffset, 1)));
  assert.equal(first?.baseOffset, large.startOffset);
  await time.until(engine.close());
});
