/**
 * The entries of one kind in the order of their time. They are rows of a cold kind, whose key
 * begins with the time, so the catalogue has them in order; the keys of the next few are in memory.
 * That window ends at a key, not at a time, and so stays small however many share one millisecond.
 */
import { assert, compareKeys, firstNotBelow, keyAfter } from '#kit';
import { coldKind } from '../state/state-store.ts';
import type { StateTable } from '../state/state-table.ts';
import type { TimeEntry } from './time-engine.ts';

const LINE_PREFIX = coldKind('time/');
/** Due times of entries with ids of their makers, by id. */
const IDS_PREFIX = coldKind('time-id/');
const DUE_DIGITS = 12;
/** After the due time in a key: the id is one that was given to `set`, or that `add` made. */
const GIVEN = '.';
const MADE = '+';
const LIST_BYTES_MAX = 4 << 20;

export class TimeLine {
  readonly kind: string;
  readonly #state: StateTable;
  readonly #keysMax: number;
  readonly #scope: string;
  readonly #rows: string;
  readonly #ids: string;
  /** Keys of the entries that come next, from `#at` on; every key below `#end` is here. */
  #window: string[] = [];
  #at = 0;
  /** Null: the window has all keys there are. */
  #end: string | null = '';
  #shifted = '';

  constructor(kind: string, state: StateTable, keysMax: number) {
    this.kind = kind;
    this.#keysMax = keysMax;
    this.#state = state;
    this.#scope = kind.includes('/') ? kind.slice(kind.indexOf('/') + 1) : '';
    this.#rows = LINE_PREFIX + kind;
    this.#ids = IDS_PREFIX + kind;
  }

  /** Kinds that have entries in this state. */
  static *kinds(state: StateTable): Generator<string> {
    for (const kind of state.coldKinds()) {
      if (kind.startsWith(LINE_PREFIX) && state.count(kind) > 0)
        yield kind.slice(LINE_PREFIX.length);
    }
  }

  get count(): number {
    return this.#state.count(this.#rows);
  }

  /** When the first entry is due; Infinity when there is none. */
  get headMs(): number {
    const key = this.#head();
    return key === undefined ? Number.POSITIVE_INFINITY : dueOf(key);
  }

  set(id: string, dueMs: number, value: Buffer): void {
    const old = this.#state.get(this.#ids, id)?.toString();
    const due = dueText(dueMs);
    const key = due + GIVEN + id;
    if (old !== undefined && old !== due) this.#remove(old + GIVEN + id);
    const known = old === undefined ? 'new' : 'there';
    const slotName = this.#slotName(key);
    if (old !== due) this.#state.put(this.#ids, id, Buffer.from(due), slotName, known);
    this.#state.put(this.#rows, key, value, slotName, old === due ? 'there' : 'new');
    if (old !== due) this.#insert(key);
  }

  add(stamp: string, dueMs: number, value: Buffer): string {
    const key = dueText(dueMs) + MADE + stamp;
    this.#state.put(this.#rows, key, value, this.#slotName(key), 'new');
    this.#insert(key);
    return key;
  }

  cancel(id: string): boolean {
    const key = this.#keyOf(id);
    if (key === undefined) return false;
    this.#finish(key, id);
    return true;
  }

  get(id: string): TimeEntry | undefined {
    const key = this.#keyOf(id);
    return key === undefined ? undefined : this.#entry(key);
  }

  first(): TimeEntry | undefined {
    const key = this.#head();
    return key === undefined ? undefined : this.#entry(key);
  }

  /** Takes the first entry: it is gone when this stretch of code commits. */
  shift(): TimeEntry | undefined {
    const key = this.#head();
    if (key === undefined) return undefined;
    const entry = this.#entry(key);
    this.#finish(key, entry.id);
    this.#shifted = key;
    return entry;
  }

