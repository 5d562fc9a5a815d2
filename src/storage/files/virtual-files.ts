/**
 * `Files` in memory, with the faults of real disks on demand and repeatable from a seed: writes
 * that were not synced are lost, torn or reordered by a crash, bits flip, space runs out, a write
 * or a sync fails, everything is slow. Names are durable at once, as the interface promises.
 */
import { assert, BrokerError, type Random, type Timers } from '#kit';
import type { Files, OpenFile } from './files.ts';

/** A crash persists or loses whole sectors: what real disks promise. */
export const SECTOR_BYTES = 512;

/**
 * The answer that a dead process gets: one of its own for each call, for a promise holds on to all
 * who wait for it, and one that all share would hold every dead engine.
 */
const never = (): Promise<never> => new Promise(() => {});

interface PendingWrite {
  readonly position: number;
  readonly bytes: Buffer;
}

/** One file. `current` is what the system shows, `durable` what survives a crash. */
class Content {
  current: Buffer = Buffer.alloc(0);
  durable: Buffer = Buffer.alloc(0);
  size = 0;
  durableSize = 0;
  pending: PendingWrite[] = [];
}

export interface VirtualOptions {
  /** Decides what a crash keeps. */
  readonly random: Random;
  /** When given together with `latencyMs`, every call takes that long. */
  readonly timers?: Timers;
}

export class VirtualFiles implements Files {
  /** Bytes that all files together may take; beyond it writes fail with ENOSPC. */
  capacityBytes = Number.POSITIVE_INFINITY;
  /** Delay of every call in ms; 0 = only asynchronous. */
  latencyMs = 0;
  /** When set, gives the delay of each call instead of `latencyMs`. */
  delay: (() => number) | null = null;
  /** Chance that a crash keeps a sector that was not synced. */
  survival = 0.5;
  /** Called before each write and sync; what it throws is what the call rejects with. */
  fault: ((call: 'write' | 'sync', path: string) => void) | null = null;
  /** Sees every change in the order in which it takes effect. */
  watch: ((call: string, path: string, position: number, bytes: Buffer | null) => void) | null =
    null;
  /** Counts of calls, for tests about cost. */
  readonly calls = { write: 0, sync: 0, read: 0 };
  /** Raised by a crash; files that were opened before it are dead. */
  epoch = 0;

  readonly #contents = new Map<string, Content>();
  readonly #locks = new Set<string>();
  readonly #options: VirtualOptions;

  constructor(options: VirtualOptions) {
    this.#options = options;
  }

  /** The disk as one process sees it. It dies with the next `crash` or `kill`. */
  mount(): Files {
    return new Mount(this);
  }

  async open(path: string, create: boolean): Promise<OpenFile> {
    const { epoch } = this;
    await this.#lived();
    let content = this.#contents.get(path);
    if (content === undefined) {
      if (!create) throw systemError('ENOENT', path);
      content = new Content();
      this.#contents.set(path, content);
      this.watch?.('create', path, 0, null);
    }
    return new VirtualFile(this, path, content, epoch);
  }

  async list(directory: string): Promise<string[]> {
    await this.#lived();
    const prefix = `${directory}/`;
    const names: string[] = [];
    for (const path of this.#contents.keys()) {
      const rest = path.startsWith(prefix) ? path.slice(prefix.length) : '';
      if (rest !== '' && !rest.includes('/')) names.push(rest);
    }
    return names.sort();
  }

  async ensureDirectory(): Promise<void> {
    await this.#lived();
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#lived();
    const content = this.#contents.get(from);
    if (content === undefined) throw systemError('ENOENT', from);
    this.#contents.delete(from);
    this.#contents.set(to, content);
    this.watch?.(`rename ${from}`, to, 0, null);
  }

