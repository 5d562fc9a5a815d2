/** The errands of a tiered store: what each of them does with both sides, and which comes next. */
import { BrokerError, crc32c, type Log } from '#kit';
import { isDiskFull, isSystemError } from '../files/files.ts';
import type { WriteChunks } from './object-store.ts';
import type { RemoteReads } from './remote-reads.ts';
import { type Doomed, encodeSeal, remoteName } from './tier-codec.ts';
import type { Errand } from './tier-courier.ts';
import type { TierEntry } from './tier-entry.ts';
import type { TierInstruments } from './tier-instruments.ts';
import type { TierLimits } from './tier-limits.ts';
import type { TierShelf } from './tier-shelf.ts';
import { TierSurvey } from './tier-survey.ts';
import type { RemoteStore } from './tiered-store.ts';

export interface ErrandParts {
  readonly shelf: TierShelf;
  readonly remote: RemoteStore;
  readonly reads: RemoteReads;
  readonly limits: TierLimits;
  readonly instruments: TierInstruments;
  readonly log: Log;
}

export class TierErrands {
  readonly survey: TierSurvey;
  readonly #parts: ErrandParts;
  readonly #uploading = new Set<string>();
  /** The one that comes back, and those that were read so often that they should. */
  #returning: TierEntry | null = null;
  readonly #wanted = new Set<TierEntry>();
  #deleting = false;

  constructor(parts: ErrandParts) {
    this.#parts = parts;
    this.survey = new TierSurvey(parts);
  }

  next(): Errand | null {
    const { shelf } = this.#parts;
    for (const [file, doomed] of shelf.gone) {
      if (this.#deleting || doomed.some((one) => this.#uploading.has(remoteName(one)))) continue;
      return { what: 'delete', run: () => this.#delete(file, doomed) };
    }
    for (const entry of shelf.waiting) {
      if (this.#uploading.has(entry.remoteName)) continue;
      return { what: 'upload', run: () => this.#upload(entry) };
    }
    if (this.#returning === null) {
      for (const entry of this.#wanted) {
        this.#wanted.delete(entry);
        if (entry.local || entry.gone) continue;
        return { what: 'return', run: () => this.#bringBack(entry) };
      }
    }
    return this.survey.isDue ? { what: 'survey', run: () => this.survey.look() } : null;
  }

  /** The object was read so much that it deserves a place on the local disk again. */
  want(entry: TierEntry): void {
    // One object must not push everything else out.
    const fits = entry.bytes <= this.#parts.limits.cacheBytes / 4;
    if (fits && entry !== this.#returning) this.#wanted.add(entry);
  }

  async #upload(entry: TierEntry): Promise<void> {
    const { remote, shelf, instruments, log } = this.#parts;
    this.#uploading.add(entry.remoteName);
    try {
      // What was uploaded just before a crash is not uploaded again.
      const isThere = entry.begun && (await this.#isThere(entry));
      entry.begun = true;
      if (!isThere) {
        await remote.put(entry.remoteName, (write) => this.#copyOut(entry, write));
        instruments.uploads.add();
        instruments.uploadBytes.add(entry.bytes);
      }
      if (entry.gone) return;
      await shelf.settle(entry);
    } catch (error) {
      if (entry.gone && isSystemError(error)) return;
      const spoiled = error instanceof BrokerError ? error.code === 'damaged' : isUnreadable(error);
      if (!spoiled) throw error;
      entry.spoiled = true;
      shelf.stopWaiting(entry);
      log.error('an object is not uploaded', { name: entry.name, reason: String(error) });
    } finally {
      this.#uploading.delete(entry.remoteName);
    }
    await shelf.evict();
  }

  async #isThere({ remoteName: name, bytes }: TierEntry): Promise<boolean> {
    const [found] = await this.#parts.remote.list(name);
    return found?.name === name && found.bytes === bytes;
  }

  async #copyOut(entry: TierEntry, write: WriteChunks): Promise<number> {
    const { shelf, limits } = this.#parts;
    let crc = 0;
    for (let at = 0; at < entry.bytes; ) {
      if (entry.gone) throw noEntry(entry.name);
      const length = Math.min(limits.copyBytes, entry.bytes - at);
      const piece = await shelf.local.get(entry.name, at, length);
      if (piece.length === 0) break;
      crc = crc32c(piece, crc);
      await write([piece]);
      at += piece.length;
    }
    // A copy of damaged bytes would only hide that they are damaged.
    if (crc !== entry.seal.contentCrc) {
      throw new BrokerError('damaged', `The object ${entry.name} is not what was written.`);
    }
    return 0;
  }

  async #delete(file: string, doomed: readonly Doomed[]): Promise<void> {
    const { remote, limits, shelf } = this.#parts;
    this.#deleting = true;
    try {
      for (let first = 0; first < doomed.length; first += limits.deletesMax) {
        const some = doomed.slice(first, first + limits.deletesMax);
        await remote.deleteMany(some.map(remoteName));
      }
      await shelf.forgive(file);
    } finally {
      this.#deleting = false;
    }
  }

  async #bringBack(entry: TierEntry): Promise<void> {
    const { shelf, reads } = this.#parts;
    this.#returning = entry;
    entry.fetchedBytes = 0;
    try {
      await shelf.local.put(entry.name, (write) => this.#copyIn(entry, write));
      if (entry.gone) return await shelf.local.deleteMany([entry.name]);
      shelf.returned(entry);
      reads.forget(entry);
    } catch (error) {
      // Without room on the disk, or deleted meanwhile, it stays where it is.
      if (!entry.gone && !isDiskFull(error)) throw error;
    } finally {
      this.#returning = null;
    }
    await shelf.evict();
  }

  async #copyIn(entry: TierEntry, write: WriteChunks): Promise<number> {
    const { remote, limits } = this.#parts;
    let crc = 0;
    for (let at = 0; at < entry.bytes; ) {
      if (entry.gone) throw noEntry(entry.name);
      const length = Math.min(limits.fetchBytesMax, entry.bytes - at);
      const piece = await remote.get(entry.remoteName, at, length);
      if (piece.length !== length) break;
      crc = crc32c(piece, crc);
      await write([piece]);
      at += length;
    }
    if (crc !== entry.seal.contentCrc) {
      throw new BrokerError('damaged', `The bucket's ${entry.remoteName} is not what was written.`);
    }
    await write([encodeSeal(entry.seal)]);
    return 0;
  }
}

/** The local disk cannot give the bytes: waiting would not mend that. */
function isUnreadable(error: unknown): boolean {
  return isSystemError(error) && !isDiskFull(error);
}

/** The answer for a name that is not there. */
export function noEntry(name: string): Error {
  return Object.assign(new Error(`ENOENT: ${name}`), { code: 'ENOENT' });
}
