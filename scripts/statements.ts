/**
 * The numbered statements of MQTT 5.0 and 3.1.1, each with the rows of the checklist that ask for
 * it and the tests that name it or one of those rows. Part of the conformance pages.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { NamedTest } from './conformance.ts';

const SOURCE = 'docs/conformance/mqtt-statements.json';
const VERSIONS = ['5.0', '3.1.1'] as const;

/** Statement -> rows, by version; reasons by `5.0 3.1.2-28`. */
type Statements = Readonly<Record<(typeof VERSIONS)[number], Readonly<Record<string, string>>>> & {
  readonly reasons: Readonly<Record<string, string>>;
};

export interface StatementRow {
  readonly version: string;
  readonly statement: string;
  readonly rows: readonly string[];
  /** Tests with the statement's own number in their titles. */
  readonly named: number;
  /** Tests of its rows. */
  readonly through: number;
  readonly reason: string;
}

export function statementRows(root: string, tests: readonly NamedTest[]): StatementRow[] {
  const source = JSON.parse(readFileSync(path.join(root, SOURCE), 'utf8')) as Statements;
  return VERSIONS.flatMap((version) =>
    Object.entries(source[version]).map(([statement, text]) => {
      const rows = text.split(' ');
      const named = tests.filter(({ title }) => title.includes(`[MQTT-${statement}]`)).length;
      const through = tests.filter(({ ids }) => rows.some((row) => ids.includes(row))).length;
      const reason = source.reasons[`${version} ${statement}`] ?? '';
      return { version, statement, rows, named, through, reason };
    }),
  );
}

export function statementsPage(root: string, tests: readonly NamedTest[]): string {
  const rows = statementRows(root, tests);
  const lines = [
    '# Conformance: the statements of MQTT',
    '',
    'Written by `node scripts/conformance.ts` from the ids in test titles; do not edit. A statement is',
    'shown by the tests that name it and by those of its rows in [the checklist](mqtt.md).',
    '',
  ];
  for (const version of VERSIONS) {
    const own = rows.filter((row) => row.version === version);
    const shown = own.filter(({ named, through }) => named + through > 0).length;
    const explained = own.filter(({ named, through, reason }) => named + through === 0 && reason);
    lines.push(
      `## MQTT ${version}`,
      '',
      `${shown} of ${own.length} statements are named by a test, ${explained.length} have a reason.`,
      '',
      '| statement | rows | tests that name it | tests of its rows | reason |',
      '|---|---|---|---|---|',
      ...own.map(
        ({ statement, rows: ids, named, through, reason }) =>
          `| ${statement} | ${ids.join(' ')} | ${named || ''} | ${through || ''} | ${reason} |`,
      ),
      '',
    );
  }
  return lines.join('\n');
}
