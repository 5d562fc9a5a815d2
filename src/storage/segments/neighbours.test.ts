/** Reads of logs that lie in many runs, from any offset and with any bound. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualFiles } from '../files/virtual-files.ts';
import type { ShardLog } from '../log-engine.ts';
import {
  dataBatch,
  factsOf,
  openTestEngine,
  seededRandom,
  textOf,
  VirtualTime,
} from '../storage.fixture.ts';

const LOGS = 12;
const BATCHES = 1_500;
const READS = 1_200;

test('a read across runs has no gap, and stops at its bound with the batch that reaches it', async () => {
  const time = new VirtualTime();
  const random = seededRandom(11);
  const below = (limit: number): number => Math.floor(random.next() * limit);
  const disk = new VirtualFiles({ random });
  const engine = await time.until(openTestEngine({ files: disk, time }));
  const logs = Array.from({ length: LOGS }, (_, index) =>
    engine.open(index * 97 * 2 ** 40 + 1, 'fsync'),
  );
  for (let count = 0; count < BATCHES; count++) {
    const log = logs[below(LOGS)]!;
    const facts = factsOf({ count: 1 + below(3) });
    log.append(dataBatch(`${log.id}/${log.endOffset}`, below(2_000)), facts);
    if (count % 8 === 7) await time.until(engine.flushed());
  }
  await time.until(engine.flushed());
  await time.advance(5_000);
  const segments = disk.paths.filter((path) => path.endsWith('.seg'));
  assert.ok(segments.length >= 4, `${segments.length} segments`);

  for (let count = 0; count < READS; count++) {
    const log = logs[below(LOGS)]!;
    const bytesMax = 2 ** below(18);
    await readOnce(time, log, below(log.highWatermark), bytesMax);
  }
  await time.until(engine.close());
});

async function readOnce(time: VirtualTime, log: ShardLog, offset: number, bytesMax: number) {
  const batches = await time.until(Promise.resolve(log.read(offset, bytesMax)));
  const [first] = batches;
  assert.ok(first !== undefined, `nothing at ${offset}`);
  assert.ok(first.baseOffset <= offset && offset < first.baseOffset + first.count);
  let [next, before] = [first.baseOffset, 0];
  for (const batch of batches) {
    assert.equal(batch.baseOffset, next);
    assert.equal(textOf(batch), `${log.id}/${next}`);
    assert.ok(before < bytesMax, `${before} bytes before the last batch of ${bytesMax}`);
    next += batch.count;
    before += batch.bytes.length;
  }
}
