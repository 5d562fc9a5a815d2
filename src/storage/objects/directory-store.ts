/**
 * `ObjectStore` in a directory: an object is a file, written under a temporary name until it is
 * whole and durable. A bounded number of files stays open for reading.
 */
import type { Files, OpenFile } from '../files/files.ts';
import type { FillObject, ObjectStore, StoredObject } from './object-store.ts';

/** Ends the names of objects that are not whole yet. */
const PART_SUFFIX = '.part';
/** Bytes that are written before they are made durable. */
const SYNC_BYTES = 2 ** 21;
/** Files that are opened at the same time to learn their size. */
const PARALLEL = 8;

interface Handle {
  readonly file: Promise<OpenFile>;
  users: number;
  retired: boolean;
  /** Told when nobody reads any more. */
  unused: (() => void) | null;
}

/** Removes what a crash left half-written. No other store may write to this directory. */
export async function openDirectoryStore(
  files: Files,
  directory: string,
  openMax: number,
): Promise<ObjectStore> {
  await files.ensureDirectory(directory);
  for (const name of await files.list(directory)) {
    if (name.endsWith(PART_SUFFIX)) await files.remove(`${directory}/${name}`);
  }
  return new DirectoryStore(files, directory, openMax);
}

class DirectoryStore implements ObjectStore {
  readonly #files: Files;
  readonly #directory: string;
  readonly #openMax: number;
  /** By name, least recently used first. */
  readonly #handles = new Map<string, Handle>();
  /** Objects that are being removed: nobody begins to read them. */
  readonly #leaving = new Set<string>();
  #puts = 0;

  constructor(files: Files, directory: string, openMax: number) {
    this.#files = files;
    this.#directory = directory;
    this.#openMax = openMax;
  }

  async put(name: string, fill: FillObject): Promise<void> {
    // Two puts of one name do not meet: the one that ends last counts.
    const part = `${this.#path(name)}.${++this.#puts}${PART_SUFFIX}`;
    const file = await this.#files.open(part, true);
    try {
      await writeWhole(file, fill).finally(() => file.close());
      await this.#files.rename(part, this.#path(name));
    } catch (error) {
      await this.#files.remove(part);
      throw error;
    }
    this.#retire(name);
  }

  async take(path: string, name: string): Promise<void> {
    await this.#files.rename(path, this.#path(name));
    this.#retire(name);
  }

  get(name: string, from: number, length: number): Promise<Buffer> {
    return this.#use(name, async (file) => {
      const bytes = Buffer.allocUnsafeSlow(length);
      const count = await file.read(bytes, from);
      return count === length ? bytes : bytes.subarray(0, count);
    });
  }

  async list(prefix: string): Promise<StoredObject[]> {
    const all = await this.#files.list(this.#directory);
    const names = all.filter((name) => name.startsWith(prefix) && !name.endsWith(PART_SUFFIX));
    const found: StoredObject[] = [];
    for (let first = 0; first < names.length; first += PARALLEL) {
      const some = names.slice(first, first + PARALLEL);
      const sizes = await Promise.all(some.map((name) => this.#use(name, (file) => file.size())));
      some.forEach((name, index) => {
        found.push({ name, bytes: sizes[index]! });
      });
    }
    return found;
  }

  async deleteMany(names: readonly string[]): Promise<void> {
    for (const name of names) {
      this.#leaving.add(name);
      try {
        // A large file goes piece by piece: what reads it has to end first.
        await this.#unused(name);
        await this.#files.remove(this.#path(name));
      } finally {
        this.#leaving.delete(name);
      }
    }
  }

  async close(): Promise<void> {
    for (const handle of this.#handles.values()) {
      handle.retired = true;
      if (handle.users === 0) await closeQuietly(handle);
    }
    this.#handles.clear();
  }

  #path(name: string): string {
    return `${this.#directory}/${name}`;
  }

  /** Runs `work` with the open file, which stays open until it ends. */
  async #use<T>(name: string, work: (file: OpenFile) => Promise<T>): Promise<T> {
    if (this.#leaving.has(name)) throw Object.assign(new Error(`${name} goes`), { code: 'ENOENT' });
    let handle = this.#handles.get(name);
    if (handle === undefined) {
      handle = { file: this.#open(this.#path(name)), users: 0, retired: false, unused: null };
    } else {
      this.#handles.delete(name);
    }
    this.#handles.set(name, handle);
    handle.users++;
    try {
      return await work(await handle.file);
    } catch (error) {
      // A file that could not be opened or read is opened anew the next time.
      if (this.#handles.get(name) === handle) this.#retire(name);
      throw error;
    } finally {
      handle.users--;
      if (handle.users === 0) handle.unused?.();
      if (handle.retired && handle.users === 0) void closeQuietly(handle);
      this.#shrink();
    }
  }

  #open(path: string): Promise<OpenFile> {
    return this.#files.openReader?.(path) ?? this.#files.open(path, false);
  }

  /** Resolves when the reads of an object that are under way have ended; closes its file. */
  async #unused(name: string): Promise<void> {
    const handle = this.#handles.get(name);
    this.#retire(name);
    if (handle === undefined || handle.users === 0) return;
    await new Promise<void>((go) => {
      handle.unused = go;
    });
  }

  /** Closes an object's file as soon as nobody reads it. */
  #retire(name: string): void {
    const handle = this.#handles.get(name);
    if (handle === undefined) return;
    this.#handles.delete(name);
    handle.retired = true;
    if (handle.users === 0) void closeQuietly(handle);
  }

  #shrink(): void {
    for (const [name, handle] of this.#handles) {
      if (this.#handles.size <= this.#openMax) return;
      if (handle.users > 0) continue;
      this.#handles.delete(name);
      void closeQuietly(handle);
    }
  }
}

async function writeWhole(file: OpenFile, fill: FillObject): Promise<void> {
  let [position, synced] = [0, 0];
  await fill(async (chunks) => {
    const from = position;
    for (const chunk of chunks) position += chunk.length;
    await file.write(chunks, from);
    // Little by little: one large flush at the end would hold up the commits of others.
    if (position - synced < SYNC_BYTES) return;
    await file.sync();
    synced = position;
  });
  await file.sync();
}

/** A file that was only read loses nothing when closing fails. */
async function closeQuietly(handle: Handle): Promise<void> {
  await handle.file.then((file) => file.close()).catch(() => {});
}
