/** What a disk can do to the engine: flip bits, fail a sync, fill up, tear a write. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BrokerError } from '#kit';
import { VirtualFiles } from './files/virtual-files.ts';
import type { LogEngine, ShardLog } from './log-engine.ts';
import {
  appended,
  dataBatch,
  factsOf,
  openTestEngine,
  readAll,
  SMALL_LIMITS,
  seededRandom,
  textOf,
  VirtualTime,
} from './storage.fixture.ts';

const LOGS = [11, 12, 13];

interface Rig {
  readonly time: VirtualTime;
  readonly disk: VirtualFiles;
  open(disk?: VirtualFiles): Promise<LogEngine>;
}

function rig(limits: Parameters<typeof openTestEngine>[0]['limits'] = {}, seed = 7): Rig {
  const time = new VirtualTime();
  const disk = new VirtualFiles({ random: seededRandom(seed), timers: time });
  const open = (files = disk) => time.until(openTestEngine({ files, time, limits }));
  return { time, disk, open };
}

/** Reads everything that is served; offsets that are refused as damaged are given back. */
async function survey(time: VirtualTime, log: ShardLog) {
  const texts = new Map<number, string>();
  const damaged: number[] = [];
  for (let offset = log.startOffset; offset < log.highWatermark; ) {
    try {
      const batches = await time.until(Promise.resolve(log.read(offset, 2_000)));
      assert.ok(batches.length > 0);
      for (const batch of batches) texts.set(batch.baseOffset, textOf(batch));
      const last = batches.at(-1)!;
      offset = last.baseOffset + last.count;
    } catch (error) {
      assert.ok(error instanceof BrokerError && error.code === 'damaged', String(error));
      const { from, to } = error.details as { from: number; to: number };
      assert.ok(from <= offset && to > offset, 'the range holds the offset');
      for (; offset < to; offset++) damaged.push(offset);
    }
  }
  return { texts, damaged };
}

/** A disk with segments, full and part-filled write-ahead files, two checkpoints, after a kill. */
async function storedDisk(how: 'kill' | 'close', trimTo = 0) {
  const { time, disk, open } = rig({ walFileBytes: 8_192, entryBytesMax: 4_096 });
  const engine = await open();
  for (let n = 0; n < 60; n++) {
    for (const id of LOGS) {
      engine.open(id, 'fsync').append(dataBatch(`${id}/${n}`, 120), factsOf());
    }
    await time.advance(n % 10 === 0 ? 20 : 1);
  }
  if (trimTo > 0) engine.open(LOGS[1]!, 'fsync').trim(trimTo);
  await time.advance(100);
  if (how === 'close') await time.until(engine.close());
  else disk.kill();
  time.kill();
  return { time, disk, open };
}

for (const how of ['kill', 'close'] as const) {
  test(`a flipped bit anywhere is never served and never hides more than it hit, after ${how} R34`, async () => {
    const { time, disk, open } = await storedDisk(how);
    assert.ok(disk.paths.some((path) => path.endsWith('.seg')));
    let [refused, tried] = [0, 0];
    for (const path of disk.paths) {
      const size = disk.sizeOf(path);
      for (let byte = 0; byte < size; byte += path.endsWith('.log') ? 127 : 197) {
        const copy = disk.clone();
        copy.flip(path, byte, byte % 8);
        const engine = await open(copy);
        for (const id of LOGS) {
          assert.ok(engine.has(id), `log ${id} is known after ${path} ${byte}`);
          const log = engine.open(id, 'fsync');
          const { texts, damaged } = await survey(time, log);
          assert.equal(log.highWatermark, 60, `${path} ${byte}: all offsets are accounted for`);
          assert.ok(damaged.length <= 1, `${path} ${byte}: ${damaged}`);
          for (const [offset, text] of texts) assert.equal(text, `${id}/${offset}`);
          assert.equal(texts.size + damaged.length, 60);
          refused += damaged.length;
        }
        tried++;
        time.kill();
      }
    }
    assert.ok(tried > 100 && refused > 25, `${refused} of ${tried} flips hit a body`);
  });
}

test('a write-ahead entry that is lost as a whole is reported, and what follows is served', async () => {
  const { time, disk, open } = rig();
  const engine = await open();
  const log = engine.open(1, 'fsync');
  for (let n = 0; n < 5; n++) await time.until(appended(log, dataBatch(`m${n}`, 3_000)));
  await time.advance(50);
  disk.kill();
  time.kill();
  const path = disk.paths.find((name) => name.endsWith('1.log'))!;
  const bytes = disk.bytesOf(path);
  const second = bytes.indexOf('RMQE', 512);
  for (let at = second; at < second + 1_024; at++) disk.flip(path, at, 3);
  const again = await open();
  assert.deepEqual(
    again.report.damaged.map(({ logId, from, to }) => [logId, from, to]),
    [
      [-1, 2, 3],
      [1, 1, 2],
      [1, 1, 2],
    ],
  );
  const { texts, damaged } = await survey(time, again.open(1, 'fsync'));
  assert.deepEqual(damaged, [1]);
  assert.deepEqual([...texts.values()], ['m0', 'm2', 'm3', 'm4']);
});

