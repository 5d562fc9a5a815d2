/**
 * The lock file of a data directory: one process at a time. It holds the process id and, on Linux,
 * the start time of the process, so that a number that was given to another process after a crash
 * does not look like a living owner. Not a lock between machines that share a network disk.
 */
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import { BrokerError } from '#kit';

/** Locks that this process holds: a second engine in the same process is refused too. */
const held = new Set<string>();

const ATTEMPTS_MAX = 10;

export async function takeLock(name: string): Promise<() => Promise<void>> {
  const file = path.resolve(name);
  if (held.has(file)) throw taken(file, process.pid);
  held.add(file);
  try {
    await acquire(file);
  } catch (error) {
    held.delete(file);
    throw error;
  }
  return async () => {
    await fs.rm(file, { force: true });
    held.delete(file);
  };
}

async function acquire(file: string): Promise<void> {
  const mine = `${file}.${process.pid}`;
  await fs.writeFile(mine, `${process.pid} ${await startTime(process.pid)}\n`);
  try {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      // A hard link is created by one process only, and with its content at once.
      if (await linked(mine, file)) return;
      await removeStale(file);
    }
    throw taken(file, 0);
  } finally {
    await fs.rm(mine, { force: true });
  }
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await fs.link(from, to);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

/** Removes a lock whose owner is dead; throws when the owner lives. */
async function removeStale(file: string): Promise<void> {
  const content = await contentOf(file);
  if (content === null) return;
  const [pidText, started = ''] = content.trim().split(' ');
  const pid = Number(pidText);
  if (pid !== process.pid && (await isAlive(pid, started))) throw taken(file, pid);
  // Two processes may find the same stale lock. Each moves it aside under a name of its own and
  // looks again: who finds a fresh lock under the old name gives it back.
  const aside = `${file}.stale.${process.pid}`;
  try {
    await fs.rename(file, aside);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw error;
  }
  if ((await contentOf(aside)) !== content) await linked(aside, file);
  await fs.rm(aside, { force: true });
}

async function isAlive(pid: number, started: string): Promise<boolean> {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (codeOf(error) !== 'EPERM') return false;
  }
  return (await startTime(pid)) === started;
}

/** Start time of a process in ticks since boot, '-' where the system does not tell. */
async function startTime(pid: number): Promise<string> {
  const stat = await contentOf(`/proc/${pid}/stat`);
  // The command name stands in parentheses and may hold spaces; start time is field 22.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '-';
}

async function contentOf(file: string): Promise<string | null> {
  try {
    return await fs.readFile(file, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ESRCH') return null;
    throw error;
  }
}

function taken(file: string, pid: number): BrokerError {
  return new BrokerError(
    'precondition-failed',
    `The data directory is in use by process ${pid} (${file}).`,
    { file, pid },
  );
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
}
