/** The suite runs every test file that there is. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { it } from 'node:test';

const ROOT = path.resolve(import.meta.dirname, '..');
const FOLDERS = ['src', 'test', 'bench', 'scripts', 'bin'];

it('every test file belongs to a group of the suite', () => {
  const suite = readFileSync(path.join(ROOT, 'scripts', 'test.mjs'), 'utf8');
  const patterns = [...suite.matchAll(/'([^']+\.test\.ts)'/g)].map(([, pattern]) => pattern!);
  assert.ok(patterns.length > 10);
  const run = new Set(patterns.flatMap((pattern) => globSync(pattern, { cwd: ROOT })));
  const all = FOLDERS.flatMap((folder) => globSync(`${folder}/**/*.test.ts`, { cwd: ROOT }));
  assert.deepEqual(
    all.filter((file) => !run.has(file)),
    [],
  );
});
