/**
 * The patterns that members subscribe to, and the topics that each stands for now. A new pattern is
 * matched against all topics in slices, so that no other client waits for it; from then on only
 * topics that come and go are looked at.
 */
import type { Timers } from '#kit';
import { TopicPattern } from './topic-pattern.ts';

/** Work of one slice: some milliseconds. */
const SLICE_WORK = 100_000;
/** Patterns that nobody uses any more and that are kept all the same. */
const UNUSED_MAX = 64;

interface Entry {
  readonly pattern: TopicPattern;
  readonly names: Set<string>;
  /** Called when all topics were looked at; null afterwards. */
  waiting: (() => void)[] | null;
}

export class TopicPatterns {
  /** Grows when what a pattern stands for, or may be told to somebody, can have changed. */
  version = 0;
  readonly #entries = new Map<string, Entry>();
  readonly #timers: Timers;
  readonly #topics: () => Iterable<string>;
  readonly #exists: (name: string) => boolean;
  readonly #inUse: () => Iterable<string>;
  #closed = false;

  /**
   * @param topics names of all topics that patterns can stand for
   * @param inUse patterns of all members
   */
  constructor(
    timers: Timers,
    topics: () => Iterable<string>,
    exists: (name: string) => boolean,
    inUse: () => Iterable<string>,
  ) {
    this.#timers = timers;
    this.#topics = topics;
    this.#exists = exists;
    this.#inUse = inUse;
  }

  /**
   * Calls when `names` knows the pattern, at once when it does.
   * @throws PatternError when it is none
   */
  prepare(text: string, ready: () => void): void {
    const known = this.#entries.get(text);
    if (known !== undefined) {
      if (known.waiting === null) ready();
      else known.waiting.push(ready);
      return;
    }
    this.#forgetUnused();
    const entry: Entry = { pattern: new TopicPattern(text), names: new Set(), waiting: [ready] };
    this.#entries.set(text, entry);
    this.#scan(entry, [...this.#topics()], 0);
  }

  names(text: string): ReadonlySet<string> {
    return this.#entries.get(text)?.names ?? new Set();
  }

  created(name: string): void {
    for (const { pattern, names } of this.#entries.values()) {
      if (pattern.matches(name)) names.add(name);
      pattern.rest();
    }
    this.version++;
  }

  removed(name: string): void {
    for (const { names } of this.#entries.values()) names.delete(name);
    this.version++;
  }

  close(): void {
    this.#closed = true;
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    for (const { waiting } of entries) for (const ready of waiting ?? []) ready();
  }

  #scan(entry: Entry, topics: readonly string[], from: number): void {
    if (this.#closed) return;
    const { pattern, names } = entry;
    const end = pattern.work + SLICE_WORK;
    let at = from;
    for (; at < topics.length && pattern.work < end; at++) {
      const name = topics[at]!;
      if (pattern.matches(name) && this.#exists(name)) names.add(name);
    }
    if (at < topics.length) {
      this.#timers.soon(() => this.#scan(entry, topics, at));
      return;
    }
    pattern.rest();
    const waiting = entry.waiting ?? [];
    entry.waiting = null;
    for (const ready of waiting) ready();
  }

  #forgetUnused(): void {
    const inUse = new Set(this.#inUse());
    if (this.#entries.size < inUse.size + UNUSED_MAX) return;
    for (const [text, { waiting }] of this.#entries) {
      if (waiting === null && !inUse.has(text)) this.#entries.delete(text);
    }
  }
}
