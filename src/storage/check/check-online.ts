/**
 * Checks the files of a data directory while an engine works in it. Segments never change, and one
 * that is removed meanwhile is no loss. Write-ahead files do change: what is found there counts
 * only when it is found twice, while the same files were in use. The mark of a stop in order is not
 * there while an engine runs. Reads only, as slowly as it is told to.
 */

import { generationOf } from '../commit/wal-file.ts';
import { type Files, isSystemError } from '../files/files.ts';
import { checkFiles } from './check-files.ts';
import type { CheckWatch, Finding, StorageProblem } from './check-report.ts';

export interface OnlineWatch {
  /** So many bytes were read. Resolves when the next ones may be; rejects to end the check. */
  passed(bytes: number): Promise<void>;
}

/** How often write-ahead files are looked at again when something is found there. */
const LOOKS_MAX = 3;

export async function checkOnline(
  files: Files,
  directory: string,
  watch: OnlineWatch,
): Promise<StorageProblem[]> {
  const all = await look(passing(files), directory, watch, () => true);
  const inWals = (finding: Finding): boolean => generationOf(finding.file) >= 0;
  const problems = all.filter((finding) => !inWals(finding));
  let suspects = all.filter(inWals);
  for (let again = 1; suspects.length > 0 && again < LOOKS_MAX; again++) {
    const found = await look(passing(files), directory, watch, (name) => generationOf(name) >= 0);
    const seen = new Set(found.map(keyOf));
    suspects = suspects.filter((finding) => seen.has(keyOf(finding)));
  }
  // Whatever was removed or recycled since then held nothing any more that counts.
  const names = new Set(await files.list(directory));
  const lasting = [...problems, ...suspects].filter(({ file }) => names.has(file));
  return lasting.map(({ patch, ...problem }) => problem);
}

async function look(
  files: Files,
  directory: string,
  { passed }: OnlineWatch,
  wanted: (name: string) => boolean,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const watch: CheckWatch = { found: (finding) => findings.push(finding), passed };
  const some: Files = {
    ...files,
    async list(folder) {
      const names = await files.list(folder);
      return names.filter((name) => wanted(name) || name.startsWith('checkpoint-'));
    },
  };
  await checkFiles(some, directory, watch);
  return findings;
}

/** A file that went away between its being listed and its being opened is an empty one. */
function passing(files: Files): Files {
  return {
    ...files,
    async open(path, create) {
      try {
        return await files.open(path, create);
      } catch (error) {
        if (!isSystemError(error) || error.code !== 'ENOENT') throw error;
        return gone;
      }
    },
  };
}

const gone = {
  write: () => Promise.reject(new Error('a check does not write')),
  sync: () => Promise.resolve(),
  writeThrough: () => Promise.reject(new Error('a check does not write')),
  read: () => Promise.resolve(0),
  readSync: () => 0,
  size: () => Promise.resolve(0),
  truncate: () => Promise.reject(new Error('a check does not write')),
  close: () => Promise.resolve(),
};

function keyOf({ file, position, what }: Finding): string {
  return `${file} ${position} ${what}`;
}
