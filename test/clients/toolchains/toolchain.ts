/**
 * A toolchain is a set of foreign clients at pinned versions, installed by the ordinary package
 * client into `.cache/toolchains/<name>-<hash of the pins>`. Installing goes to a scratch folder
 * that is renamed when it is whole, so an interrupted install leaves nothing that looks finished,
 * and two at once do no harm. What a machine lacks is a reason to skip by name, never an error of
 * the suite.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

const INSTALL_TIMEOUT_MS = 8 * 60_000;
const CACHE = path.resolve(import.meta.dirname, '../../../.cache/toolchains');

export interface Toolchain {
  readonly name: string;
  /** Everything that decides what gets installed; a change makes a new folder. */
  readonly pins: readonly string[];
  /** Why it cannot be installed on this machine, or null. Cheap and without network. */
  lacks(): string | null;
  install(folder: string): Promise<void>;
  /** For what is installed outside the folder: false when it has gone. */
  stillThere?(): boolean;
  /** One line per client, for the report of the full tier. */
  versions(folder: string): Promise<readonly string[]>;
}

export type Ready =
  | { readonly folder: string; readonly missing: null }
  | { readonly folder: null; readonly missing: string };

/** The folder of a toolchain, installed now when it is not yet; or the reason why it is missing. */
export async function ready(toolchain: Toolchain): Promise<Ready> {
  const folder = folderOf(toolchain);
  if (existsSync(folder) && toolchain.stillThere?.() !== false) return { folder, missing: null };
  const failure = `${folder}.failed`;
  if (existsSync(failure)) return absent(readFileSync(failure, 'utf8'));
  const lacks = toolchain.lacks();
  if (lacks !== null) return absent(lacks);
  const scratch = `${folder}.partial-${process.pid}`;
  mkdirSync(scratch, { recursive: true });
  try {
    await toolchain.install(scratch);
    publish(scratch, folder);
    return { folder, missing: null };
  } catch (error) {
    const reason = `${toolchain.name} did not install: ${firstLines(error)}`;
    writeFileSync(failure, reason);
    return absent(reason);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Lets the next `ready` try again after a failure. */
export function forgetFailure(toolchain: Toolchain): void {
  rmSync(`${folderOf(toolchain)}.failed`, { force: true });
}

/** Runs one install step, without standard input, in its time. */
export async function step(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: Readonly<Record<string, string>>; timeoutMs?: number } = {},
): Promise<string> {
  const { stdout } = await run(command, [...args], {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    timeout: options.timeoutMs ?? INSTALL_TIMEOUT_MS,
    killSignal: 'SIGKILL',
    maxBuffer: 64 * 1024 * 1024,
  });
  return stdout;
}

/** True when the command is found in the path. */
export function onPath(command: string): boolean {
  const folders = (process.env['PATH'] ?? '').split(path.delimiter);
  return folders.some((folder) => folder !== '' && existsSync(path.join(folder, command)));
}

function folderOf(toolchain: Toolchain): string {
  const key = createHash('sha256').update(toolchain.pins.join('\n')).digest('hex').slice(0, 12);
  return path.join(CACHE, `${toolchain.name}-${key}`);
}

function absent(missing: string): Ready {
  return { folder: null, missing };
}

function publish(scratch: string, folder: string): void {
  try {
    renameSync(scratch, folder);
  } catch (error) {
    // Another process was first; its install is as good as this one.
    if (!existsSync(folder)) throw error;
  }
}

function firstLines(error: unknown): string {
  const failed = error as { stderr?: string; message?: string; killed?: boolean };
  if (failed.killed === true) return `it took longer than ${INSTALL_TIMEOUT_MS / 60_000} minutes`;
  const text = failed.stderr?.trim() || failed.message || String(error);
  return text.split('\n').slice(-3).join(' | ').slice(0, 400);
}
