/** Who may know whom: every import under src against the table of docs/architecture.md. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { type Import, importsOf, isTest, readFiles } from './source-files.ts';

type Way = 'all' | 'types';
type Allowed = Readonly<Record<string, Way>>;

/** Room -> rooms that it may import, and whether only their types. `*` is every room. */
const TABLE: Readonly<Record<string, Allowed>> = {
  kit: {},
  storage: { kit: 'all' },
  meta: { kit: 'all' },
  broker: { kit: 'all', storage: 'all', meta: 'all' },
  contract: { kit: 'types', broker: 'types' },
  // Each protocol is a room of its own; none may import another one.
  'protocols/*': { kit: 'all', broker: 'all', contract: 'types' },
  // The list of protocols, nothing else.
  protocols: { contract: 'types', 'protocols/*': 'all' },
  net: { kit: 'all', contract: 'types' },
  admin: { kit: 'all', broker: 'all', contract: 'types' },
  cli: { kit: 'all', admin: 'types' },
  server: { '*': 'all' },
};

/** Tests stand beside the code and may use what tests share, and real parts below them. */
const TEST_ROOMS: Allowed = { kit: 'all', test: 'all' };

/** `src/broker/broker.ts` -> `broker`; `src/protocols/nats/parser.ts` -> `protocols/nats`. */
function roomOf(file: string): string {
  const [top, first = '', second = ''] = file.split('/');
  if (top !== 'src') return top ?? '';
  if (first !== 'protocols' || second.endsWith('.ts')) return first;
  return `protocols/${second}`;
}

function rowOf(room: string): Allowed | undefined {
  return TABLE[room] ?? (room.startsWith('protocols/') ? TABLE['protocols/*'] : undefined);
}

function wayTo(row: Allowed, room: string): Way | undefined {
  const family = room.startsWith('protocols/') ? row['protocols/*'] : undefined;
  return row[room] ?? family ?? row['*'];
}

/** What is wrong with one import; null when it is allowed. */
function objection(file: string, { from, typeOnly }: Import): string | null {
  const room = roomOf(file);
  const row = rowOf(room);
  if (row === undefined) return `the room ${room} is not in the table`;
  if (from.startsWith('#')) {
    const target = from.slice(1);
    if (rowOf(target) === undefined) return `there is no room ${target}`;
    if (target === room) return 'a room does not come in by its own door';
    return judge(row, target, typeOnly, `${room} may not import ${target}`);
  }
  if (!from.startsWith('.')) return null;
  const target = roomOf(path.posix.join(path.posix.dirname(file), from));
  if (target === room) return null;
  if (isTest(file)) return judge(TEST_ROOMS, target, typeOnly, `a test may not reach ${target}`);
  return `${target} has a door: import it by its short name`;
}

function judge(row: Allowed, target: string, typeOnly: boolean, no: string): string | null {
  const way = wayTo(row, target);
  if (way === undefined) return no;
  return way === 'types' && !typeOnly ? `${no} but for its types` : null;
}

const files = readFiles('src/**/*.ts');

test('every import is allowed by the table of rooms', () => {
  const wrong: string[] = [];
  let count = 0;
  for (const { file, text } of files) {
    for (const each of importsOf(text)) {
      count++;
      const no = objection(file, each);
      if (no !== null) wrong.push(`${file}: '${each.from}': ${no}`);
    }
  }
  assert.deepEqual(wrong, []);
  // A reader that finds nothing would agree with everything.
  assert.ok(files.length > 50, `only ${files.length} files were read`);
  assert.ok(count > 200, `only ${count} imports were found`);
});

test('every room of the table has files and a door', () => {
  const rooms = new Set(files.map(({ file }) => roomOf(file)));
  for (const room of Object.keys(TABLE)) {
    if (room === 'protocols/*') continue;
    assert.ok(rooms.has(room), `no file of ${room} was read`);
  }
  const doors = new Set(files.map(({ file }) => file));
  for (const room of rooms) assert.ok(doors.has(`src/${room}/index.ts`), `${room} has no door`);
});

test('the table refuses what it should', () => {
  const typed = { typeOnly: true };
  const used = { typeOnly: false };
  for (const [file, each] of [
    ['src/kit/a.ts', { from: '#broker', ...typed }],
    ['src/storage/a.ts', { from: '#meta', ...used }],
    ['src/broker/a.ts', { from: '#contract', ...typed }],
    ['src/contract/a.ts', { from: '#broker', ...used }],
    ['src/net/a.ts', { from: '#protocols/nats', ...used }],
    ['src/net/a.ts', { from: '#contract', ...used }],
    ['src/protocols/nats/a.ts', { from: '#storage', ...typed }],
    ['src/protocols/nats/a.ts', { from: '#protocols/mqtt', ...typed }],
    ['src/protocols/nats/a.ts', { from: '../mqtt/index.ts', ...used }],
    ['src/protocols/nats/handlers/a.ts', { from: '../../../broker/broker.ts', ...used }],
    ['src/cli/a.ts', { from: '#admin', ...used }],
    ['src/kit/a.ts', { from: '#kit', ...used }],
    ['src/kit/a.ts', { from: '#nowhere', ...used }],
  ] as const) {
    assert.notEqual(objection(file, each), null, `${file} imports ${each.from}`);
  }
  for (const [file, each] of [
    ['src/protocols/nats/handlers/a.ts', { from: '../parser.ts', ...used }],
    ['src/protocols/nats/a.ts', { from: '#broker', ...used }],
    ['src/protocols/index.ts', { from: '#protocols/nats', ...used }],
    ['src/server/a.ts', { from: '#net', ...used }],
    ['src/kit/a.ts', { from: 'node:fs', ...used }],
    ['src/net/a.test.ts', { from: '../../test/contract/self-signed.ts', ...used }],
  ] as const) {
    assert.equal(objection(file, each), null, `${file} imports ${each.from}`);
  }
});

test('imports are read in all their forms', () => {
  const text = [
    "import a from 'a';",
    "import type { B } from 'b';",
    "import { type C, type D } from 'c';",
    'import {',
    '  e,',
    '  type F,',
    "} from 'd';",
    "export * from 'e';",
    "export type { G } from 'f';",
    "import 'g';",
    "const h = await import('h');",
  ].join('\n');
  assert.deepEqual(
    importsOf(text).map(({ from, typeOnly }) => `${from}${typeOnly ? ' type' : ''}`),
    ['a', 'b type', 'c type', 'd', 'e', 'f type', 'g', 'h'],
  );
});
