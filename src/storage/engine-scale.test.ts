/** What must not grow: memory per idle log, memory with what is stored, the time of a start. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { realFiles } from './files/real-files.ts';
import { dataBatch, factsOf, openTestEngine, temporaryDirectory } from './storage.fixture.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function usedBytes(): number {
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const LIMITS = {
  walFileBytes: 2 ** 20,
  entryBytesMax: 2 ** 19,
  entryBytesSoft: 2 ** 18,
  inFlightBytesMax: 2 ** 20,
  cacheBytes: 2 ** 20,
  segmentBytesMax: 2 ** 20,
};

test('an idle log costs well under 700 bytes, one with reorganised data little more', async () => {
  const { path, remove } = temporaryDirectory();
  const engine = await openTestEngine({ files: realFiles, directory: path, limits: LIMITS });
  const count = 20_000;
  const before = usedBytes();
  for (let id = 1; id <= count; id++) engine.open(id, 'fsync');
  const idle = (usedBytes() - before) / count;
  assert.ok(idle < 400, `${idle} bytes per idle log`);
  for (let id = 1; id <= count; id++) {
    if (engine.busy) await new Promise<void>((resolve) => engine.onRoom(resolve));
    engine.open(id, 'fsync').append(dataBatch('x'), factsOf());
  }
  await engine.flushed();
  await engine.checkpoint();
  const filled = (usedBytes() - before - 4 * 2 ** 20) / count;
  assert.ok(filled < 700, `${filled} bytes per log with data`);
  await engine.close();
  remove();
});

test('stored batches do not stay in memory, and a start does not read them', async () => {
  const { path, remove } = temporaryDirectory();
  const setup = { files: realFiles, directory: path, limits: LIMITS };
  let engine = await openTestEngine(setup);
  const log = engine.open(1, 'fsync');
  const fill = async (batches: number): Promise<number> => {
    for (let n = 0; n < batches; n++) {
      if (engine.busy) await new Promise<void>((resolve) => engine.onRoom(resolve));
      log.append(dataBatch('x', 2_000), factsOf({ count: 100 }));
    }
    await engine.flushed();
    await engine.checkpoint();
    return usedBytes();
  };
  const first = await fill(4_000);
  const second = await fill(12_000);
  assert.ok(second - first < 3 * 2 ** 20, `${second - first} bytes more for 24 MB`);
  await engine.close();
  engine = await openTestEngine(setup);
  assert.equal(engine.open(1, 'fsync').highWatermark, 1_600_000);
  const { milliseconds, entriesReplayed } = engine.report;
  assert.ok(entriesReplayed < 200, `${entriesReplayed} entries were replayed`);
  assert.ok(milliseconds < 1_000, `the start took ${milliseconds} ms`);
  const [batch] = await engine.open(1, 'fsync').read(800_050, 1);
  assert.equal(batch?.baseOffset, 800_000);
  await engine.close();
  remove();
});
