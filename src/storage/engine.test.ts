import assert from 'node:assert/strict';
import { test } from 'node:test';
import { realFiles } from './real-files.ts';
import {
  appended,
  dataBatch,
  openTestEngine,
  readAll,
  seededRandom,
  temporaryDirectory,
  textOf,
} from './storage.fixture.ts';
import { VirtualFiles } from './virtual-files.ts';

for (const kind of ['virtual', 'real'] as const) {
  test(`what was acknowledged is there after a restart (${kind} files)`, async () => {
    const place = kind === 'real' ? temporaryDirectory() : null;
    const files = place === null ? new VirtualFiles({ random: seededRandom(1) }) : realFiles;
    const directory = place?.path ?? 'data';
    try {
      let engine = await openTestEngine({ files, directory });
      const log = engine.open(5, 'fsync');
      for (let n = 0; n < 300; n++) await appended(log, dataBatch(`message ${n}`, 200));
      assert.equal((await readAll(log)).length, 300);
      await engine.close();
      engine = await openTestEngine({ files, directory });
      assert.deepEqual(engine.report.damaged, []);
      const again = engine.open(5, 'fsync');
      assert.equal(again.highWatermark, 300);
      const texts = (await readAll(again)).map(textOf);
      assert.deepEqual(
        texts,
        Array.from({ length: 300 }, (_, n) => `message ${n}`),
      );
      await engine.close();
    } finally {
      place?.remove();
    }
  });
}
