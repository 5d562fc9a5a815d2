/**
 * `Files` that removes large files in small steps. One call would give all blocks back at once,
 * and the commits of others would wait for that: on a disk that is told of free blocks, for tens of
 * milliseconds. The name goes first, so a crash leaves nothing behind.
 */
import type { Timers } from '#kit';
import { type Files, isSystemError, type OpenFile } from './files.ts';

/** Given back at a time. */
const STEP_BYTES = 2 ** 20;
/** Between two steps: some 150 MiB are free after a second. */
const PAUSE_MS = 5;

export class GentleFiles implements Files {
  /** Set while appends are served; else nothing waits. */
  gentle = false;
  readonly #files: Files;
  readonly #timers: Timers;

  constructor(files: Files, timers: Timers) {
    this.#files = files;
    this.#timers = timers;
  }

  open: Files['open'] = (path, create) => this.#files.open(path, create);
  openReader = (path: string) => this.#files.openReader?.(path) ?? this.#files.open(path, false);
  list: Files['list'] = (directory) => this.#files.list(directory);
  ensureDirectory: Files['ensureDirectory'] = (path) => this.#files.ensureDirectory(path);
  rename: Files['rename'] = (from, to) => this.#files.rename(from, to);
  lock: Files['lock'] = (path) => this.#files.lock(path);
  space: Files['space'] = (directory) => this.#files.space(directory);

  async remove(path: string): Promise<void> {
    const file = this.gentle ? await this.#openLarge(path) : null;
    try {
      await this.#files.remove(path);
      if (file !== null) await this.#shrink(file);
    } finally {
      await file?.close();
    }
  }

  /** The file, when it is there and removing it takes more than a step. */
  async #openLarge(path: string): Promise<OpenFile | null> {
    let file: OpenFile;
    try {
      file = await this.#files.open(path, false);
    } catch (error) {
      if (isSystemError(error) && error.code === 'ENOENT') return null;
      throw error;
    }
    if ((await file.size()) > STEP_BYTES) return file;
    await file.close();
    return null;
  }

  async #shrink(file: OpenFile): Promise<void> {
    for (let bytes = await file.size(); bytes > STEP_BYTES; ) {
      bytes -= STEP_BYTES;
      await file.truncate(bytes);
      if (this.gentle) await new Promise<void>((go) => this.#timers.after(PAUSE_MS, go));
    }
  }
}