  async remove(path: string): Promise<void> {
    await this.#lived();
    if (this.#contents.delete(path)) this.watch?.('remove', path, 0, null);
  }

  async lock(path: string): Promise<() => Promise<void>> {
    await this.#lived();
    if (this.#locks.has(path)) throw new BrokerError('precondition-failed', `${path} is locked.`);
    this.#locks.add(path);
    const { epoch } = this;
    return async () => {
      if (epoch === this.epoch) this.#locks.delete(path);
    };
  }

  async space(): Promise<{ free: number; total: number }> {
    await this.#lived();
    return { free: Math.max(0, this.capacityBytes - this.usedBytes), total: this.capacityBytes };
  }

  get usedBytes(): number {
    let bytes = 0;
    for (const content of this.#contents.values()) bytes += content.size;
    return bytes;
  }

  get paths(): string[] {
    return [...this.#contents.keys()].sort();
  }

  sizeOf(path: string): number {
    return this.#of(path).size;
  }

  /** What the system shows of a file; a copy. */
  bytesOf(path: string): Buffer {
    const content = this.#of(path);
    return Buffer.from(content.current.subarray(0, content.size));
  }

  /** Turns one bit around, on the disk as in the system's cache. */
  flip(path: string, byte: number, bit: number): void {
    const content = this.#of(path);
    assert(byte < content.size, 'the byte lies in the file');
    content.current[byte]! ^= 1 << bit;
    if (byte < content.durableSize) content.durable[byte]! ^= 1 << bit;
  }

  /** Loses power: of the writes that were not synced any sectors may have reached the disk. */
  crash(): void {
    this.epoch++;
    this.#locks.clear();
    for (const content of this.#contents.values()) {
      for (const write of content.pending) this.#keepSome(content, write);
      content.pending = [];
      content.size = content.durableSize;
      content.current = Buffer.from(content.durable.subarray(0, content.durableSize));
    }
  }

  /** Kills the process only: what was written stays, synced or not. */
  kill(): void {
    this.epoch++;
    this.#locks.clear();
  }

  /** A copy of the disk as it is, to try several faults on the same state. */
  clone(): VirtualFiles {
    const copy = new VirtualFiles(this.#options);
    for (const [path, content] of this.#contents) {
      const other = new Content();
      other.current = Buffer.from(content.current.subarray(0, content.size));
      other.durable = Buffer.from(content.durable.subarray(0, content.durableSize));
      other.size = content.size;
      other.durableSize = content.durableSize;
      other.pending = [...content.pending];
      copy.#contents.set(path, other);
    }
    return copy;
  }

  /** Empties the disk for good: files that were never closed hold nothing any more either. */
  wipe(): void {
    for (const content of this.#contents.values()) {
      content.current = content.durable = Buffer.alloc(0);
      content.size = content.durableSize = 0;
      content.pending = [];
    }
    this.#contents.clear();
  }

  /** Ends the synchronous stretch, after the set delay. */
  turn(): Promise<void> {
    const { timers } = this.#options;
    const delayMs = this.delay === null ? this.latencyMs : this.delay();
    if (delayMs === 0 || timers === undefined) return Promise.resolve();
    return new Promise((resolve) => timers.after(delayMs, resolve));
  }

  /** As `turn`; a call that a crash overtakes has no effect and no end. */
  async #lived(): Promise<void> {
    const { epoch } = this;
    await this.turn();
    if (epoch !== this.epoch) await never();
  }

  /** Throws when a write of `bytes` more does not fit. */
  demand(bytes: number, path: string): void {
    if (bytes > 0 && this.usedBytes + bytes > this.capacityBytes) throw systemError('ENOSPC', path);
  }

  /**
   * A failed sync: the kernel forgets that the pages are dirty. Some have reached the disk, the
   * others never will, whatever a later sync says.
   */
  forsake(content: Content): void {
    for (const write of content.pending.splice(0)) this.#keepSome(content, write);
  }

  #keepSome(content: Content, write: PendingWrite): void {
    const end = write.position + write.bytes.length;
    for (let at = write.position; at < end; ) {
      const next = Math.min(end, (Math.floor(at / SECTOR_BYTES) + 1) * SECTOR_BYTES);
      if (this.#options.random.next() < this.survival) {
        const piece = write.bytes.subarray(at - write.position, next - write.position);
        putDurable(content, at, piece);
      }
      at = next;
    }
  }

  #of(path: string): Content {
    const content = this.#contents.get(path);
    assert(content !== undefined, `there is a file ${path}`);
    return content;
  }
}

/** What one process sees of a virtual disk; after a crash or kill it sees nothing any more. */
class Mount implements Files {
  readonly #disk: VirtualFiles;
  readonly #epoch: number;

  constructor(disk: VirtualFiles) {
    this.#disk = disk;
    this.#epoch = disk.epoch;
  }

  open = (path: string, create: boolean) => this.#call(() => this.#disk.open(path, create));
  list = (directory: string) => this.#call(() => this.#disk.list(directory));
  ensureDirectory = () => this.#call(() => this.#disk.ensureDirectory());
  rename = (from: string, to: string) => this.#call(() => this.#disk.rename(from, to));
  remove = (path: string) => this.#call(() => this.#disk.remove(path));
  lock = (path: string) => this.#call(() => this.#disk.lock(path));
  space = () => this.#call(() => this.#disk.space());

  async #call<T>(work: () => Promise<T>): Promise<T> {
    if (this.#epoch !== this.#disk.epoch) await never();
    const result = await work();
    if (this.#epoch !== this.#disk.epoch) await never();
    return result;
  }
}

class VirtualFile implements OpenFile {
  readonly #disk: VirtualFiles;
  readonly #path: string;
  readonly #content: Content;
  readonly #epoch: number;
  #closed = false;

  constructor(disk: VirtualFiles, path: string, content: Content, epoch: number) {
    this.#disk = disk;
    this.#path = path;
    this.#content = content;
    this.#epoch = epoch;
  }

  async write(chunks: readonly Uint8Array[], position: number): Promise<void> {
    await this.#alive();
    this.#check();
    this.#disk.calls.write++;
    this.#disk.fault?.('write', this.#path);
    const bytes = Buffer.concat(chunks);
    const content = this.#content;
    this.#disk.demand(position + bytes.length - content.size, this.#path);
    content.current = grown(content.current, position + bytes.length);
    bytes.copy(content.current, position);
    content.size = Math.max(content.size, position + bytes.length);
    content.pending.push({ position, bytes });
    this.#disk.watch?.('write', this.#path, position, bytes);
    await this.#turn();
  }

  async sync(): Promise<void> {
    await this.#alive();
    this.#check();
    this.#disk.calls.sync++;
    try {
      this.#disk.fault?.('sync', this.#path);
    } catch (error) {
      this.#disk.forsake(this.#content);
      throw error;
    }
    const covered = [...this.#content.pending];
    await this.#turn();
    // Not all of them may wait still: an overlapping sync may have failed meanwhile.
    const pending = new Set(this.#content.pending);
    for (const write of covered) {
      if (pending.delete(write)) putDurable(this.#content, write.position, write.bytes);
    }
    this.#content.pending = [...pending];
    this.#disk.watch?.('sync', this.#path, covered.length, null);
  }

  async writeThrough(chunks: readonly Uint8Array[], position: number): Promise<void> {
    await this.write(chunks, position);
    return this.sync();
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    await this.#turn();
    return this.readSync(target, position);
  }

  readSync(target: Uint8Array, position: number): number {
    this.#check();
    this.#disk.calls.read++;
    const { current, size } = this.#content;
    return current.copy(
      target,
      0,
      Math.min(position, size),
      Math.min(size, position + target.length),
    );
  }

  async size(): Promise<number> {
    await this.#turn();
    return this.#content.size;
  }

  async truncate(size: number): Promise<void> {
    await this.#alive();
    this.#check();
    const content = this.#content;
    this.#disk.demand(size - content.size, this.#path);
    content.current = grown(content.current, size);
    content.current.fill(0, size);
    content.durable = grown(content.durable, size);
    content.durable.fill(0, size);
    content.size = size;
    content.durableSize = size;
    this.#disk.watch?.('truncate', this.#path, size, null);
    await this.#turn();
  }

  async close(): Promise<void> {
    await this.#alive();
    this.#closed = true;
    await this.#turn();
  }

  #check(): void {
    if (this.#closed || this.#epoch !== this.#disk.epoch) throw systemError('EBADF', this.#path);
  }

  async #turn(): Promise<void> {
    await this.#disk.turn();
    await this.#alive();
  }

  #alive(): Promise<void> | undefined {
    return this.#epoch === this.#disk.epoch ? undefined : never();
  }
}

function putDurable(content: Content, position: number, bytes: Buffer): void {
  content.durable = grown(content.durable, position + bytes.length);
  bytes.copy(content.durable, position);
  content.durableSize = Math.max(content.durableSize, position + bytes.length);
}

/** The same bytes with room for `size`, zero-filled. */
function grown(buffer: Buffer, size: number): Buffer {
  if (size <= buffer.length) return buffer;
  const larger = Buffer.alloc(Math.max(size, Math.min(buffer.length * 2, buffer.length + 2 ** 20)));
  buffer.copy(larger);
  return larger;
}

function systemError(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}
