/**
 * A mounted disk that forgets at a power cut what was not synced: starts `mount.py`, cuts, and
 * mounts what survived again, in the same place.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { promisify } from 'node:util';
import { deadline } from '../clients/program.ts';
import type { Seed } from '../load/seed.ts';

const run = promisify(execFile);

const PROGRAM = path.join(import.meta.dirname, 'mount.py');
const PATIENCE_MS = 60_000;
const GRANULES = [512, 4096] as const;
/** How much of what was not synced survives, by the cut. */
const SHARES = [0, 0, 0.1, 0.5, 0.9] as const;

/** What a cut did. */
export interface Losses {
  /** Granules of the sync that it overtook, and how many of them made it. */
  readonly torn: number;
  readonly kept: number;
  /** Un-synced granules, names and sizes that are gone. */
  readonly granules: number;
  readonly names: number;
  readonly sizes: number;
  readonly syncs: number;
}

export interface DiskOptions {
  /** Folder with mfusepy. */
  readonly toolchain: string;
  readonly seed: Seed;
  /** It says that a write through the cache is durable when it is not: a check of the checks. */
  readonly lies: boolean;
  /** Chance of a write to be followed by the write-back of a few granules of its file. */
  readonly writeBack: number;
}

export class ForgetfulDisk {
  readonly mountPoint: string;
  readonly #folder: string;
  readonly #options: DiskOptions;
  #source: string;
  #survived = '';
  #cuts = 0;
  #child: ChildProcess | null = null;
  #ended: Promise<unknown> = Promise.resolve();
  #answers: AsyncIterator<string> | null = null;
  #lines: Interface | null = null;

  private constructor(folder: string, options: DiskOptions) {
    this.#folder = folder;
    this.#options = options;
    this.mountPoint = path.join(folder, 'mounted');
    this.#source = path.join(folder, 'disk-0');
  }

  /** Mounts an empty one. */
  static async open(options: DiskOptions): Promise<ForgetfulDisk> {
    const disk = new ForgetfulDisk(await mkdtemp(path.join(tmpdir(), 'robustmq-disk-')), options);
    await mkdir(disk.mountPoint);
    await mkdir(disk.#source);
    await disk.#mount();
    return disk;
  }

  /**
   * From here on no call on it is answered, and nothing more is kept. @param share how much of what
   * was not synced survives; a lie is plainest when nothing does
   */
  async cut(share: number = this.#share()): Promise<Losses> {
    return (await this.#ask({ cut: share })) as Losses;
  }

  /** Ends it after a cut: calls that wait for an answer get an error. */
  async end(): Promise<void> {
    this.#survived = path.join(this.#folder, `disk-${++this.#cuts}`);
    await this.#ask({ save: this.#survived });
  }

  /** Mounts what survived, in the same place. */
  async remount(): Promise<void> {
    const survived = this.#survived;
    await this.#unmount();
    await rm(this.#source, { recursive: true });
    this.#source = survived;
    await this.#mount();
  }

  /** @param keep leaves what was on it at the last cut behind. @returns where */
  async close(keep: boolean): Promise<string> {
    await this.#unmount();
    if (!keep) await rm(this.#folder, { recursive: true });
    return this.#source;
  }

  #share(): number {
    const { seed, lies } = this.#options;
    return lies ? 0 : seed.pick(SHARES);
  }

  async #mount(): Promise<void> {
    const { seed, lies, writeBack, toolchain } = this.#options;
    const own = { granule: seed.pick(GRANULES), seed: seed.between(0, 2 ** 31) };
    const options = { ...own, lies, writeBack };
    const args = [PROGRAM, this.mountPoint, this.#source, JSON.stringify(options)];
    const child = spawn('python3', args, {
      env: { ...process.env, PYTHONPATH: toolchain, PYTHONDONTWRITEBYTECODE: '1' },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#child = child;
    this.#ended = once(child, 'exit');
    this.#lines = createInterface({ input: child.stdout });
    this.#answers = this.#lines[Symbol.asyncIterator]();
    await this.#answer();
  }

  async #unmount(): Promise<void> {
    await run('umount', [this.mountPoint]);
    await deadline(this.#ended, PATIENCE_MS, () => 'the disk did not end when it was unmounted');
    this.#lines?.close();
  }

  async #ask(command: Readonly<Record<string, unknown>>): Promise<unknown> {
    this.#child!.stdin!.write(`${JSON.stringify(command)}\n`);
    return this.#answer();
  }

  async #answer(): Promise<unknown> {
    const next = this.#answers!.next();
    const { done, value } = await deadline(next, PATIENCE_MS, () => 'the disk does not answer');
    if (done === true) throw new Error('the disk ended by itself');
    return JSON.parse(value);
  }
}
