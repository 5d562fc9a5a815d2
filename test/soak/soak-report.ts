/** The report of a soak in Markdown, and its samples as CSV. */
import type { Findings } from '../load/findings.ts';
import { provenance } from '../load/report.ts';
import type { Churn } from './churn.ts';
import { COLUMNS, type Sample } from './sampler.ts';
import { isUndisturbed, type Verdict } from './verdict.ts';

export interface SoakParts {
  readonly samples: readonly Sample[];
  readonly verdicts: readonly Verdict[];
  readonly findings: Findings;
  readonly churn: Churn;
  readonly minutes: number;
  /** Of the server when it was stopped. */
  readonly exitCode: number | null;
}

/** @param file where it goes, so that it can name its plot */
export function soakReport(parts: SoakParts, file: string | undefined): string {
  const { verdicts, findings, churn, minutes, exitCode } = parts;
  const base = file?.replace(/^.*\//, '').replace(/\.md$/, '');
  const grown = verdicts.filter(({ flat }) => !flat).map(({ column }) => column.title);
  return [
    '# Soak',
    '',
    'Mixed load of all four protocols at a fixed rate on the real server process: publishers of every ' +
      'kind, durable sessions, groups, queues with workers, retained values that change, retention ' +
      'that cuts; and what comes and goes all the time: connections, wills, delayed messages, ' +
      'sessions that expire, queues that fill and empty, streams and groups that are made and ' +
      'removed. A sample every 10 s; the first third is warm-up.',
    '',
    `Written by \`npm run soak -- --minutes ${minutes}\`; do not edit.`,
    '',
    ...provenance(),
    `- ${minutes} minutes, ${parts.samples.length} samples; the server then stopped with code ${exitCode}`,
    `- ${grown.length === 0 ? 'Everything is flat' : `Grew: ${grown.join(', ')}`}`,
    ...verdicts.flatMap((verdict) => delayLine(verdict, isUndisturbed(verdicts))),
    `- Promises broken: ${findings.total}; steps that failed: ${churn.failures.length}`,
    ...(base === undefined ? [] : ['', `![samples over time](${base}.svg)`]),
    '',
    '| after the warm-up | least | median | mean | most | floor grows per hour | flat |',
    '|---|---|---|---|---|---|---|',
    ...verdicts.map(verdictRow),
    '',
    '## What came and went',
    '',
    '| step | times |',
    '|---|---|',
    ...[...churn.counts].map(([name, count]) => `| ${name} | ${count} |`),
    ...(findings.total === 0 ? [] : ['', '```', findings.describe(), '```']),
    ...(churn.failures.length === 0 ? [] : ['', '```', ...churn.failures.slice(0, 20), '```']),
    '',
  ].join('\n');
}

export function csv(samples: readonly Sample[]): string {
  const names = ['atSec', ...COLUMNS.map(({ name }) => name)] as const;
  const rows = samples.map((sample) => {
    return names.map((name) => Number(sample[name as keyof Sample].toFixed(2))).join(',');
  });
  return `${[names.join(','), ...rows].join('\n')}\n`;
}

/** R11. */
function delayLine({ column, median, within }: Verdict, undisturbed: boolean): string[] {
  if (within === null) return [];
  const measured = `${column.title}: ${median.toFixed(1)} ${column.unit} in the median sample`;
  const wanted = `less than ${column.below} ${column.unit} is wanted`;
  if (within) return [`- ${measured}; ${wanted}`];
  if (undisturbed) return [`- ${measured}: TOO MUCH, ${wanted}`];
  return [`- ${measured}: not judged, because the machine did other work at the same time`];
}

function verdictRow(verdict: Verdict): string {
  const { column, least, median, mean, most, growthPerHour, flat } = verdict;
  const title = column.unit === '' ? column.title : `${column.title}, ${column.unit}`;
  const figures = [least, median, mean, most, growthPerHour]
    .map((value) => value.toFixed(1))
    .join(' | ');
  return `| ${title} | ${figures} | ${column.flat ? (flat ? 'yes' : 'NO') : ''} |`;
}
