/** Reads that meet a gap, or a log that goes while they are under way. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BrokerError } from '#kit';
import { VirtualFiles } from '../files/virtual-files.ts';
import type { LogEngine } from '../log-engine.ts';
import {
  appended,
  dataBatch,
  openTestEngine,
  seededRandom,
  textOf,
  VirtualTime,
} from '../storage.fixture.ts';

const LOG = 7;
const CALM = { idleMarkMs: 60_000 };

/** Everything of a log in segments, and nothing of them in memory. */
async function inSegments(time: VirtualTime, disk: VirtualFiles): Promise<LogEngine> {
  const engine = await time.until(openTestEngine({ files: disk, time, limits: CALM }));
  const log = engine.open(LOG, 'fsync');
  for (let n = 0; n < 40; n++) await time.until(appended(log, dataBatch(`batch ${n}`, 4_000)));
  await time.advance(5_000);
  await time.until(engine.close());
  assert.ok(disk.paths.some((path) => path.endsWith('.seg')));
  return time.until(openTestEngine({ files: disk, time, limits: CALM }));
}

const refused = (code: string) => (error: BrokerError) => error.code === code;

test('a read from a write-ahead file ends before what is lost, and the next one tells of it R34', async () => {
  const disk = new VirtualFiles({ random: seededRandom(1) });
  const time = new VirtualTime();
  const engine = await time.until(openTestEngine({ files: disk, time, limits: CALM }));
  const log = engine.open(LOG, 'fsync');
  for (const text of ['a', 'b', 'c', 'd']) await time.until(appended(log, dataBatch(text)));
  disk.kill();
  time.kill();
  const wal = disk.paths.find((path) => path.includes('/wal-'))!;
  for (let byte = 512; byte < 576; byte++) disk.flip(wal, byte, 3);

  const later = new VirtualTime();
  const again = await later.until(openTestEngine({ files: disk, time: later, limits: CALM }));
  const found = again.open(LOG, 'fsync');
  const read = async (offset: number) => {
    const batches = await later.until(Promise.resolve(found.read(offset, 10_000)));
    return batches.map(textOf);
  };
  assert.deepEqual(await read(0), ['a']);
  assert.throws(() => found.read(1, 10_000), refused('damaged'));
  assert.deepEqual(await read(2), ['c', 'd']);
  await later.until(again.close());
});

test('a log that is trimmed while its directory is read says so', async () => {
  const disk = new VirtualFiles({ random: seededRandom(1) });
  const time = new VirtualTime();
  const engine = await inSegments(time, disk);
  const log = engine.open(LOG, 'fsync');
  const read = Promise.resolve(log.read(0, 10_000));
  log.trim(20);
  await assert.rejects(time.until(read), refused('offset-out-of-range'));
  const [first] = await time.until(Promise.resolve(log.read(20, 10_000)));
  assert.equal(textOf(first!), 'batch 20');
  await time.until(engine.close());
});

for (const known of [false, true]) {
  const when = known ? 'before a read' : 'while its directory is read';
  test(`a log that is removed ${when} is not there any more`, async () => {
    const disk = new VirtualFiles({ random: seededRandom(1) });
    const time = new VirtualTime();
    const engine = await inSegments(time, disk);
    const log = engine.open(LOG, 'fsync');
    if (known) await time.until(Promise.resolve(log.read(0, 10_000)));
    const read = known ? null : Promise.resolve(log.read(0, 10_000));
    log.remove();
    const late = read ?? (async () => log.read(0, 10_000))();
    await assert.rejects(time.until(late), refused('unknown-stream'));
    await time.until(engine.close());
  });
}
