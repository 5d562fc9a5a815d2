/** A place of a write-ahead file that the disk cannot read, met when its batches are copied. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Files, OpenFile } from '../files/files.ts';
import { VirtualFiles } from '../files/virtual-files.ts';
import { appended, dataBatch, openTestEngine, seededRandom } from '../storage.fixture.ts';

const LOGS = 5;
/** Of each log in the first file, and so much more that the file is reorganised. */
const BATCHES = 120;

/** The disk fails reads of the first write-ahead file that touch this byte. */
function failingAt(disk: Files, byte: number): { files: Files; failed: () => number } {
  let failed = 0;
  const faulty = (file: OpenFile): OpenFile =>
    new Proxy(file, {
      get(target, name: keyof OpenFile) {
        // A promise asks whether it has a `then`.
        if (name !== 'read') return target[name]?.bind(target);
        return async (to: Uint8Array, position: number): Promise<number> => {
          if (position > byte || position + to.length <= byte) return target.read(to, position);
          failed++;
          throw Object.assign(new Error('EIO'), { code: 'EIO' });
        };
      },
    });
  const open = async (path: string, create: boolean): Promise<OpenFile> => {
    const file = await disk.open(path, create);
    return path.endsWith('wal-0000000001.log') ? faulty(file) : file;
  };
  return { files: { ...disk, open }, failed: () => failed };
}

test('what cannot be read is reported by its offsets, and the rest is copied', async () => {
  const disk = new VirtualFiles({ random: seededRandom(1) });
  const { files, failed } = failingAt(disk.mount(), 20_000);
  const engine = await openTestEngine({ files, limits: { adoptedStretchBytes: 65_536 } });
  const logs = Array.from({ length: LOGS }, (_, index) => engine.open(index + 1, 'fsync'));
  const sent = logs.map(() => [] as string[]);
  for (let n = 0; n < BATCHES; n++) {
    await Promise.all(
      logs.map((log, index) => {
        sent[index]!.push(`${index}-${n}`);
        return appended(log, dataBatch(`${index}-${n}`, 300));
      }),
    );
  }
  await engine.checkpoint();
  assert.ok(failed() > 0, 'the place was met');
  assert.equal(engine.health, 'ok');
  let read = 0;
  for (const log of logs) {
    for (let offset = 0; offset < log.highWatermark; offset++) {
      const found = await Promise.resolve(log.read(offset, 1)).catch((error: unknown) => {
        assert.equal((error as { code: string }).code, 'damaged');
        return [];
      });
      read += found.length;
    }
  }
  assert.ok(read > (LOGS * BATCHES) / 2 && read < LOGS * BATCHES, `${read} batches are left`);
  await engine.close();
});