test('a failed sync is final: waiting and later appends are refused, committed data is read', async () => {
  const { time, disk, open } = rig();
  const engine = await open();
  const changes: string[] = [];
  engine.onHealth((health) => changes.push(health));
  const log = engine.open(1, 'fsync');
  await time.until(appended(log, dataBatch('kept')));
  disk.fault = (call, path) => {
    if (call === 'sync' && path.includes('wal-'))
      throw Object.assign(new Error('EIO'), { code: 'EIO' });
  };
  const outcomes: (string | undefined)[] = [];
  for (const text of ['a', 'b'])
    log.append(dataBatch(text), factsOf(), (e) => outcomes.push(e?.code));
  await time.settle();
  assert.deepEqual(outcomes, ['storage-failed', 'storage-failed']);
  disk.fault = null;
  assert.equal(engine.health, 'failed');
  assert.deepEqual(changes, ['failed']);
  assert.throws(() => log.append(dataBatch('c'), factsOf()), { code: 'storage-failed' });
  await assert.rejects(engine.flushed(), { code: 'storage-failed' });
  assert.equal(log.highWatermark, 1);
  assert.deepEqual((await readAll(log)).map(textOf), ['kept']);
  await time.until(engine.close());
});

test('a failed write tells everybody who waits, in append order', async () => {
  const { time, disk, open } = rig();
  const engine = await open();
  const order: number[] = [];
  disk.fault = (call, path) => {
    if (call === 'write' && path.includes('wal-'))
      throw Object.assign(new Error('EIO'), { code: 'EIO' });
  };
  const [a, b] = [engine.open(1, 'fsync'), engine.open(2, 'fsync')];
  for (let n = 0; n < 6; n++)
    (n % 2 === 0 ? a : b).append(dataBatch(`${n}`), factsOf(), () => order.push(n));
  await time.settle();
  assert.deepEqual(order, [0, 1, 2, 3, 4, 5]);
});

test('a full disk refuses data but takes state, and goes on when trimmed data is gone', async () => {
  const { time, disk, open } = rig({ walFileBytes: 16_384, entryBytesMax: 8_192 });
  disk.capacityBytes = 200_000;
  const engine = await open();
  const changes: string[] = [];
  engine.onHealth((health) => changes.push(health));
  const log = engine.open(1, 'fsync');
  const acked: string[] = [];
  for (let n = 0; n < 500 && engine.health === 'ok'; n++) {
    const text = `m${n}`;
    try {
      log.append(dataBatch(text, 1_500), factsOf(), (error) => error === null && acked.push(text));
    } catch (error) {
      assert.ok(['storage-full', 'busy'].includes((error as BrokerError).code));
    }
    await time.advance(2);
  }
  assert.equal(engine.health, 'full');
  assert.throws(() => log.append(dataBatch('x'), factsOf()), { code: 'storage-full' });
  const state = engine.open(2, 'fsync');
  await time.until(appended(state, Buffer.from('an ack'), { kind: 'state' }));
  assert.deepEqual(
    (await time.until(readAll(log))).map(textOf),
    acked,
    'nothing acknowledged is lost',
  );
  log.trim(log.highWatermark);
  await time.advance(20_000);
  assert.equal(engine.health, 'ok');
  assert.deepEqual(changes, ['full', 'ok']);
  await time.until(appended(log, dataBatch('after')));
  await time.until(engine.close());
  const again = await open();
  assert.deepEqual(again.report.damaged, []);
  const texts = (await time.until(readAll(again.open(1, 'fsync')))).map(textOf);
  assert.deepEqual(texts, ['after']);
});

test('an engine with a full disk closes: what waits is told, what was acknowledged stays', async () => {
  const { time, disk, open } = rig({ walFileBytes: 16_384, entryBytesMax: 8_192 });
  disk.capacityBytes = 60_000;
  const engine = await open();
  const log = engine.open(1, 'fsync');
  const outcomes: (string | undefined)[] = [];
  const append = (): void => {
    log.append(dataBatch('m', 6_000), factsOf(), (error) => outcomes.push(error?.code));
  };
  append();
  await time.until(engine.flushed());
  try {
    for (;;) append();
  } catch (error) {
    assert.equal((error as BrokerError).code, 'busy');
  }
  await time.advance(50);
  assert.equal(engine.health, 'full');
  await time.until(engine.close());
  const acked = outcomes.filter((code) => code === undefined).length;
  assert.ok(acked > 0 && outcomes.includes('storage-failed'));
  disk.capacityBytes = Number.POSITIVE_INFINITY;
  const again = await open();
  assert.ok(again.open(1, 'fsync').highWatermark >= acked);
});

