/** What every implementation of `Files` must do; run by `files.test.ts` for each. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BrokerError } from '#kit';
import type { Files } from './files.ts';

export interface FilesUnderTest {
  readonly files: Files;
  readonly directory: string;
  readonly end: () => void;
}

const at = (text: string): Buffer => Buffer.from(text);

export function filesContract(name: string, make: () => FilesUnderTest): void {
  const check = (title: string, body: (files: Files, directory: string) => Promise<void>): void => {
    test(`${name}: ${title}`, async () => {
      const { files, directory, end } = make();
      try {
        await files.ensureDirectory(directory);
        await body(files, directory);
      } finally {
        end();
      }
    });
  };

  check('what is written is read, chunk after chunk, from any position', async (files, dir) => {
    const file = await files.open(`${dir}/a`, true);
    await file.write([at('hello '), at(''), at('world')], 0);
    await file.writeThrough([at('W')], 6);
    await file.sync();
    const target = Buffer.alloc(20);
    assert.equal(await file.read(target, 0), 11);
    assert.equal(target.toString('latin1', 0, 11), 'hello World');
    assert.equal(file.readSync(target.subarray(0, 5), 6), 5);
    assert.equal(target.toString('latin1', 0, 5), 'World');
    assert.equal(await file.read(target, 11), 0);
    assert.equal(await file.read(target, 500), 0);
    assert.equal(await file.size(), 11);
    await file.close();
  });

  check('a write beyond the end leaves zeros between', async (files, dir) => {
    const file = await files.open(`${dir}/a`, true);
    await file.write([at('x')], 3);
    const target = Buffer.alloc(4, 1);
    assert.equal(await file.read(target, 0), 4);
    assert.deepEqual([...target], [0, 0, 0, 120]);
    await file.truncate(2);
    assert.equal(await file.size(), 2);
    await file.truncate(5);
    assert.equal(await file.read(target, 1), 4);
    assert.deepEqual([...target], [0, 0, 0, 0]);
    await file.close();
  });

  check('several thousand chunks are one write', async (files, dir) => {
    const file = await files.open(`${dir}/a`, true);
    const chunks = Array.from({ length: 2_500 }, (_, index) => at(String(index % 10)));
    await file.write(chunks, 0);
    await file.writeThrough(chunks, 2_500);
    const target = Buffer.alloc(5_000);
    assert.equal(await file.read(target, 0), 5_000);
    assert.equal(target.toString('latin1'), '0123456789'.repeat(500));
    await file.close();
  });

  check(
    'names are listed sorted, renamed over others, removed, and kept apart',
    async (files, dir) => {
      assert.deepEqual(await files.list(`${dir}/nowhere`), []);
      for (const name of ['b', 'a', 'c']) {
        const file = await files.open(`${dir}/${name}`, true);
        await file.write([at(name)], 0);
        await file.close();
      }
      assert.deepEqual(await files.list(dir), ['a', 'b', 'c']);
      await files.rename(`${dir}/a`, `${dir}/c`);
      await files.remove(`${dir}/b`);
      await files.remove(`${dir}/b`);
      assert.deepEqual(await files.list(dir), ['c']);
      const file = await files.open(`${dir}/c`, false);
      const target = Buffer.alloc(1);
      await file.read(target, 0);
      assert.equal(target.toString(), 'a');
      await file.close();
      await assert.rejects(files.open(`${dir}/gone`, false), { code: 'ENOENT' });
    },
  );

  check('an open file stays usable when it is renamed', async (files, dir) => {
    const file = await files.open(`${dir}/a`, true);
    await files.rename(`${dir}/a`, `${dir}/b`);
    await file.writeThrough([at('moved')], 0);
    const target = Buffer.alloc(5);
    await file.read(target, 0);
    assert.equal(target.toString(), 'moved');
    await file.close();
  });

  check(
    'a lock has one holder, and can be taken again when it was given back',
    async (files, dir) => {
      const unlock = await files.lock(`${dir}/lock`);
      await assert.rejects(files.lock(`${dir}/lock`), (error) => {
        return error instanceof BrokerError && error.code === 'precondition-failed';
      });
      await unlock();
      const again = await files.lock(`${dir}/lock`);
      await again();
    },
  );

  check('the space of the file system is known', async (files, dir) => {
    const { free, total } = await files.space(dir);
    assert.ok(free > 0 && total >= free);
  });
}