  /** Undoes the last `shift`, in the same stretch of code. */
  putBack(entry: TimeEntry): void {
    const { id, dueMs, value } = entry;
    if (this.#shifted[DUE_DIGITS] === GIVEN) this.set(id, dueMs, value);
    else {
      this.#state.put(this.#rows, id, value, this.#slotName(id));
      this.#insert(id);
    }
  }

  list(limit: number, after?: TimeEntry): TimeEntry[] {
    const from = after === undefined ? '' : keyAfter(this.#keyOf(after.id) ?? guessedKey(after));
    const span = { from, before: null, rowsMax: limit, bytesMax: LIST_BYTES_MAX };
    return this.#state.range(this.#rows, span).map(({ key, value }) => this.#show(key, value));
  }

  /**
   * The name whose slot an entry shares: the scope of a kind `family/scope`, else the id that was
   * given (a client, a queue), else the kind. All changes of a key lie in the log of one slot.
   */
  #slotName(key: string): string {
    if (this.#scope !== '') return this.#scope;
    return key[DUE_DIGITS] === GIVEN ? key.slice(DUE_DIGITS + 1) : this.kind;
  }

  #keyOf(id: string): string | undefined {
    const due = this.#state.get(this.#ids, id);
    if (due !== undefined) return due.toString() + GIVEN + id;
    return looksMade(id) && this.#state.has(this.#rows, id) ? id : undefined;
  }

  #entry(key: string): TimeEntry {
    const value = this.#state.get(this.#rows, key);
    assert(value !== undefined, 'an entry whose key is known has a row');
    return this.#show(key, value);
  }

  #show(key: string, value: Buffer): TimeEntry {
    const id = key[DUE_DIGITS] === GIVEN ? key.slice(DUE_DIGITS + 1) : key;
    return { kind: this.kind, id, dueMs: dueOf(key), value };
  }

  #finish(key: string, id: string): void {
    if (key[DUE_DIGITS] === GIVEN) {
      this.#state.delete(this.#ids, id, this.#slotName(key), 'there');
    }
    this.#remove(key);
  }

  #remove(key: string): void {
    this.#state.delete(this.#rows, key, this.#slotName(key), 'there');
    if (this.#end !== null && compareKeys(key, this.#end) >= 0) return;
    if (this.#window[this.#at] === key) {
      this.#at++;
      return;
    }
    const index = firstNotBelow(this.#window, key);
    if (index >= this.#at && this.#window[index] === key) this.#window.splice(index, 1);
  }

  #insert(key: string): void {
    if (this.#end !== null && compareKeys(key, this.#end) >= 0) return;
    if (this.#at > 0) {
      this.#window.splice(0, this.#at);
      this.#at = 0;
    }
    this.#window.splice(firstNotBelow(this.#window, key), 0, key);
    if (this.#window.length <= 2 * this.#keysMax) return;
    this.#end = this.#window[this.#keysMax]!;
    this.#window.length = this.#keysMax;
  }

  #head(): string | undefined {
    if (this.#at < this.#window.length) return this.#window[this.#at];
    if (this.#end === null) return undefined;
    const span = { from: this.#end, before: null, rowsMax: this.#keysMax };
    this.#window = this.#state.keys(this.#rows, span);
    this.#at = 0;
    const last = this.#window[this.#keysMax - 1];
    this.#end = last === undefined ? null : keyAfter(last);
    return this.#window[0];
  }
}

/** The key of an entry that is gone, by its form. */
function guessedKey({ id, dueMs }: TimeEntry): string {
  return looksMade(id) ? id : dueText(dueMs) + GIVEN + id;
}

function looksMade(id: string): boolean {
  return id[DUE_DIGITS] === MADE;
}

function dueText(dueMs: number): string {
  return dueMs.toString(16).padStart(DUE_DIGITS, '0');
}

function dueOf(key: string): number {
  return Number.parseInt(key.slice(0, DUE_DIGITS), 16);
}
