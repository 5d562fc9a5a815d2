/** What is appended in one synchronous stretch is committed together, however large it is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BrokerError } from '#kit';
import { VirtualFiles } from '../files/virtual-files.ts';
import {
  appended,
  dataBatch,
  factsOf,
  openTestEngine,
  readAll,
  seededRandom,
  VirtualTime,
} from '../storage.fixture.ts';

const BATCHES = 12;
const LIMITS = { entryBytesMax: 8_192, inFlightBytesMax: 200_000, walFileBytes: 65_536 };

test('a crash at any write of a stretch of several entries keeps all of it or nothing X62', async () => {
  const outcomes = new Set<number>();
  for (let crashAt = 1; crashAt <= 12; crashAt++) {
    for (let seed = 0; seed < 8; seed++) {
      const files = new VirtualFiles({ random: seededRandom(seed) });
      let engine = await openTestEngine({ files: files.mount(), limits: LIMITS });
      const before = engine.open(1, 'fsync');
      before.append(dataBatch('before'), factsOf());
      await engine.flushed();
      let acknowledged = 0;
      let writes = 0;
      let reached: () => void = () => {};
      const crashed = new Promise<void>((resolve) => {
        reached = resolve;
      });
      files.fault = (call) => {
        if (call === 'write' && ++writes === crashAt) reached();
      };
      for (let n = 0; n < BATCHES; n++) {
        const log = engine.open(2 + (n % 3), 'fsync');
        log.append(dataBatch(`m${n}`, 2_000), factsOf(), (error) => {
          if (error === null) acknowledged++;
        });
      }
      await Promise.race([crashed, engine.flushed()]);
      files.fault = null;
      assert.ok(acknowledged === 0 || acknowledged === BATCHES, `${acknowledged} were told`);
      files.crash();
      engine = await openTestEngine({ files: files.mount(), limits: LIMITS });
      let kept = 0;
      for (const id of [2, 3, 4]) kept += (await readAll(engine.open(id, 'fsync'))).length;
      assert.ok(kept === 0 || kept === BATCHES, `${kept} of ${BATCHES} are there`);
      if (acknowledged > 0) assert.equal(kept, BATCHES);
      assert.equal((await readAll(engine.open(1, 'fsync'))).length, 1);
      assert.deepEqual(engine.report.damaged, []);
      outcomes.add(kept);
      const after = engine.open(5, 'fsync');
      after.append(dataBatch('after'), factsOf());
      await engine.flushed();
      files.crash();
      engine = await openTestEngine({ files: files.mount(), limits: LIMITS });
      assert.deepEqual(engine.report.damaged, [], 'a tail that was cut is not judged anew');
      assert.equal((await readAll(engine.open(5, 'fsync'))).length, 1);
      await engine.close();
    }
  }
  assert.deepEqual(
    [...outcomes].sort((a, b) => a - b),
    [0, BATCHES],
    'both were seen',
  );
});

test('what hooks append to a stretch of several entries counts with it X62', async () => {
  const files = new VirtualFiles({ random: seededRandom(7) });
  const engine = await openTestEngine({ files, limits: LIMITS });
  const [data, references] = [engine.open(1, 'fsync'), engine.open(2, 'fsync')];
  let wanted = 0;
  engine.beforeSeal(() => {
    for (; wanted > 0; wanted--) references.append(dataBatch('ref'), factsOf());
  });
  const seen: number[] = [];
  for (let n = 0; n < BATCHES; n++) {
    wanted++;
    data.append(dataBatch(`m${n}`, 2_000), factsOf(), () => seen.push(references.highWatermark));
  }
  await engine.flushed();
  assert.deepEqual(seen, new Array(BATCHES).fill(BATCHES), 'no answer before the references');
  await engine.close();
});

test('when a stretch cannot be written to its end, everybody in it is told X62', async () => {
  const disk = new VirtualFiles({ random: seededRandom(1) });
  const time = new VirtualTime();
  const engine = await time.until(openTestEngine({ files: disk, time }));
  const log = engine.open(1, 'fsync');
  await time.until(appended(log, dataBatch('first')));
  await time.advance(2_000);
  let writes = 0;
  disk.fault = (call) => {
    if (call === 'write' && ++writes === 2) throw new Error('a bad disk');
  };
  const told: string[] = [];
  for (let n = 0; n < 3; n++) {
    const note = (error: BrokerError | null): void => void told.push(error?.code ?? 'done');
    log.append(dataBatch(`${n}`, 20_000), factsOf(), note);
  }
  await time.advance(100);
  assert.equal(writes, 2, 'the stretch has several entries');
  assert.deepEqual(told, ['storage-failed', 'storage-failed', 'storage-failed']);
  assert.equal(log.highWatermark, 1);
  await time.until(engine.close());
});
