/** A campaign in pieces: its tally waits in a file for the next one. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { emptyTally, type Tally } from './campaign.ts';
import { type Fault, type Finding, Findings } from './findings.ts';

interface Stored extends Omit<Tally, 'findings'> {
  readonly cycle: number;
  readonly kept: readonly Finding[];
  readonly counts: readonly (readonly [Fault, number])[];
  readonly allowed: readonly (readonly [string, number])[];
}

/** @param file undefined for a campaign in one piece */
export function loadTally(file: string | undefined, seed: number): Tally {
  if (file === undefined || !existsSync(file)) return emptyTally(seed);
  const stored = JSON.parse(readFileSync(file, 'utf8')) as Stored;
  const { cycle, kept, counts, allowed, ...rest } = stored;
  const findings = new Findings();
  findings.cycle = cycle;
  findings.kept.push(...kept);
  for (const [fault, count] of counts) findings.counts.set(fault, count);
  for (const [what, count] of allowed) findings.allowed.set(what, count);
  return { ...rest, findings };
}

export function saveTally(file: string | undefined, { findings, ...rest }: Tally): void {
  if (file === undefined) return;
  const { cycle, kept, counts, allowed } = findings;
  const stored: Stored = { ...rest, cycle, kept, counts: [...counts], allowed: [...allowed] };
  writeFileSync(file, JSON.stringify(stored));
}
