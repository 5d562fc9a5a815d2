/** The mounted disk itself: what survives a cut, and what does not. */
import assert from 'node:assert/strict';
import { constants } from 'node:fs';
import {
  type FileHandle,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
} from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { ready } from '../clients/toolchains/toolchain.ts';
import { Seed } from '../load/seed.ts';
import { ForgetfulDisk } from './forgetful-disk.ts';
import { fuse } from './fuse-toolchain.ts';

const { folder, missing } = await ready(fuse);
const skip = missing === null ? false : `not run: ${missing}`;

describe('a disk that forgets what was not synced', { skip }, () => {
  let disk: ForgetfulDisk;
  const at = (name: string): string => path.join(disk.mountPoint, name);
  const text = (name: string): Promise<string> => readFile(at(name), 'utf8');

  beforeEach(async () => {
    const options = { toolchain: folder!, seed: new Seed(1), lies: false, writeBack: 0 };
    disk = await ForgetfulDisk.open(options);
  });
  afterEach(() => disk.close(false));

  async function put(name: string, content: string, synced: boolean): Promise<void> {
    const file = await open(at(name), 'w');
    await file.write(content);
    if (synced) await file.sync();
    await file.close();
  }

  async function syncNames(name = ''): Promise<void> {
    const handle = await open(at(name), 'r');
    await handle.sync();
    await handle.close();
  }

  /**
   * @param share of what was not synced that survives
   * @param open files that a process had open at the cut
   */
  async function cutAndRemount(share: number, open: readonly FileHandle[] = []): Promise<void> {
    await disk.cut(share);
    await disk.end();
    // Closing tells that the disk is gone.
    await Promise.allSettled(open.map((file) => file.close()));
    await disk.remount();
  }

  it('keeps the data of a file that was synced, and its name when the folder was R33', async () => {
    await put('whole', 'data', true);
    await put('empty', 'data', false);
    await syncNames();
    await put('nameless', 'data', true);
    assert.deepEqual((await readdir(at(''))).sort(), ['empty', 'nameless', 'whole']);
    await cutAndRemount(0);
    assert.deepEqual((await readdir(at(''))).sort(), ['empty', 'whole']);
    assert.deepEqual([await text('whole'), await text('empty')], ['data', '']);
  });

  it('takes back names that were changed and not synced, and never half a rename R33', async () => {
    await put('old', 'old', true);
    await put('new', 'new', true);
    await put('gone', 'gone', true);
    await mkdir(at('folder'));
    await syncNames();
    await rename(at('new'), at('old'));
    await rm(at('gone'));
    await link(at('old'), at('folder/link'));
    assert.equal(await text('old'), 'new');
    await cutAndRemount(0);
    assert.deepEqual((await readdir(at(''))).sort(), ['folder', 'gone', 'new', 'old']);
    assert.deepEqual([await text('old'), await text('new')], ['old', 'new']);
    assert.deepEqual(await readdir(at('folder')), []);
  });

  it('keeps the range of a write through the cache, and nothing beside it R33', async () => {
    await put('file', '.'.repeat(16_384), true);
    await syncNames();
    const plain = await open(at('file'), 'r+');
    const through = await open(at('file'), constants.O_WRONLY | constants.O_DSYNC);
    await plain.write('plain', 0);
    await through.write('through', 8_192);
    await plain.write('plain', 12_288);
    await cutAndRemount(0, [plain, through]);
    const content = await text('file');
    assert.equal(content.slice(0, 5), '.....');
    assert.equal(content.slice(8_192, 8_199), 'through');
    assert.equal(content.slice(12_288, 12_293), '.....');
    assert.equal(content.length, 16_384);
  });

  it('keeps some of what was not synced, in any order, when it is told to R33', async () => {
    await put('file', '.'.repeat(65_536), true);
    await syncNames();
    await put('file', 'x'.repeat(65_536), false);
    await cutAndRemount(0.5);
    const content = await text('file');
    assert.ok(content.includes('x'), 'something survived');
    assert.ok(/[^x]/.test(content), 'something did not');
  });
});
