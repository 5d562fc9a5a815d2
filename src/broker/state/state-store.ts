/**
 * State on its way into the catalogue: committed changes are gathered and written in pieces of a
 * few milliseconds, all of them with a checkpoint, those of cold kinds also between checkpoints
 * when memory holds many of them. Each piece is one transaction, so a crash after any of them
 * leaves a catalogue that the replay of the state logs leads to the same end.
 */
import { BrokerError, type Timer, type Timers } from '#kit';
import type { MetaChange, MetaStore } from '#meta';
import { ColdKind, type HeldTotal } from './cold-kind.ts';

/** Names of kinds; a cold kind's row tells how many rows it has. */
const KINDS_TABLE = 'state-kinds';
const TABLE_PREFIX = 'state/';
const MARKS_TABLE = 'state-marks';
/** Bounds of what moves into the catalogue, and of what waits for that in memory. */
export interface StateLimits {
  /** Rows and bytes of one transaction: it blocks for some ms at most. */
  readonly pieceRows: number;
  readonly pieceBytes: number;
  /** What cold kinds may hold in memory before it moves into the catalogue. */
  readonly heldRows: number;
  readonly heldBytes: number;
}

export const STATE_LIMITS: StateLimits = {
  pieceRows: 200,
  pieceBytes: 1 << 20,
  heldRows: 32_768,
  heldBytes: 32 << 20,
};

/** Times what they may hold before it moves: beyond that nobody should add to it. */
const BUSY_FACTOR = 4;
/** Pause after a write that failed. */
const RETRY_MS = 1000;
const COLD_PREFIX = 'cold/';

/** The name of a kind that lies in the catalogue instead of in memory. */
export function coldKind(name: string): string {
  return COLD_PREFIX + name;
}

export function isCold(kind: string): boolean {
  return kind.startsWith(COLD_PREFIX);
}

export interface CommittedChange {
  readonly kind: string;
  readonly key: string;
  readonly value: Buffer | null;
  /** Number of the change in its cold kind; 0 in a hot one. */
  readonly number: number;
}

/** A log whose changes below `offset` the catalogue will have. */
export interface Mark {
  readonly slot: number;
  readonly offset: number;
}

type Dirty = Map<string, CommittedChange>;

export class StateStore {
  readonly #meta: MetaStore;
  readonly #timers: Timers;
  readonly #limits: StateLimits;
  readonly #cold = new Map<string, ColdKind>();
  readonly #storedKinds = new Set<string>();
  /** Committed changes that the catalogue does not have: kind, then key, oldest first. */
  #dirty = new Map<string, Dirty>();
  /** Those that a job is writing now. */
  #moving: Map<string, Dirty> | null = null;
  readonly #total: HeldTotal = { rows: 0, bytes: 0 };
  /** The writing jobs, one after the other. */
  #chain: Promise<void> = Promise.resolve();
  #relieving = false;
  #retryTimer: Timer | null = null;
  #waiting: (() => void)[] = [];
  #closed = false;

  constructor(meta: MetaStore, timers: Timers, limits: StateLimits) {
    this.#meta = meta;
    this.#timers = timers;
    this.#limits = limits;
  }

  /** Reads the hot kinds, and what cold kinds there are. */
  async load(hot: (kind: string, key: string, value: Buffer) => void): Promise<void> {
    for await (const kinds of this.#meta.scan(KINDS_TABLE)) {
      for (const { key: kind, value: count } of kinds) {
        this.#storedKinds.add(kind);
        if (isCold(kind)) {
          this.#cold.set(kind, this.#coldKind(kind, Number.parseInt(count.toString(), 10)));
          continue;
        }
        for await (const page of this.#meta.scan(TABLE_PREFIX + kind)) {
          for (const { key, value } of page) hot(kind, key, value);
        }
      }
    }
  }

  cold(kind: string): ColdKind {
    let cold = this.#cold.get(kind);
    if (cold === undefined) {
      cold = this.#coldKind(kind, 0);
      this.#cold.set(kind, cold);
    }
    return cold;
  }

  coldKinds(): Iterable<string> {
    return this.#cold.keys();
  }

  get held(): Readonly<HeldTotal> {
    return this.#total;
  }

  get busy(): boolean {
    return this.#over(BUSY_FACTOR);
  }

  onRoom(call: () => void): void {
    if (this.busy) this.#waiting.push(call);
    else this.#timers.soon(call);
  }

