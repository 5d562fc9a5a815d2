/**
 * `Files` over the machine's own file system. Reads and writes run in the thread pool, so that a
 * slow disk never holds up the event loop. Not for simulations: `virtual-files.ts`.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import type { Files, OpenFile } from './files.ts';
import { takeLock } from './lock-file.ts';

/** One writev takes at most IOV_MAX (1024) buffers; the rest goes into further calls. */
const CHUNKS_PER_CALL = 1000;

/** Write-through flag; absent on Windows, where `writeThrough` is a write and a flush. */
const DSYNC: number | undefined = fs.constants.O_DSYNC;

export const realFiles: Files = {
  async open(name, create) {
    const fd = await openOrCreate(name, create);
    // The second descriptor makes a write durable in one system call instead of two
    // (docs/decisions/0003-write-through.md).
    if (DSYNC === undefined) return new RealFile(fd, -1);
    try {
      return new RealFile(fd, await openFd(name, fs.constants.O_WRONLY | DSYNC));
    } catch (error) {
      await closeFd(fd);
      throw error;
    }
  },

  async openReader(name) {
    return new RealFile(await openFd(name, fs.constants.O_RDONLY), -1);
  },

  async list(directory) {
    try {
      const entries = await fs.promises.readdir(directory, { withFileTypes: true });
      const files = entries.filter((entry) => !entry.isDirectory());
      return files.map(({ name }) => name).sort();
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return [];
      throw error;
    }
  },

  async ensureDirectory(directory) {
    const first = await fs.promises.mkdir(directory, { recursive: true });
    if (first === undefined) return;
    const top = path.dirname(path.resolve(first));
    for (let at = path.resolve(directory); ; at = path.dirname(at)) {
      await syncDirectory(at);
      if (at === top || at === path.dirname(at)) return;
    }
  },

  async rename(from, to) {
    await fs.promises.rename(from, to);
    await syncDirectory(path.dirname(to));
    if (path.dirname(from) !== path.dirname(to)) await syncDirectory(path.dirname(from));
  },

  async remove(name) {
    await fs.promises.rm(name, { force: true });
    await syncDirectory(path.dirname(name));
  },

  lock: takeLock,

  async space(directory) {
    const stat = await fs.promises.statfs(directory);
    return { free: stat.bavail * stat.bsize, total: stat.blocks * stat.bsize };
  },
};

class RealFile implements OpenFile {
  readonly #fd: number;
  /** Opened with O_DSYNC; -1 where the platform has no such thing. */
  readonly #throughFd: number;

  constructor(fd: number, throughFd: number) {
    this.#fd = fd;
    this.#throughFd = throughFd;
  }

  write(chunks: readonly Uint8Array[], position: number): Promise<void> {
    return writeAll(this.#fd, chunks, position);
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.fdatasync(this.#fd, (error) => (error === null ? resolve() : reject(error)));
    });
  }

  async writeThrough(chunks: readonly Uint8Array[], position: number): Promise<void> {
    // Many pieces would be many synchronous writes: then one flush at the end is cheaper.
    if (this.#throughFd >= 0 && chunks.length <= CHUNKS_PER_CALL) {
      return writeAll(this.#throughFd, chunks, position);
    }
    await writeAll(this.#fd, chunks, position);
    return this.sync();
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    let done = 0;
    while (done < target.length) {
      const count = await readSome(this.#fd, target, done, position + done);
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  readSync(target: Uint8Array, position: number): number {
    let done = 0;
    while (done < target.length) {
      const count = fs.readSync(this.#fd, target, done, target.length - done, position + done);
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  size(): Promise<number> {
    return new Promise((resolve, reject) => {
      fs.fstat(this.#fd, (error, stat) => (error === null ? resolve(stat.size) : reject(error)));
    });
  }

  truncate(size: number): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.ftruncate(this.#fd, size, (error) => (error === null ? resolve() : reject(error)));
    });
  }

  async close(): Promise<void> {
    if (this.#throughFd >= 0) await closeFd(this.#throughFd);
    await closeFd(this.#fd);
  }
}

async function openOrCreate(name: string, create: boolean): Promise<number> {
  try {
    return await openFd(name, fs.constants.O_RDWR);
  } catch (error) {
    if (!create || codeOf(error) !== 'ENOENT') throw error;
  }
  const fd = await openFd(name, fs.constants.O_RDWR | fs.constants.O_CREAT);
  try {
    await syncDirectory(path.dirname(name));
  } catch (error) {
    await closeFd(fd);
    throw error;
  }
  return fd;
}

function openFd(name: string, flags: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.open(name, flags, 0o600, (error, fd) => (error === null ? resolve(fd) : reject(error)));
  });
}

function closeFd(fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fs.close(fd, (error) => (error ? reject(error) : resolve()));
  });
}

function readSome(fd: number, target: Uint8Array, at: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.read(fd, target, at, target.length - at, position, (error, count) =>
      error === null ? resolve(count) : reject(error),
    );
  });
}

/** A name is durable only when its directory is flushed too. Windows has no such call. */
async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await fs.promises.open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function writeAll(fd: number, chunks: readonly Uint8Array[], position: number) {
  for (let first = 0; first < chunks.length; first += CHUNKS_PER_CALL) {
    let rest = chunks.slice(first, first + CHUNKS_PER_CALL);
    while (rest.length > 0) {
      const written = await writeSome(fd, rest, position);
      if (written === 0 && byteCount(rest) > 0) throw shortWrite();
      position += written;
      rest = afterBytes(rest, written);
    }
  }
}

function writeSome(fd: number, chunks: Uint8Array[], position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, count: number): void =>
      error === null ? resolve(count) : reject(error);
    const only = chunks[0];
    if (chunks.length === 1 && only !== undefined) {
      fs.write(fd, only, 0, only.length, position, done);
    } else {
      fs.writev(fd, chunks, position, done);
    }
  });
}

/** What is left of `chunks` after their first `count` bytes (a system write may stop early). */
function afterBytes(chunks: Uint8Array[], count: number): Uint8Array[] {
  let index = 0;
  while (index < chunks.length && count >= chunks[index]!.length) count -= chunks[index++]!.length;
  const rest = chunks.slice(index);
  if (rest.length > 0 && count > 0) rest[0] = rest[0]!.subarray(count);
  return rest;
}

function byteCount(chunks: readonly Uint8Array[]): number {
  let count = 0;
  for (const chunk of chunks) count += chunk.length;
  return count;
}

function shortWrite(): Error {
  return Object.assign(new Error('the system wrote no bytes'), { code: 'EIO' });
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
}
