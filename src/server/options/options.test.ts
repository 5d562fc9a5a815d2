import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parse } from 'smol-toml';
import { BrokerError, type OptionRow, type OptionRows } from '#kit';
import { loadSettings, type OptionSources } from './load-settings.ts';
import { editDistance, nearestName } from './nearest-name.ts';
import { OptionSchema } from './option-schema.ts';
import { OptionProblem, readOption } from './option-value.ts';

const folder = mkdtempSync(join(tmpdir(), 'options-test-'));
after(() => rmSync(folder, { recursive: true }));

const TOY = {
  listen: { type: 'list', default: ['localhost:1'], help: '' },
  'keep-alive': { type: 'duration', default: 1000, min: -1, help: '' },
  'packet-max': { type: 'bytes', default: 1024, max: 2048, help: '' },
  count: { type: 'integer', default: 3, min: 1, help: '' },
  strict: { type: 'boolean', default: false, help: '' },
  mode: { type: 'text', default: 'a', choices: ['a', 'b'], help: '' },
  password: { type: 'text', default: '', help: '' },
} as const satisfies OptionRows;
const schema = new OptionSchema([
  { name: 'server', rows: { 'data-dir': { type: 'text', default: './data', help: '' } } },
  { name: 'toy', rows: TOY },
]);

let files = 0;

function fileWith(content: string): string {
  const path = join(folder, `${++files}-toy.toml`);
  writeFileSync(path, content);
  return path;
}

function problemOf(sources: OptionSources): string {
  try {
    loadSettings(schema, sources);
  } catch (error) {
    assert.ok(error instanceof BrokerError);
    assert.equal(error.code, 'bad-configuration');
    return error.message;
  }
  throw new assert.AssertionError({ message: 'no problem was found' });
}

test('a flag beats the environment, that beats the file, that beats the default O3', () => {
  const file = fileWith('[toy]\ncount = 4\nstrict = true\nlisten = ["a:1", "b:2"]\n');
  const settings = loadSettings(schema, {
    file,
    environment: { ROBUSTMQ_TOY_COUNT: '5', ROBUSTMQ_TOY_KEEP_ALIVE: '2m', PATH: '/bin' },
    flags: { 'toy.count': '6' },
  });
  assert.deepEqual(settings.section('toy', TOY), {
    listen: ['a:1', 'b:2'],
    keepAlive: 120_000,
    packetMax: 1024,
    count: 6,
    strict: true,
    mode: 'a',
    password: '',
  });
  assert.equal(settings.get('toy.count')!.from, 'flag --toy-count');
  assert.equal(settings.get('toy.keep-alive')!.from, 'environment ROBUSTMQ_TOY_KEEP_ALIVE');
  assert.equal(settings.get('toy.strict')!.from, `file ${file}`);
  assert.equal(settings.get('toy.mode')!.from, 'default');
});

test('an unknown name is refused with the nearest known one, from every source O3', () => {
  const rows: [OptionSources, RegExp][] = [
    [
      { file: fileWith('[toy]\nkeepalive = 5\n') },
      /unknown key toy\.keepalive\. Did you mean toy\.keep-alive\?/,
    ],
    [{ file: fileWith('[tyo]\ncount = 5\n') }, /unknown section \[tyo\]\. Did you mean \[toy\]\?/],
    [
      { environment: { ROBUSTMQ_TOY_LISTENS: '' } },
      /Unknown environment variable ROBUSTMQ_TOY_LISTENS\. Did you mean ROBUSTMQ_TOY_LISTEN\?/,
    ],
    [{ flags: { 'toy.cuont': 1 } }, /Unknown option toy\.cuont\. Did you mean toy\.count\?/],
    [{ flags: { 'something.else': 1 } }, /Unknown option something\.else\.$/],
  ];
  for (const [sources, expected] of rows) assert.match(problemOf(sources), expected);
});

test('all mistakes are told together', () => {
  const environment = { ROBUSTMQ_TOY_COUNT: 'many', ROBUSTMQ_TOY_MODE: 'c' };
  const text = problemOf({ environment, flags: { 'toy.packet-max': '3KiB' } });
  assert.match(text, /toy\.count \(environment ROBUSTMQ_TOY_COUNT\) is "many"; expected a whole/);
  assert.match(text, /toy\.mode \(environment ROBUSTMQ_TOY_MODE\) is "c"; expected one of a, b/);
  assert.match(
    text,
    /toy\.packet-max \(flag --toy-packet-max\) is 3072; the largest value is 2048/,
  );
});

test('variables that Kubernetes sets for a service of our name are not ours', () => {
  const names = ['PORT', 'SERVICE_HOST', 'SERVICE_PORT', 'SERVICE_PORT_MQTT', 'PORT_1883_TCP_ADDR'];
  const environment = Object.fromEntries(
    [...names, 'MQTT_SERVICE_HOST', 'CONFIG', 'CTL_URL'].map((name) => [
      `ROBUSTMQ_${name}`,
      'tcp://x',
    ]),
  );
  loadSettings(schema, { environment });
});

test('a file that is missing or is no TOML is a mistake with its place', () => {
  assert.match(problemOf({ file: join(folder, 'none.toml') }), /cannot be read: ENOENT/);
  assert.match(problemOf({ file: fileWith('[toy]\ncount = = 4\n') }), /toy\.toml:2:\d+: /);
  assert.match(problemOf({ file: fileWith('toy = 3\n') }), /toy is a section/);
});

test('what show prints is a TOML file that gives the same values, without secrets', () => {
  const flags = { 'toy.listen': 'a:1,b:2', 'toy.keep-alive': 'never', 'toy.password': 'hidden' };
  const shown = loadSettings(schema, { flags }).show();
  assert.doesNotMatch(shown, /hidden/);
  assert.match(shown, /keep-alive = -1 +# flag --toy-keep-alive/);
  const content = parse(shown) as Record<string, Record<string, unknown>>;
  assert.deepEqual(content['toy']!['listen'], ['a:1', 'b:2']);
  assert.equal(content['server']!['data-dir'], './data');
});

const row = (type: OptionRow['type']): OptionRow =>
  ({ type, default: 0, min: -1, help: '' }) as never;
const readings: [OptionRow['type'], unknown, unknown][] = [
  ['bytes', '64MiB', 64 * 2 ** 20],
  ['bytes', '1GB', 1e9],
  ['bytes', '1.5 KiB', 1536],
  ['bytes', 100, 100],
  ['bytes', '10 parsecs', null],
  ['duration', '500ms', 500],
  ['duration', '30s', 30_000],
  ['duration', '7d', 604_800_000],
  ['duration', 'never', -1],
  ['duration', '', null],
  ['integer', '1_000', 1000],
  ['integer', '1.5', null],
  ['integer', 1.5, null],
  ['integer', -2, null],
  ['boolean', 'on', true],
  ['boolean', 'maybe', null],
  ['text', 5, null],
  ['list', '', []],
  ['list', ' a , b', ['a', 'b']],
  ['list', [1], null],
];
for (const [type, input, expected] of readings) {
  test(`${type} ${JSON.stringify(input)} is read as ${JSON.stringify(expected)}`, () => {
    if (expected === null) assert.throws(() => readOption(row(type), input), OptionProblem);
    else assert.deepEqual(readOption(row(type), input), expected);
  });
}

test('edit distance counts a swap of neighbours once', () => {
  assert.equal(editDistance('count', 'cuont'), 1);
  assert.equal(editDistance('', 'abc'), 3);
  assert.equal(editDistance('kitten', 'sitting'), 3);
  assert.equal(nearestName('zzzzzz', ['listen']), null);
});
