/**
 * The rules of the house that no other tool checks. Each rule is a row: what it looks at, and how.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { idsOf, readChecklist, titlesOf } from '../scripts/conformance.ts';
import { isTest, readFiles, type SourceFile } from './source-files.ts';

const FILE_LINES_MAX = 500;
const FUNCTION_LINES_MAX = 70;
const COLUMNS_MAX = 100;
const NAMES_FORBIDDEN = ['utils', 'util', 'helpers', 'helper', 'common', 'misc', 'manager'];
/** Words of one protocol; the rooms that all share do not speak them. */
const FOREIGN_WORDS = [
  'exchange',
  'subject',
  'topic filter',
  'offset commit',
  'mailbox',
  'packet',
  'routing key',
  'jetstream',
  'basic.',
];

const ours = readFiles('{src,test,bench,scripts,bin}/**/*.{ts,mjs}');
const source = ours.filter(({ file }) => file.startsWith('src/'));
const product = source.filter(({ file }) => !isTest(file));

/** `file:line: text` for each line of the files that breaks the rule. */
function breaches(
  files: readonly SourceFile[],
  broken: (line: string, index: number, file: SourceFile) => boolean,
): string[] {
  return files.flatMap((file) =>
    file.lines.flatMap((line, index) =>
      broken(line, index, file) ? [`${file.file}:${index + 1}: ${line.trim()}`] : [],
    ),
  );
}

