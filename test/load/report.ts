/** The report of a campaign in Markdown. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Tally } from './campaign.ts';
import { FAULTS } from './findings.ts';
import { PROTOCOLS } from './load.ts';
import { PHASES } from './moments.ts';
import { COUNTERS, UPKEEP } from './upkeep.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');

export interface ReportHead {
  readonly title: string;
  /** What was done, in a paragraph. */
  readonly what: string;
  /** The command that does it again. */
  readonly command: string;
  /** What one blow is called. */
  readonly blow: string;
  /** Further lines of the head. */
  readonly facts?: readonly string[];
}

export function campaignReport(head: ReportHead, tally: Tally): string {
  const { findings, phases, acknowledged, trials, upkeep } = tally;
  const blows = tally.restartsMs.length;
  return [
    `# ${head.title}`,
    '',
    head.what,
    '',
    `Written by \`${head.command}\`; do not edit.`,
    '',
    ...provenance(),
    `- Seed ${tally.seed}; ${blows} ${head.blow} in ${tally.minutes.toFixed(1)} minutes`,
    ...(head.facts ?? []).map((fact) => `- ${fact}`),
    '',
    '## Result',
    '',
    '| what | count |',
    '|---|---|',
    ...FAULTS.map((fault) => `| ${fault} | ${findings.counts.get(fault) ?? 0} |`),
    ...PROTOCOLS.map((name) => `| acknowledged to ${name} clients | ${acknowledged[name]} |`),
    '',
    'Allowed by what an acknowledgement means, and counted:',
    '',
    '| what | count |',
    '|---|---|',
    ...[...findings.allowed].map(([what, count]) => `| ${what} | ${count} |`),
    '',
    'What the server did behind its clients, at least:',
    '',
    '| what | count |',
    '|---|---|',
    ...COUNTERS.map((name) => `| ${UPKEEP[name]} | ${upkeep[name]} |`),
    '',
    `## When the ${head.blow} came`,
    '',
    '| while | count |',
    '|---|---|',
    ...PHASES.map((phase) => `| ${PHASE_WORDS[phase]} | ${phases[phase]} |`),
    '',
    restartTimes(tally.restartsMs),
    '',
    '## Settings, in turn',
    '',
    ...trials.map(({ title, blows: count }) => `- ${title}: ${count}`),
    ...(findings.total === 0 ? [] : ['', '## Faults', '', '```', findings.describe(), '```']),
    '',
  ].join('\n');
}

const PHASE_WORDS: Record<(typeof PHASES)[number], string> = {
  any: 'at a random time under load',
  segment: 'while a segment was written',
  checkpoint: 'while a checkpoint was written',
  rolling: 'while a write-ahead file was made, recycled or removed',
  stopping: 'during an orderly stop',
  starting: 'under load, and again during the recovery',
};

/** Commit, machine, runtime: what the figures depend on. */
export function provenance(): string[] {
  const cpus = os.cpus();
  return [
    `- Commit ${commit()}, ${new Date().toISOString().slice(0, 10)}`,
    `- ${cpus.length} x ${cpus[0]?.model ?? 'unknown'}, ${os.type()} ${os.release()}, Node ${process.version}`,
  ];
}

export function writeReport(file: string, text: string): void {
  const target = path.resolve(file);
  mkdirSync(path.dirname(target), { recursive: true });
  writeFileSync(target, text);
}

function commit(): string {
  try {
    const git = (...args: string[]) => execFileSync('git', args, { cwd: ROOT }).toString().trim();
    const changed =
      git('status', '--porcelain', '--untracked-files=no', '--', 'src', 'test') !== '';
    return `${git('rev-parse', '--short', 'HEAD')}${changed ? ' with changes' : ''}`;
  } catch {
    return 'unknown';
  }
}

function restartTimes(times: readonly number[]): string {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share: number) => Math.round(sorted[Math.floor(share * (sorted.length - 1))] ?? 0);
  return (
    'From the start of the process to `ready`, recovery included: ' +
    `median ${at(0.5)} ms, 95 % within ${at(0.95)} ms, longest ${at(1)} ms.`
  );
}