  /** A change is on disk, in its state log. */
  committed(change: CommittedChange): void {
    const { kind, key, value, number } = change;
    let keys = this.#dirty.get(kind);
    if (isCold(kind)) {
      if (value === null && this.cold(kind).dismiss(key, number)) {
        keys?.delete(key);
        this.#moving?.get(kind)?.delete(key);
        this.#offerRoom();
        return;
      }
    }
    if (keys === undefined) {
      keys = new Map();
      this.#dirty.set(kind, keys);
    }
    keys.set(key, change);
    if (this.#crowded) this.#relieve();
  }

  /** Offset from which the state log of a slot says what the catalogue does not have. */
  async mark(slot: number): Promise<number> {
    const mark = await this.#meta.get(MARKS_TABLE, String(slot));
    return mark === undefined ? 0 : Number(mark.toString());
  }

  /** Moves everything committed into the catalogue, and then the marks. */
  checkpoint(marks: readonly Mark[]): Promise<void> {
    return this.#run(async () => {
      const dirty = this.#dirty;
      this.#dirty = new Map();
      await this.#move(dirty, () => false);
      const rows = marks.map(({ slot, offset }) => {
        return { table: MARKS_TABLE, key: String(slot), value: Buffer.from(String(offset)) };
      });
      if (rows.length > 0) await this.#meta.write(rows);
    });
  }

  /** Resolves when memory holds no more of cold kinds than it should. @throws BrokerError */
  async relieved(): Promise<void> {
    if (this.#crowded) await this.#run(() => this.#moveCold());
  }

  close(): void {
    this.#closed = true;
    this.#retryTimer?.cancel();
    this.#retryTimer = null;
  }

  get #crowded(): boolean {
    return this.#over(1);
  }

  /** Memory holds more than so many times what it may. */
  #over(factor: number): boolean {
    const { heldRows, heldBytes } = this.#limits;
    return this.#total.rows > heldRows * factor || this.#total.bytes > heldBytes * factor;
  }

  #coldKind(kind: string, stored: number): ColdKind {
    return new ColdKind(TABLE_PREFIX + kind, this.#meta, stored, this.#total);
  }

  #run(job: () => Promise<void>): Promise<void> {
    const done = this.#chain.then(job);
    this.#chain = done.catch(() => {});
    return done;
  }

  #relieve(): void {
    if (this.#relieving || this.#closed || this.#retryTimer !== null) return;
    this.#relieving = true;
    const job = this.#run(() => this.#moveCold());
    void job.then(
      () => {
        this.#relieving = false;
        // What was committed meanwhile may be too much again.
        if (this.#crowded && this.#hasColdDirty()) this.#relieve();
      },
      (error: unknown) => {
        this.#relieving = false;
        if (!(error instanceof BrokerError)) throw error;
        if (this.#closed) return;
        // A full disk: what waits is safe in the state logs, and is tried again.
        this.#retryTimer = this.#timers.after(RETRY_MS, () => {
          this.#retryTimer = null;
          this.#relieve();
        });
      },
    );
  }

  #hasColdDirty(): boolean {
    for (const [kind, keys] of this.#dirty) if (keys.size > 0 && isCold(kind)) return true;
    return false;
  }

  /** Moves the oldest of what cold kinds hold until they hold half of what they may. */
  async #moveCold(): Promise<void> {
    const enough = (): boolean => this.#closed || !this.#over(0.5);
    const dirty = new Map<string, Dirty>();
    for (const [kind, keys] of this.#dirty) {
      if (!isCold(kind)) continue;
      dirty.set(kind, keys);
      this.#dirty.delete(kind);
    }
    await this.#move(dirty, enough);
  }

  /** Writes piece by piece; what is left, by `enough` or by an error, is dirty again. */
  async #move(dirty: Map<string, Dirty>, enough: () => boolean): Promise<void> {
    this.#moving = dirty;
    try {
      for (const [kind, keys] of dirty) {
        while (keys.size > 0) {
          if (enough()) return;
          await this.#writePiece(kind, keys);
          this.#offerRoom();
          // Writes block: others get their turn between two of them.
          await new Promise<void>((resolve) => this.#timers.soon(resolve));
        }
        dirty.delete(kind);
      }
    } finally {
      this.#moving = null;
      for (const [kind, keys] of dirty) if (keys.size > 0) this.#putBack(kind, keys);
    }
  }

  async #writePiece(kind: string, keys: Dirty): Promise<void> {
    const cold = isCold(kind) ? this.cold(kind) : null;
    const taken: CommittedChange[] = [];
    const rows: MetaChange[] = [];
    let bytes = 0;
    let added = 0;
    for (const change of keys.values()) {
      const { key, value } = change;
      added += cold?.begin(key, value) ?? 0;
      taken.push(change);
      rows.push({ table: TABLE_PREFIX + kind, key, value });
      bytes += key.length + (value?.length ?? 0);
      if (rows.length >= this.#limits.pieceRows || bytes >= this.#limits.pieceBytes) break;
    }
    if (cold !== null || !this.#storedKinds.has(kind)) {
      const count = cold === null ? '' : String(cold.stored + added);
      rows.push({ table: KINDS_TABLE, key: kind, value: Buffer.from(count) });
    }
    try {
      // The state logs are trimmed only behind the marks, whose write is not relaxed.
      await this.#meta.write(rows, true);
    } catch (error) {
      for (const { key } of taken) cold?.giveUp(key);
      throw error;
    }
    this.#storedKinds.add(kind);
    for (const { key, value, number } of taken) {
      keys.delete(key);
      cold?.end(key, value, number);
    }
  }

  #putBack(kind: string, keys: Dirty): void {
    const newer = this.#dirty.get(kind);
    if (newer !== undefined) for (const [key, change] of newer) keys.set(key, change);
    this.#dirty.set(kind, keys);
  }

  #offerRoom(): void {
    if (this.busy || this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const call of waiting) call();
  }
}