/** Without comments and string contents, roughly: enough to look for words of the language. */
function code(line: string): string {
  if (/^\s*(\*|\/\*|\/\/)/.test(line)) return '';
  return line
    .replaceAll(/'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`[^`]*`/g, "''")
    .replace(/\/\/.*$/, '');
}

function isComment(line: string): boolean {
  return /^\s*(\*|\/\*|\/\/)/.test(line);
}

test('there are files to look at', () => {
  assert.ok(product.length > 50, `only ${product.length} files were read`);
});

test(`a file has at most ${FILE_LINES_MAX} lines`, () => {
  const long = ours.filter(({ lines }) => lines.length - 1 > FILE_LINES_MAX);
  assert.deepEqual(
    long.map(({ file, lines }) => `${file}: ${lines.length - 1}`),
    [],
  );
});

test('hooks around each test stand in a `describe`: they would run for the tests of all files', () => {
  const loose = ours.filter(
    ({ file, lines }) =>
      file.endsWith('.test.ts') && lines.some((line) => /^(before|after)Each\(/.test(line)),
  );
  assert.deepEqual(
    loose.map(({ file }) => file),
    [],
  );
});

interface Span {
  readonly name: string;
  readonly lines: number;
}

/**
 * The functions of a formatted file: a line that opens one, up to the line of the same indentation
 * that closes it. What only groups tests is no function.
 */
function functionsOf(lines: readonly string[]): Span[] {
  const spans: Span[] = [];
  lines.forEach((line, start) => {
    const opens =
      /^\s*(?:export )?(?:async )?function\b.*[({]$/.test(line) ||
      /=> \{$/.test(line) ||
      /^ {2,}(?:(?:static|async|get|set|override|protected|private|public) )*\*?#?[a-zA-Z]\w*(?:<.*>)?\(.*(?:\{|\()$/.test(
        line,
      );
    if (!opens || /^\s*(?:if|for|while|switch|catch|return|await|describe|suite)\b/.test(line))
      return;
    const indent = line.length - line.trimStart().length;
    const close = new RegExp(`^ {${indent}}\\}`);
    const rest = lines.slice(start + 1);
    const length = rest.findIndex((each) => close.test(each));
    const groupsTests = rest.slice(0, length).some((each) => /^\s*(?:test|it|check)\(/.test(each));
    if (length >= 0 && !groupsTests) spans.push({ name: line.trim(), lines: length + 2 });
  });
  return spans;
}

test(`a function has at most ${FUNCTION_LINES_MAX} lines`, () => {
  const long = ours.flatMap(({ file, lines }) =>
    functionsOf(lines)
      .filter((span) => span.lines > FUNCTION_LINES_MAX)
      .map((span) => `${file}: ${span.lines} lines: ${span.name}`),
  );
  assert.deepEqual(long, []);
  const seen = product.reduce((sum, { lines }) => sum + functionsOf(lines).length, 0);
  assert.ok(seen > 300, `only ${seen} functions were found`);
});

test('functions are measured in all their forms', () => {
  const text = [
    'function a() {',
    '  b();',
    '}',
    'class C {',
    '  async *#d(x: number): void {',
    '    if (x) {',
    '    }',
    '  }',
    '}',
    "describe('x', () => {",
    '  e();',
    '});',
    'const f = () => {',
    '};',
    'function g(',
    '  x: number,',
    '): void {',
    '  h();',
    '}',
  ];
  assert.deepEqual(
    functionsOf(text).map(({ lines }) => lines),
    [3, 4, 2, 5],
  );
});

test(`comments have at most ${COLUMNS_MAX} columns; the formatter sees to the rest`, () => {
  assert.deepEqual(
    breaches(ours, (line) => isComment(line) && line.length > COLUMNS_MAX),
    [],
  );
});

test('nothing is exported by default', () => {
  // A reporter of node:test is found by its default export.
  const named = ours.filter(({ file }) => file !== 'scripts/test-reporter.mjs');
  assert.deepEqual(
    breaches(named, (line) => /^export default\b/.test(line)),
    [],
  );
});

test('no `any`, and no checker is silenced without a reason', () => {
  const any = (line: string) => /(?::|\bas|<|\|) ?any\b(?!\()/.test(code(line));
  const silenced = (line: string) =>
    /@ts-(ignore|expect-error|nocheck)/.test(line) || /biome-ignore [\w/]+:?\s*$/.test(line);
  assert.deepEqual(
    breaches(
      ours,
      (line, _, { file }) => (any(line) || silenced(line)) && file !== 'test/tidy.test.ts',
    ),
    [],
  );
});

test('file names are kebab-case and say what is inside', () => {
  const wrong = ours.filter(({ file }) => {
    const stem = file.split('/').at(-1)!.split('.')[0]!;
    if (!/^(?:\d+-)?[a-z0-9]+(?:-[a-z0-9]+)*$/.test(stem)) return true;
    if (stem === 'types') return true;
    return stem.split('-').some((part) => NAMES_FORBIDDEN.includes(part));
  });
  assert.deepEqual(
    wrong.map(({ file }) => file),
    [],
  );
});

test('the door of a room is a comment and exports', () => {
  const doors = source.filter(({ file }) => /^src\/[^/]+\/(?:[^/]+\/)?index\.ts$/.test(file));
  assert.ok(doors.length > 8, `only ${doors.length} doors were read`);
  for (const { file, text } of doors) {
    assert.match(text, /^\/\*\*/, `${file} begins with what the room is for`);
    // The list of protocols is a room of one constant.
    if (file === 'src/protocols/index.ts') continue;
    const body = text.replaceAll(/\/\*[\s\S]*?\*\/|^\/\/.*$/gm, '');
    const rest = body.replaceAll(
      /export (?:type )?(?:\*|\{[^}]*\})(?: as \w+)? from '[^']+';/g,
      '',
    );
    assert.equal(rest.trim(), '', `${file} has only exports`);
  }
});

test('every file of the product begins with what it is for', () => {
  const without = product.filter(({ text }) => !/^(?:#!.*\n)?\/(?:\*\*|\/)/.test(text));
  assert.deepEqual(
    without.map(({ file }) => file),
    [],
  );
});

test('the shared rooms speak no language of a protocol', () => {
  const shared = product.filter(({ file }) => /^src\/(kit|storage|meta|broker)\//.test(file));
  const word = new RegExp(`\\b(?:${FOREIGN_WORDS.join('|').replace('.', '\\.')})`, 'i');
  // A row of the error catalogue speaks to a client, in its words.
  assert.deepEqual(
    breaches(shared, (line, _, { file }) => word.test(line) && file !== 'src/kit/errors.ts'),
    [],
  );
});

test('no note of something unfinished is left', () => {
  const mark = /\b(?:TODO|FIXME|XXX|HACK)\b|not implemented/;
  assert.deepEqual(
    breaches(ours, (line, _, { file }) => mark.test(line) && file !== 'test/tidy.test.ts'),
    [],
  );
});

test('no error is swallowed: an empty catch says why', () => {
  assert.deepEqual(
    breaches(product, (line) => /catch *(?:\([^)]*\))? *\{ *\}/.test(line)),
    [],
  );
});

test('rooms where bytes flow take their timers from the host, and nothing polls', () => {
  const rooms = product.filter(({ file }) => /^src\/(storage|meta|broker|protocols)\//.test(file));
  assert.deepEqual(
    breaches(rooms, (line) =>
      /\b(?:setInterval|setTimeout|Date\.now|Math\.random)\(/.test(code(line)),
    ),
    [],
  );
});

test('no path of a machine is in the source', () => {
  const place = /(?:^|[^a-zA-Z0-9.])\/(?:work|root|farm|home\/[a-z]+)\//;
  assert.deepEqual(
    breaches(ours, (line, _, { file }) => place.test(line) && file !== 'test/tidy.test.ts'),
    [],
  );
});

test('no test is left out or alone without a reason', () => {
  assert.deepEqual(
    breaches(ours, (line) =>
      /\b(?:test|it|describe)\.(?:only|todo)\b|\{ *(?:only|todo): *true/.test(code(line)),
    ),
    [],
  );
});

test('the ids in test titles are rows of the checklist', () => {
  const known = new Set([...readChecklist().values()].flat().map(({ id }) => id));
  assert.ok(known.size > 500, `only ${known.size} rows were read`);
  const unknown = ours
    .filter(({ file }) => isTest(file))
    .flatMap(({ file, text }) =>
      titlesOf(text)
        .filter((title) => idsOf(title).some((id) => !known.has(id)))
        .map((title) => `${file}: ${title}`),
    );
  assert.deepEqual(unknown, []);
});

test('ids are read from the end of a title only', () => {
  assert.deepEqual(idsOf('a second CONNECT closes it [MQTT-3.1.0-2] M21 X9'), ['M21', 'X9']);
  assert.deepEqual(idsOf('M21 is not named here'), []);
  assert.deepEqual(idsOf('answers KIP-848 members K40 KIP-848'), ['K40']);
});