test('a disk that is full at the start still serves reads', async () => {
  const { time, disk, open } = rig();
  const engine = await open();
  await time.until(appended(engine.open(1, 'fsync'), dataBatch('kept')));
  disk.kill();
  time.kill();
  for (const path of disk.paths) if (path.endsWith('2.log')) await disk.remove(path);
  disk.capacityBytes = disk.usedBytes;
  const again = await open();
  assert.equal(again.health, 'full');
  assert.deepEqual((await time.until(readAll(again.open(1, 'fsync')))).map(textOf), ['kept']);
});

for (const trimTo of [0, 30, 57, 60]) {
  test(`without checkpoints heads come back from segments, with a report (trim ${trimTo})`, async () => {
    const { time, disk, open } = await storedDisk('kill', trimTo);
    for (const name of ['a', 'b']) disk.flip(`data/checkpoint-${name}`, 20, 1);
    const engine = await open();
    assert.equal(engine.report.damaged.length, 2);
    for (const id of LOGS) {
      const log = engine.open(id, 'fsync');
      const from = id === LOGS[1] ? trimTo : 0;
      const texts = (await time.until(readAll(log))).map(textOf);
      assert.deepEqual(
        texts,
        Array.from({ length: 60 - from }, (_, n) => `${id}/${n + from}`),
      );
      assert.deepEqual([log.startOffset, log.endOffset], [from, 60]);
    }
  });
}

test('older entries in a recycled file are not taken for new ones', async () => {
  const { time, disk, open } = rig({ walFileBytes: 8_192, entryBytesMax: 4_096 });
  let engine = await open();
  for (let life = 0; life < 6; life++) {
    const log = engine.open(1, 'fsync');
    for (let n = 0; n < 30; n++) await time.until(appended(log, dataBatch(`${life}.${n}`, 300)));
    await time.advance(50);
    disk.crash();
    time.kill();
    engine = await open();
    assert.deepEqual(engine.report.damaged, []);
    assert.equal(engine.open(1, 'fsync').highWatermark, (life + 1) * 30);
  }
  const texts = (await time.until(readAll(engine.open(1, 'fsync')))).map(textOf);
  assert.equal(new Set(texts).size, 180);
  assert.ok(disk.usedBytes < 400_000, 'write-ahead files were used again');
});

test('a torn entry is cut, counted, and not called damage', async () => {
  let torn = 0;
  for (let seed = 0; seed < 12; seed++) {
    const { time, disk, open } = rig({}, seed);
    const engine = await open();
    const log = engine.open(1, 'fsync');
    await time.until(appended(log, dataBatch('whole')));
    await time.advance(20);
    disk.latencyMs = 5;
    log.append(dataBatch('torn'.repeat(1_500)), factsOf(), () => assert.fail('never acknowledged'));
    await time.advance(2);
    disk.latencyMs = 0;
    disk.survival = 0.5;
    disk.crash();
    time.kill();
    const again = await open();
    assert.deepEqual(again.report.damaged, []);
    assert.deepEqual((await time.until(readAll(again.open(1, 'fsync')))).map(textOf), ['whole']);
    if (again.report.tornBytes > 6_000) torn++;
  }
  assert.ok(torn >= 3, `${torn} of 12 left their header behind`);
});

test('a second engine on the same directory is refused', async () => {
  const { time, disk, open } = rig(SMALL_LIMITS);
  await open();
  await assert.rejects(time.until(openTestEngine({ files: disk, time })), {
    code: 'precondition-failed',
  });
});

test('power that fails at any moment of the very first start is not told as damage R31', async () => {
  for (let calls = 1; ; calls++) {
    const { time, disk, open } = rig();
    let left = calls;
    disk.watch = () => {
      if (--left === 0) disk.crash();
    };
    // What the cut overtakes never ends, so nobody waits for it.
    void openTestEngine({ files: disk, time });
    await time.advance(20);
    disk.watch = null;
    if (left > 0) {
      assert.ok(calls > 5, 'a start changes the disk');
      return;
    }
    const engine = await open();
    assert.deepEqual(engine.report.damaged, [], `after change ${calls}`);
    await time.until(engine.close());
  }
});
