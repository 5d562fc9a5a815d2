/**
 * Checks a data directory that no engine has open, and repairs it on demand. First every file is
 * held against its checksums; then a start is tried on a copy that lies in memory, which tells what
 * offsets of which logs nothing holds any more. A repair deletes nothing: what is damaged is set
 * aside first, then what can be put right is, and the rest is a gap that is known from then on.
 */
import { BrokerError, type Clock, Metrics, type Random, silentLog, type Timers } from '#kit';
import { openEngine } from '../engine.ts';
import type { Files } from '../files/files.ts';
import { overlayFiles } from '../files/overlay-files.ts';
import type { DamagedRange } from '../log-engine.ts';
import { REMOTE_PREFIX } from '../objects/tier-codec.ts';
import { openTieredStore } from '../objects/tiered-store.ts';
import { checkFiles, type FilesCheck } from './check-files.ts';
import type { Finding, StorageProblem } from './check-report.ts';
import { mendFile } from './mend.ts';
import { SetAside } from './set-aside.ts';

export interface CheckOptions {
  readonly directory: string;
  readonly files: Files;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  /** Sets aside what is damaged, and puts right what can be. */
  readonly repair: boolean;
  /** Told now and then how many bytes were read. */
  readonly onProgress?: (bytes: number) => void;
}

export interface StorageCheck {
  readonly files: number;
  readonly bytes: number;
  readonly entries: number;
  /** Of a last entry that is not whole: it was never acknowledged. */
  readonly tornBytes: number;
  readonly problems: readonly StorageProblem[];
  /** Offsets of logs that nothing holds; `known` when a repair has noted them. */
  readonly lost: readonly (DamagedRange & { readonly known: boolean })[];
  /** Files in the data directory to which this repair copied what was damaged. */
  readonly setAside: readonly string[];
}

/** Small files, so that the start that is tried takes little memory. */
const TRIAL_LIMITS = { walFileBytes: 65_536, entryBytesMax: 32_768, entryBytesSoft: 16_384 };

/**
 * Takes the lock of the directory.
 * Rejects with BrokerError `precondition-failed` when a server has it open.
 */
export async function checkStorage(options: CheckOptions): Promise<StorageCheck> {
  const { files, directory } = options;
  const unlock = await files.lock(`${directory}/lock`);
  try {
    const found = await look(options);
    if (!options.repair) return reportOf(found, []);
    const setAside = await repair(options, found);
    return reportOf(await look(options), setAside);
  } finally {
    await unlock();
  }
}

/** True when there is nothing that is not known already. */
export function isSound({ problems, lost }: StorageCheck): boolean {
  return problems.every(({ kind }) => kind === 'gap') && lost.every(({ known }) => known);
}

interface Look extends FilesCheck {
  readonly bytes: number;
  readonly findings: Finding[];
  readonly lost: (DamagedRange & { readonly known: boolean })[];
}

function reportOf(found: Look, setAside: readonly string[]): StorageCheck {
  const { files, bytes, entries, tornBytes, findings, lost } = found;
  const problems = findings.map(({ patch, ...problem }) => problem);
  return { files, bytes, entries, tornBytes, problems, lost, setAside };
}

async function look(options: CheckOptions): Promise<Look> {
  const { directory } = options;
  const overlay = overlayFiles(options.files);
  try {
    const aside = await SetAside.open(overlay.files, directory);
    const found: Finding[] = [];
    let bytes = 0;
    const checked = await checkFiles(overlay.files, directory, {
      found: (finding) => found.push(finding),
      async passed(count) {
        bytes += count;
        options.onProgress?.(bytes);
      },
    });
    const findings: Finding[] = [];
    for (const finding of found) {
      const stays = finding.kind === 'damaged' || finding.patch === null;
      const known = stays && (await aside.has(finding));
      findings.push(known ? { ...finding, kind: 'gap', patch: null } : finding);
    }
    const lost = (await lostRanges(options)).map((range) => {
      return { ...range, known: aside.hasRange(range) };
    });
    return { ...checked, bytes, findings, lost };
  } finally {
    await overlay.close();
  }
}

/** What a start would miss: it is tried on a copy in memory, and not by its background work. */
async function lostRanges(options: CheckOptions): Promise<DamagedRange[]> {
  const { clock, random, timers } = options;
  const overlay = overlayFiles(options.files);
  const still: Timers = {
    after: () => ({ cancel() {} }),
    soon: (call) => timers.soon(call),
  };
  const metrics = new Metrics();
  const parts = { clock, random, timers: still, log: silentLog, metrics };
  try {
    const engine = await openEngine({
      ...parts,
      directory: options.directory,
      files: overlay.files,
      limits: { ...TRIAL_LIMITS, reserveBytes: 0 },
      objects: (local) =>
        openTieredStore({ ...parts, local, remote: null, remotePrefix: REMOTE_PREFIX }),
    });
    const { damaged } = engine.report;
    await engine.close();
    return damaged.filter(({ logId, reason }) => logId >= 0 || reason === 'the segment is missing');
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error;
    const reason = `a start is not possible: ${error.message}`;
    return [{ logId: -1, from: 0, to: 0, file: options.directory, reason }];
  } finally {
    await overlay.close();
  }
}

async function repair(options: CheckOptions, { findings, lost }: Look): Promise<string[]> {
  const { files, directory, clock } = options;
  const aside = await SetAside.open(files, directory);
  const copies: string[] = [];
  const patches = new Map<string, NonNullable<Finding['patch']>[]>();
  for (const { patch, ...problem } of findings) {
    if (problem.kind === 'gap') continue;
    copies.push(await aside.add(problem, clock.nowMs()));
    if (patch === null) continue;
    patches.set(problem.file, [...(patches.get(problem.file) ?? []), patch]);
  }
  for (const range of lost) if (!range.known) await aside.addRange(range, clock.nowMs());
  for (const [name, found] of patches) await mendFile(files, directory, name, found);
  return copies;
}
