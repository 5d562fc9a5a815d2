/**
 * Proof that the simulation sees what it should: known faults, each planted alone into a copy of
 * the source, are found within a number of seeds. A fault whose place in the source is gone says
 * so.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const ROOT = path.resolve(import.meta.dirname, '..', '..');
const SEEDS_PER_STEP = 10;

interface Fault {
  readonly name: string;
  readonly file: string;
  readonly search: string;
  readonly replacement: string;
}

const FAULTS: readonly Fault[] = [
  {
    name: 'acknowledged-before-fsync',
    file: 'src/storage/commit/wal.ts',
    search: 'await file.file.writeThrough(this.#gather.chunks(), position);',
    replacement: 'await file.file.write(this.#gather.chunks(), position);',
  },
  {
    name: 'skipped-crc-check',
    file: 'src/storage/commit/row-codec.ts',
    search: 'crc32c(body.subarray(BATCH.covered)) === bodyCrc',
    replacement: 'body.length > 0',
  },
  {
    name: 'wrong-tail-cut',
    file: 'src/storage/recovery/replay.ts',
    search: 'if (!known && (goesOn(entry) || (await faultOf(file, entry)) !== null))',
    replacement: 'if (!known)',
  },
  {
    name: 'offset-given-twice',
    file: 'src/storage/commit/committer.ts',
    search: 'log.endOffset = base + facts.count;',
    replacement: 'log.endOffset = base + Math.max(1, facts.count - 1);',
  },
  {
    name: 'cursor-saved-early',
    file: 'src/broker/state/cursors.ts',
    search: 'this.#state.committed(done);',
    replacement: 'done(null);',
  },
  {
    name: 'aborted-record-served',
    file: 'src/broker/streams/transactions.ts',
    search: 'return this.#aborted.has(partition, producerId, offset);',
    replacement: 'return offset < 0 && this.#aborted.has(partition, producerId, offset);',
  },
  {
    name: 'commit-answered-before-it-is-stored',
    file: 'src/protocols/kafka/transactions/transaction-coordinator.ts',
    search: 'if (!(await this.committed())) return false;',
    replacement:
      'void this.committed().then(() => this.#ending.complete(transaction));\n    return true;',
  },
];

/** @returns whether all of them (or the one that is named) were found */
export async function plant(only: string | undefined, seedsMax: number): Promise<boolean> {
  let all = true;
  for (const fault of FAULTS) {
    if (only !== undefined && fault.name !== only) continue;
    const found = search(fault, seedsMax);
    all &&= found !== null;
    console.log(`${fault.name}: ${found ?? `NOT FOUND within ${seedsMax} seeds`}`);
  }
  return all;
}

/** The first seed that finds it, with what it says. */
function search(fault: Fault, seedsMax: number): string | null {
  const folder = mkdtempSync(path.join(tmpdir(), 'planted-'));
  try {
    for (const part of ['src', 'test', 'package.json', 'tsconfig.json']) {
      cpSync(path.join(ROOT, part), path.join(folder, part), { recursive: true });
    }
    symlinkSync(path.join(ROOT, 'node_modules'), path.join(folder, 'node_modules'));
    apply(fault, folder);
    for (let from = 1; from <= seedsMax; from += SEEDS_PER_STEP) {
      const output = run(folder, ['--seeds', String(SEEDS_PER_STEP), '--from', String(from)]);
      const failures = [...output.matchAll(/^seed (\d+) FAILED: (.*)$/gm)];
      for (const [, seed = '', what] of failures.sort((a, b) => Number(a[1]) - Number(b[1]))) {
        // A seed that fails anyway proves nothing.
        if (!run(ROOT, ['--seed', seed]).includes('FAILED')) return `seed ${seed}: ${what}`;
      }
    }
    return null;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function run(root: string, args: readonly string[]): string {
  const main = path.join(root, 'test', 'simulation', 'main.ts');
  return spawnSync(process.execPath, [main, ...args], { encoding: 'utf8' }).stdout;
}

function apply({ name, file, search: text, replacement }: Fault, folder: string): void {
  const where = path.join(folder, file);
  const source = readFileSync(where, 'utf8');
  const parts = source.split(text);
  if (parts.length !== 2) {
    throw new Error(`${name}: ${file} has its place ${parts.length - 1} times: ${text}`);
  }
  writeFileSync(where, parts.join(replacement));
}
