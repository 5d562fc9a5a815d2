/**
 * The machine dies at any call to the disk while a log is compacted: afterwards the old or the new
 * is there, whole, with the checkpoints and without them.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Files, OpenFile } from '../files/files.ts';
import { VirtualFiles } from '../files/virtual-files.ts';
import type { LogEngine, ShardLog } from '../log-engine.ts';
import { factsOf, openTestEngine, readAll, seededRandom, VirtualTime } from '../storage.fixture.ts';
import { jsonCompaction, keyedBatch, recordsOf } from './compaction.fixture.ts';

const LOG = 2 ** 40 * 5 + 3;
const KEYS = 6;
const PUTS = 120;
const LIMITS = {
  ...{ walFileBytes: 8_192, entryBytesMax: 4_096, segmentBytesMax: 16_384, sweepDelayMs: 3 },
  ...{ compactionPauseMs: 5, reorganiseDelayMs: 1 },
};
const NEVER = new Promise<never>(() => {});

/** A disk that answers no change any more once `dies` said so. */
function mortal(files: Files, dies: () => boolean): Files {
  const guard =
    <Args extends unknown[], T>(call: (...args: Args) => Promise<T>) =>
    (...args: Args): Promise<T> =>
      dies() ? NEVER : call(...args);
  const open = async (path: string, create: boolean): Promise<OpenFile> => {
    if (create && dies()) await NEVER;
    const file = await files.open(path, create);
    file.write = guard(file.write.bind(file));
    file.sync = guard(file.sync.bind(file));
    return file;
  };
  return { ...files, open, rename: guard(files.rename), remove: guard(files.remove) };
}

function opened(engine: LogEngine): ShardLog {
  const log = engine.open(LOG, 'fsync');
  const compaction = jsonCompaction({ dirtyRatio: 0.2, headMs: 20 });
  log.upkeep = { remote: false, compaction };
  return log;
}

/** Puts until all is done or the disk has died; how much was acknowledged. */
async function work(time: VirtualTime, engine: LogEngine, died: () => boolean): Promise<number> {
  const log = opened(engine);
  let acked = 0;
  for (let n = 0; n < PUTS && !died(); n++) {
    log.append(keyedBatch([[0, `k${n % KEYS}`, `${n}`.padStart(150, '0')]]), factsOf(), (error) => {
      if (error === null) acked = n + 1;
    });
    await time.advance(2);
  }
  if (!died()) await time.advance(100);
  return acked;
}

/** Each record is where it was written, and the last one of each key is there. */
async function check(time: VirtualTime, log: ShardLog, acked: number, at: string): Promise<number> {
  assert.ok(log.highWatermark >= acked, `${at}: what was acknowledged is there`);
  const seen = new Set<number>();
  for (const batch of await time.until(readAll(log))) {
    const [[, key, value]] = recordsOf(batch) as [[number, string, string]];
    assert.equal(key, `k${batch.baseOffset % KEYS}`, at);
    assert.equal(Number(value), batch.baseOffset, at);
    seen.add(batch.baseOffset);
  }
  const from = Math.max(0, log.highWatermark - KEYS);
  for (let offset = from; offset < log.highWatermark; offset++) {
    assert.ok(seen.has(offset), `${at}: ${offset} is the last of its key`);
  }
  return seen.size;
}

for (const lost of [false, true]) {
  const how = lost ? 'both checkpoints lost' : 'the checkpoints intact';
  test(`a crash at any call to the disk leaves the old or the new, ${how} K40 R31`, async () => {
    const every = Number(process.env['STORAGE_CRASH_EVERY'] ?? 41);
    let left = 0;
    for (let last = lost ? 6 : 1; ; last += every) {
      const time = new VirtualTime();
      const disk = new VirtualFiles({ random: seededRandom(last), timers: time });
      let [calls, dead] = [0, false];
      const files = mortal(disk.mount(), () => {
        dead ||= ++calls >= last;
        return dead;
      });
      let first: LogEngine | null = null;
      void openTestEngine({ files, time, limits: LIMITS }).then((engine) => {
        first = engine;
      });
      await time.advance(50);
      const acked = first === null ? 0 : await work(time, first, () => dead);
      if (!dead) {
        left = await check(time, opened(first!), acked, 'to the end');
        break;
      }
      disk.crash();
      time.kill();
      await time.settle();
      time.kill();
      if (lost) for (const name of ['a', 'b']) await disk.remove(`data/checkpoint-${name}`);
      const again = await time.until(openTestEngine({ files: disk, time, limits: LIMITS }));
      await check(time, opened(again), acked, `call ${last}`);
      await time.advance(100);
      await check(time, opened(again), acked, `call ${last}, later`);
      await time.until(again.close());
      time.kill();
    }
    assert.ok(left < PUTS / 2, `${left} of ${PUTS} records are left: it was compacted`);
  });
}
