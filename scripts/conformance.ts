/**
 * The conformance pages: which tests name which row of the checklist, in both directions. A row is
 * one thing that a user of the protocol's best peer expects; its id stands at the end of the titles
 * of the tests that show it. Running this writes docs/conformance/*.md; a test checks that they are
 * current. It reads titles, it runs nothing: what fails or is skipped is told by the suite.
 *
 *   node scripts/conformance.ts
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { statementsPage } from './statements.ts';

export const ROOT = path.resolve(import.meta.dirname, '..');
const CHECKLIST = 'docs/conformance/checklist.json';

export interface Row {
  readonly id: string;
  readonly title: string;
  /** P0 to P3; '' where the checklist gives none. */
  readonly priority: string;
}

export interface NamedTest {
  readonly file: string;
  readonly title: string;
  readonly ids: readonly string[];
}

const NAMES: Readonly<Record<string, string>> = {
  mqtt: 'MQTT',
  kafka: 'Kafka',
  nats: 'NATS',
  jetstream: 'JetStream',
  amqp: 'AMQP',
  mq9: 'mq9',
  gateway: 'the gateway',
  cross: 'what crosses protocols',
  operations: 'operations',
  reliability: 'reliability',
};

/** The rows of each part of the checklist, in its order. */
export function readChecklist(): ReadonlyMap<string, readonly Row[]> {
  const parts = JSON.parse(readFileSync(path.join(ROOT, CHECKLIST), 'utf8')) as Record<
    string,
    Record<string, string>
  >;
  return new Map(
    Object.entries(parts).map(([part, rows]) => [
      part,
      Object.entries(rows).map(([id, text]) => {
        const [, priority = '', title = ''] = /^(?:(P\d) )?(.*)$/.exec(text) ?? [];
        return { id, title, priority };
      }),
    ]),
  );
}

/** The ids at the end of a title: `… [MQTT-3.1.0-2] M21 X9` names M21 and X9. */
export function idsOf(title: string): string[] {
  const ids: string[] = [];
  for (const word of title.split(/\s+/).toReversed()) {
    if (/^[MKNJAQGXOR]\d+$/.test(word)) ids.unshift(word);
    // Statements of a specification may stand between.
    else if (!/^\[.*\]$|^(?:KIP|ADR|RFC)-?\d+$/.test(word)) break;
  }
  return ids;
}

/**
 * Titles of `test`, `it`, `describe` and `suite` calls; the literal must be the first argument. And
 * titles in tables of scenarios, which one call names: `seek: 'reads from the end K36'`.
 */
export function titlesOf(source: string): string[] {
  const calls =
    /\b(?:test|it|describe|suite)(?:\.\w+)?\(\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|`((?:[^`\\]|\\.)*)`)/g;
  const rows = /^\s+\w+:\s*'([^'\\]* [a-z][^'\\]* [MKNJAQGXOR]\d+)',?$/gm;
  return [...source.matchAll(calls), ...source.matchAll(rows)].map(([, single, double, template]) =>
    (single ?? double ?? template ?? '').replaceAll(/\\(.)/g, '$1'),
  );
}

/** All test titles of the repository that name a row. */
export function readTests(): NamedTest[] {
  const files = globSync('{src,test,bench}/**/*.{test,contract,suite}.ts', {
    cwd: ROOT,
  }).toSorted();
  return files.flatMap((file) =>
    titlesOf(readFileSync(path.join(ROOT, file), 'utf8'))
      .map((title) => ({ file: file.replaceAll('\\', '/'), title, ids: idsOf(title) }))
      .filter(({ ids }) => ids.length > 0),
  );
}

/** Path -> content of every page. */
export function conformancePages(): Map<string, string> {
  const tests = readTests();
  const pages = new Map<string, string>();
  for (const [part, rows] of readChecklist()) {
    pages.set(`docs/conformance/${part}.md`, page(part, rows, tests));
  }
  pages.set('docs/conformance/mqtt-statements.md', statementsPage(ROOT, tests));
  return pages;
}

function page(part: string, rows: readonly Row[], tests: readonly NamedTest[]): string {
  const own = new Set(rows.map(({ id }) => id));
  const naming = tests.filter(({ ids }) => ids.some((id) => own.has(id)));
  const shown = rows.filter(({ id }) => naming.some(({ ids }) => ids.includes(id)));
  const lines = [
    `# Conformance: ${NAMES[part] ?? part}`,
    '',
    'Written by `node scripts/conformance.ts` from the ids in test titles; do not edit. A row without a',
    'test is not shown to work. A row with tests may still have parts that no test covers.',
    '',
    `${shown.length} of ${rows.length} rows are named by ${naming.length} tests.`,
    '',
    '| row | what it asks | priority | tests |',
    '|---|---|---|---|',
    ...rows.map((row) => {
      const count = naming.filter(({ ids }) => ids.includes(row.id)).length;
      return `| ${row.id} | ${cell(row.title)} | ${row.priority} | ${count === 0 ? '' : count} |`;
    }),
    '',
    '## Tests',
    '',
    '| test | rows | file |',
    '|---|---|---|',
    ...naming.map(({ file, title, ids }) => `| ${cell(title)} | ${ids.join(' ')} | ${file} |`),
    '',
  ];
  return lines.join('\n');
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

if (import.meta.main) {
  for (const [file, text] of conformancePages()) writeFileSync(path.join(ROOT, file), text);
}
