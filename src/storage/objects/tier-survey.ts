/**
 * Compares what should be in the bucket with what is there, a page of its names at a time: a bucket
 * with a million objects costs no more memory than one with ten, and nobody waits for the end of
 * it. Begins anew after a start and after each absence of the bucket.
 */
import type { Log } from '#kit';
import { type Doomed, remoteName } from './tier-codec.ts';
import type { TierShelf } from './tier-shelf.ts';
import type { RemoteStore } from './tiered-store.ts';

export interface SurveyParts {
  readonly shelf: TierShelf;
  readonly remote: RemoteStore;
  readonly log: Log;
}

export class TierSurvey {
  /** Objects that should be in the bucket and are not, by the last whole survey. */
  missing = 0;
  /** Objects under the prefix that nobody here knows. */
  stray = 0;

  readonly #parts: SurveyParts;
  /** The last name that was seen; null when nothing is left to look at. */
  #after: string | null = null;
  /** What should be there since before the survey began, and was not met yet. */
  #expected = new Set<string>();
  #strays = 0;
  #looking = false;

  constructor(parts: SurveyParts) {
    this.#parts = parts;
  }

  /** True when a page waits to be looked at. */
  get isDue(): boolean {
    return this.#after !== null && !this.#looking;
  }

  /** Begins anew, and looks at the first page. */
  async begin(): Promise<void> {
    this.#after = '';
    this.#strays = 0;
    this.#expected = new Set();
    for (const entry of this.#parts.shelf.all()) {
      if (entry.uploaded && !entry.gone) this.#expected.add(entry.name);
    }
    await this.look();
  }

  /** Looks at the next page. */
  async look(): Promise<void> {
    const { remote, shelf } = this.#parts;
    const after = this.#after;
    if (after === null) return;
    this.#looking = true;
    try {
      const page = await (remote.listAfter?.(after) ?? all(remote, after));
      // Another survey began meanwhile.
      if (this.#after !== after) return;
      const doomed = new Set([...shelf.gone.values()].flat().map(remoteName));
      for (const { name, bytes } of page) {
        const entry = shelf.of(nameOf(name).name);
        const isKnown = entry?.remoteName === name;
        if (isKnown && entry.bytes === bytes) this.#expected.delete(entry.name);
        if (!isKnown && !doomed.has(name)) this.#strays++;
      }
      this.#after = page.at(-1)?.name ?? null;
      if (this.#after === null) await this.#end();
    } finally {
      this.#looking = false;
    }
  }

  async #end(): Promise<void> {
    const { shelf, log, remote } = this.#parts;
    let missing = 0;
    // What was deleted or replaced since is not missed.
    for (const name of this.#expected) if (shelf.of(name)?.uploaded === true) missing++;
    this.#expected = new Set();
    if (missing > this.missing) log.error('the object store has lost objects', { missing });
    this.missing = missing;
    this.stray = this.#strays;
    await remote.dropUnfinished?.();
  }
}

/** A store that knows no pages. */
async function all(remote: RemoteStore, after: string) {
  return after === '' ? remote.list('') : [];
}

/** What an object in the bucket is called here. */
function nameOf(remote: string): Doomed {
  const dot = remote.lastIndexOf('.');
  return { name: remote.slice(0, Math.max(0, dot)), id: remote.slice(dot + 1) };
}
