/** What a side of a comparison is: our server or a peer, in one configuration. */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { WireName } from '../load/spec.ts';
import type { ServerProcess } from './server-process.ts';

export interface Running {
  readonly port: number;
  /** Where a side speaks Kafka beside the protocol that was asked for. */
  readonly kafkaPort?: number;
  readonly process: Pick<ServerProcess, 'cpuSeconds' | 'residentBytes'>;
  /** Delay of the event loop since the last call, 99th percentile in ms, where a side tells. */
  readonly loopDelayMs?: () => Promise<number>;
  /** @param patienceMs after which it is killed; without it some seconds */
  stop(signal?: NodeJS.Signals, patienceMs?: number): Promise<void>;
}

export interface Side {
  /** Short name for tables: `mosquitto`. */
  readonly name: string;
  /** Which configuration, in a few words: `usual`, `SQLite store, flush each change`. */
  readonly setting: string;
  /** What an acknowledgement waits for, in words. */
  readonly durability: string;
  /** Installs what is missing; throws with the reason when that is impossible here. */
  install(): void;
  version(): string;
  /** What AMQP queues are declared as. */
  readonly queueType?: 'quorum';
  /**
   * A server that starts slowly and is warm only later stays up for all rounds of a question. Sides
   * with the same `start` share it.
   */
  readonly staysUp?: true;
  /** Kafka: what topics of this side are created with. */
  readonly topicConfigs?: Readonly<Record<string, string>>;
  /** Starts on an empty folder. */
  start(wire: WireName): Promise<Running>;
  /** In place of a server under load: one figure from the machine itself, in microseconds. */
  readonly measureUs?: () => number;
}

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Binaries of peers and data of runs: kept out of the repository, on the same disk. */
export const CACHE = join(ROOT, '.cache');
export const PEERS = join(CACHE, 'peers');
const RUNS = join(CACHE, 'bench');

/** An empty data folder of this side. */
export function freshFolder(name: string): string {
  const folder = join(RUNS, name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** Runs an installer step quietly; its error output becomes the reason. */
export function runStep(command: string, args: readonly string[], env: NodeJS.ProcessEnv): void {
  try {
    execFileSync(command, args, { env: { ...process.env, ...env }, stdio: 'pipe' });
  } catch (error) {
    const detail = (error as { stderr?: Buffer }).stderr?.toString().trim().slice(-300) ?? '';
    throw new Error(`${command} ${args[0] ?? ''} failed: ${detail || (error as Error).message}`);
  }
}

export function outputOf(command: string, args: readonly string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

export function isInstalled(path: string): boolean {
  return existsSync(path);
}
