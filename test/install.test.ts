/** What brings the dependencies before `npm start` and `npm test`, run as a user would. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';

const SCRIPT = path.resolve(import.meta.dirname, '../scripts/install.mjs');

test('an installation through a symbolic link is refused, and nothing behind it is touched', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'robustmq-install-'));
  try {
    const copy = path.join(folder, 'copy');
    const modules = path.join(folder, 'original');
    await mkdir(path.join(copy, 'scripts'), { recursive: true });
    await mkdir(path.join(modules, 'kept'), { recursive: true });
    await cp(SCRIPT, path.join(copy, 'scripts/install.mjs'));
    await writeFile(path.join(copy, 'package.json'), '{"name":"copy","version":"1.0.0"}');
    await writeFile(path.join(copy, 'package-lock.json'), '{"lockfileVersion":3,"packages":{}}');
    await symlink(modules, path.join(copy, 'node_modules'));
    const program = path.join(copy, 'scripts/install.mjs');
    const { status, stderr } = spawnSync(process.execPath, [program], { encoding: 'utf8' });
    assert.equal(status, 1);
    assert.match(stderr, /node_modules is a symbolic link: installing would empty/);
    assert.deepEqual(await readdir(modules), ['kept']);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
