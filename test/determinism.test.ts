/**
 * A simulation repeats a run byte for byte only while nothing asks the machine for time, chance or
 * threads behind the back of `Clock`, `Timers` and `Random`. Those places are named here.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTest, readFiles } from './source-files.ts';

/** Where the machine's own things are: made once, passed in everywhere else. */
const ALLOWED: readonly RegExp[] = [
  /^src\/kit\/real-time\.ts$/,
  /^src\/(net|server|admin|cli)\//,
  // Implementations for real disks, buckets and catalogues, which a simulation replaces.
  /^src\/storage\/(files\/(real-files|lock-file)|objects\/s3-[a-z]+)\.ts$/,
  /^src\/meta\/(sqlite-store|check-catalogue)\.ts$/,
];

/** What it is -> how it is written. */
const FORBIDDEN: readonly (readonly [what: string, pattern: RegExp])[] = [
  ['real timers', /\b(setTimeout|setInterval|setImmediate)\s*\(/],
  ['the order of ticks', /\b(process\.nextTick|queueMicrotask)\b/],
  ['the real clock', /\b(Date\.now|performance\.now|process\.hrtime)\b|\bnew Date\(\)/],
  ['real chance', /\bMath\.random\b/],
  ['collection of garbage', /\b(WeakRef|FinalizationRegistry)\b/],
  ['timers of the runtime', /from 'node:timers/],
  ['the real disk', /from 'node:fs/],
  ['the real network', /from 'node:(http|https|tls|dgram|dns)/],
  ['threads', /from 'node:(worker_threads|child_process)/],
];

/** Names of these modules that draw chance or work in the thread pool. */
const UNSURE_NAMES: Readonly<Record<string, RegExp>> = {
  'node:crypto': /^(random\w*|scrypt|pbkdf2|hkdf|generateKey\w*|webcrypto)$/,
  'node:zlib': /^(?!create|constants)\w+(?<!Sync)$/,
};

/** A simulation replaces them, or never gets there: its batches are too small. */
const REPLACED = new Set([
  'src/broker/records/large-batch.ts gunzip',
  'src/broker/records/large-batch.ts gzip',
  'src/broker/records/large-batch.ts zstdCompress',
  'src/broker/records/large-batch.ts zstdDecompress',
  'src/broker/principals/derive-key.ts scrypt',
  'src/broker/principals/derive-key.ts pbkdf2',
]);

const files = readFiles('src/**/*.ts').filter(
  ({ file }) =>
    !isTest(file) && !/\.rig\.ts$/.test(file) && !ALLOWED.some((pattern) => pattern.test(file)),
);

test('nothing below the server asks the machine for time, chance or threads R30', () => {
  const wrong: string[] = [];
  for (const { file, lines } of files) {
    lines.forEach((line, index) => {
      if (/^\s*(\/?\*|\/\/)/.test(line)) return;
      for (const [what, pattern] of FORBIDDEN) {
        if (pattern.test(line)) wrong.push(`${file}:${index + 1}: ${what}: ${line.trim()}`);
      }
    });
  }
  assert.deepEqual(wrong, []);
  assert.ok(files.length > 150, `only ${files.length} files were read`);
});

test('what draws chance or works in the thread pool can be replaced R30', () => {
  const found: string[] = [];
  for (const { file, text } of files) {
    for (const [module, unsure] of Object.entries(UNSURE_NAMES)) {
      const clause = new RegExp(`import \\{([^}]*)\\} from '${module}'`, 'g');
      for (const [, names = ''] of text.matchAll(clause)) {
        for (const name of names.split(',').map((each) => each.trim())) {
          if (unsure.test(name)) found.push(`${file} ${name}`);
        }
      }
    }
  }
  assert.deepEqual(
    found.filter((each) => !REPLACED.has(each)),
    [],
  );
  assert.equal(found.length, REPLACED.size, 'the reader of imports finds what is known');
});
