/**
 * The reference pages that the source already knows: errors, options, limits. Running this writes
 * them; a test checks that they are current.
 *
 *   node scripts/docs.ts
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ERROR_CODES, ERRORS, type OptionRow } from '#kit';
import { protocols } from '../src/protocols/index.ts';
import type { Option } from '../src/server/options/option-schema.ts';
import { serverSchema } from '../src/server/schema.ts';
import { conformancePages, ROOT } from './conformance.ts';

/** Path -> content of every page. */
export function referencePages(): Map<string, string> {
  return new Map([
    ['docs/errors.md', errorsPage()],
    ['docs/options.md', optionsPage()],
    ['docs/limits.md', limitsPage()],
  ]);
}

const WRITTEN = 'Written by `node scripts/docs.ts` from the source; do not edit.';

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(' | ')} |`;
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line), ''];
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

function errorsPage(): string {
  const rows = ERROR_CODES.map((code) => {
    const { sentence, retriable, blame } = ERRORS[code];
    return [`\`${code}\``, sentence, retriable ? 'yes' : 'no', blame];
  });
  return [
    '# Errors',
    '',
    'Every failure that the world can cause has one code here, from `src/kit/errors.ts`. Each protocol',
    'says it in its own words: the table of a protocol is `src/protocols/<name>/errors.ts`, and it is',
    'complete by type.',
    '',
    WRITTEN,
    '',
    ...table(['code', 'sentence', 'may succeed later', 'whose fault'], rows),
  ].join('\n');
}

function optionsPage(): string {
  const schema = serverSchema(protocols);
  const lines = [
    '# Options',
    '',
    'An option can stand in the configuration file (`key` under its `[section]`), in the environment, or',
    'on the command line; the later of these wins. `robust-server check-config` shows what holds.',
    '',
    WRITTEN,
    '',
  ];
  for (const { name } of schema.sections) {
    const options = [...schema.options.values()].filter(({ section }) => section === name);
    const rows = options.map((option) => [
      `\`${option.key}\``,
      `\`${option.flag}\`<br>\`${option.environment}\``,
      shownDefault(option.row),
      option.row.help + range(option.row),
    ]);
    lines.push(`## [${name}]`, '', ...table(['key', 'flag, environment', 'default', 'what'], rows));
  }
  return lines.join('\n');
}

function shownDefault(row: OptionRow): string {
  switch (row.type) {
    case 'bytes':
      return shownBytes(row.default);
    case 'duration':
      return shownTime(row.default);
    case 'list':
      return row.default.map((each) => `\`${each}\``).join(', ');
    case 'text':
      return row.default === '' ? '' : `\`${row.default}\``;
    default:
      return String(row.default);
  }
}

function range(row: OptionRow): string {
  if (row.choices !== undefined) return ` One of: ${row.choices.join(', ')}.`;
  const show =
    row.type === 'bytes' ? shownBytes : row.type === 'duration' ? shownTime : (n: number) => `${n}`;
  if (row.min === undefined) return row.max === undefined ? '' : ` At most ${show(row.max)}.`;
  if (row.max === undefined) return ` At least ${show(row.min)}.`;
  return ` ${show(row.min)} to ${show(row.max)}.`;
}

function shownBytes(bytes: number): string {
  for (const [unit, size] of [
    ['GiB', 2 ** 30],
    ['MiB', 2 ** 20],
    ['KiB', 2 ** 10],
  ] as const) {
    if (bytes >= size && bytes % size === 0) return `${bytes / size} ${unit}`;
  }
  return `${bytes} B`;
}

function shownTime(ms: number): string {
  if (ms === -1) return 'never';
  for (const [unit, size] of [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['min', 60_000],
    ['s', 1000],
  ] as const) {
    if (ms >= size && ms % size === 0) return `${ms / size} ${unit}`;
  }
  return `${ms} ms`;
}

/** A named number of the source that bounds something. */
interface Bound {
  readonly room: string;
  readonly name: string;
  readonly value: string;
  readonly meaning: string;
  readonly file: string;
}

function limitsPage(): string {
  const bounds = readBounds();
  const rooms = [...new Set(bounds.map(({ room }) => room))];
  return [
    '# Limits',
    '',
    'Every queue, buffer, wait and count has a bound. Those that an operator may change come first; the',
    'rest are names in the source.',
    '',
    WRITTEN,
    '',
    '## Options that bound something',
    '',
    ...table(['option', 'default', 'what'], boundingOptions()),
    '## Names in the source',
    '',
    ...rooms.flatMap((room) => [
      `### ${room}`,
      '',
      ...table(
        ['name', 'value', 'what', 'file'],
        bounds
          .filter((bound) => bound.room === room)
          .map(({ name, value, meaning, file }) => [`\`${name}\``, `\`${value}\``, meaning, file]),
      ),
    ]),
  ].join('\n');
}

function boundingOptions(): string[][] {
  const bounds = ({ row, key }: Option) =>
    row.type === 'bytes' || row.type === 'duration' || /(^|-)max(-|$)/.test(key);
  return [...serverSchema(protocols).options.values()]
    .filter(bounds)
    .map(({ name, row }) => [`\`${name}\``, shownDefault(row), row.help]);
}

/** Constants whose names say that they bound, and the fields of the storage engine's defaults. */
function readBounds(): Bound[] {
  const files = globSync('src/**/*.ts', { cwd: ROOT }).toSorted();
  const bounds: Bound[] = [];
  for (const name of files) {
    const file = name.replaceAll('\\', '/');
    if (/\.(test|fuzz|contract|fixture|rig|suite)\.ts$/.test(file)) continue;
    const source = readFileSync(path.join(ROOT, file), 'utf8');
    const constant =
      /((?:^\/\*\*[^\n]*\*\/\n|^(?:\/\/[^\n]*\n)+)?)^(?:export )?const ([A-Z][A-Z0-9_]*) = ([^;\n]+);/gm;
    const [, first = '', second = ''] = file.split('/');
    const room = first === 'protocols' && !second.endsWith('.ts') ? `${first}/${second}` : first;
    for (const [, comment = '', id = '', value = ''] of source.matchAll(constant)) {
      if (!/_(MAX|MIN|MS|LIMIT|BOUND)$|_(MS|BYTES|COUNT)_(MAX|MIN)$/.test(id)) continue;
      bounds.push({ room, name: id, value, meaning: plain(comment), file });
    }
    if (file === 'src/storage/limits.ts') bounds.push(...storageLimits(source, room, file));
  }
  return bounds;
}

function storageLimits(source: string, room: string, file: string): Bound[] {
  const meanings = new Map<string, string>();
  for (const [, comment = '', id = ''] of source.matchAll(
    /(\/\*\*(?:[^*]|\*(?!\/))*\*\/)\s*readonly (\w+):/g,
  )) {
    meanings.set(id, plain(comment));
  }
  const defaults = source.slice(source.indexOf('DEFAULT_LIMITS'));
  return [...defaults.matchAll(/^ {2}(\w+): ([^,\n]+),/gm)].map(([, id = '', value = '']) => ({
    ...{ room, name: id, value, file },
    meaning: meanings.get(id) ?? '',
  }));
}

function plain(comment: string): string {
  return comment
    .replaceAll(/\/\*\*|\*\/|^\s*\/\/|^\s*\* ?/gm, ' ')
    .replaceAll(/\s+/g, ' ')
    .trim();
}

if (import.meta.main) {
  for (const [file, text] of [...referencePages(), ...conformancePages()]) {
    writeFileSync(path.join(ROOT, file), text);
  }
}
