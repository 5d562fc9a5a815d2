/**
 * The newest value of each address. Values lie in the catalogue in the order in which they came, so
 * adding one writes behind the last one, whatever its address; memory has an index of their keys
 * (`KeyIndex`) and what is not in the catalogue yet. Committed changes move there in pieces, each
 * one transaction that adds rows, removes those that were replaced, and keeps the offset from which
 * the log says what these rows do not.
 *
 * A change is in the index from the moment of its append. What it replaced goes when it is
 * committed, and comes back when it failed.
 */
import { BrokerError, type Timer, type Timers } from '#kit';
import type { MetaChange, MetaStore } from '#meta';
import { KeyIndex } from './key-index.ts';
import { KeyIndexCopy } from './key-index-copy.ts';

const TABLE = 'last-values';
const MARKS_TABLE = 'last-values-mark';
/** Bounds of what moves into the catalogue, and of what may wait for that. */
export interface RowLimits {
  readonly pieceRows: number;
  readonly pieceBytes: number;
  /** What may wait before it moves. */
  readonly heldRows: number;
  readonly heldBytes: number;
}

/** A piece is written in some milliseconds, in which nothing else happens. */
const ROW_LIMITS: RowLimits = {
  pieceRows: 256,
  pieceBytes: 128 << 10,
  heldRows: 4_096,
  heldBytes: 1 << 20,
};

/** Times what may wait: beyond that nobody should add to it. */
const BUSY_FACTOR = 16;
const RETRY_MS = 1000;
/** The size of a key that has ended, until that is committed. */
const ENDED = 0xffff_ffff;
/** A row's key: the offset, the size of its value, the key of the value. */
const OFFSET_DIGITS = 13;
const SIZE_DIGITS = 8;
const KEY_AT = OFFSET_DIGITS + SIZE_DIGITS;
const HEX = 16;
const LOAD_ROWS = 2_000;

type Done = (error: BrokerError | null) => void;

/** A change that the catalogue does not have. */
interface Change {
  readonly key: string;
  /** Null ends the value. */
  readonly row: Buffer | null;
  /** The change of this key before it; -1: there was none. */
  before: number;
  beforeSize: number;
  /** There was one when this came. */
  readonly known: boolean;
  committed: boolean;
  writing: boolean;
  done: Done[] | null;
}

export interface StoredValue {
  readonly key: string;
  readonly offset: number;
  readonly row: Buffer;
}

interface Given {
  readonly meta: MetaStore;
  readonly timers: Timers;
  readonly limits?: RowLimits;
  /** The value of a key is an earlier one again. */
  readonly undone: (key: string) => void;
}

export class LastValueRows {
  readonly #meta: MetaStore;
  readonly #timers: Timers;
  readonly #limits: RowLimits;
  readonly #undone: (key: string) => void;
  readonly #index = new KeyIndex();
  readonly #copy: KeyIndexCopy;
  /** By offset, in order. */
  readonly #changes = new Map<number, Change>();
  #heldBytes = 0;
  /** Rows of values that were replaced, by their keys. */
  readonly #dead: string[] = [];
  /** Changes that replaced a value, and are not on disk. */
  #replacing = 0;
  /** Changes that replaced a value, or gave it back. */
  #replacements = 0;
  /** All changes below it are known here. */
  #end = 0;
  /** What the catalogue says of that. */
  #marked = 0;
  /** A power cut could undo writes. */
  #unsynced = false;
  #count = 0;
  #bytes = 0;
  #chain: Promise<void> = Promise.resolve();
  #moving = false;
  #retryTimer: Timer | null = null;
  #waiting: (() => void)[] = [];
  #closed = false;

  constructor({ meta, timers, limits = ROW_LIMITS, undone }: Given) {
    this.#meta = meta;
    this.#timers = timers;
    this.#copy = new KeyIndexCopy(meta);
    this.#limits = limits;
    this.#undone = undone;
  }

  /**
   * Reads the keys.
   * @param logEnd where the log ends
   * @returns the offset from which the log says what is not here
   */
  async load(logEnd: number): Promise<number> {
    const mark = await this.#meta.get(MARKS_TABLE, '');
    this.#end = this.#marked = mark === undefined ? 0 : Number(mark.toString());
    if (this.#marked > logEnd) await this.#clear();
    const copied = await this.#copy.load(this.#index, this.#end, this.#turn);
    if (copied !== null) {
      this.#count = copied.count;
      this.#bytes = copied.bytes;
      return this.#end;
    }
    for (let from = ''; ; await this.#turn()) {
      const keys = this.#meta.keys(TABLE, { from, before: null, rowsMax: LOAD_ROWS });
      for (const rowKey of keys) {
        const size = Number.parseInt(rowKey.slice(OFFSET_DIGITS, KEY_AT), HEX);
        this.#index.set(rowKey.slice(KEY_AT), offsetOf(rowKey), size);
        this.#count++;
        this.#bytes += size;
      }
      if (keys.length < LOAD_ROWS) return this.#end;
      from = `${keys[keys.length - 1]!}\0`;
    }
  }

  get count(): number {
    return this.#count;
  }

  /** Bytes of all rows. */
  get bytes(): number {
    return this.#bytes;
  }

  /** True while more waits to be written than may: do not add to it, `onRoom` tells when to. */
  get busy(): boolean {
    return this.#over(BUSY_FACTOR);
  }

  onRoom(call: () => void): void {
    if (this.busy) this.#waiting.push(call);
    else this.#timers.soon(call);
  }

  /** What waits moves with the engine's last checkpoint. */
  close(): void {
    this.#closed = true;
    this.#retryTimer?.cancel();
    this.#retryTimer = null;
  }

  // ---- changes ----------------------------------------------------------------------------------

  /** A change has its offset, behind all others: `committed` or `failed` tells of its fate. */
  set(offset: number, key: string, row: Buffer | null): void {
    const known = this.#index.set(key, offset, row === null ? ENDED : row.length);
    const before = known ? this.#index.offset : -1;
    const beforeSize = known ? this.#index.size : ENDED;
    this.#resize(beforeSize, row === null ? ENDED : row.length);
    this.#changes.set(offset, {
      key,
      row,
      before,
      beforeSize,
      known,
      committed: false,
      writing: false,
      done: null,
    });
    this.#heldBytes += row === null ? 0 : row.length;
    this.#end = offset + 1;
    if (!known) return;
    this.#replacements++;
    this.#replacing++;
  }

  committed(offset: number): void {
    const change = this.#changes.get(offset);
    if (change === undefined || change.committed) return;
    change.committed = true;
    if (change.known) this.#replacing--;
    const { key, row, before, beforeSize, done } = change;
    if (beforeSize !== ENDED) this.#replaced(before, beforeSize, key);
    if (row === null) {
      this.#forget(offset, change);
      if (this.#index.find(key) && this.#index.offset === offset) this.#index.delete(key);
    }
    change.done = null;
    if (done !== null) for (const call of done) call(null);
    if (this.#over(1)) this.#moveSoon();
    else this.#offerRoom();
  }

  failed(offset: number, error: BrokerError): void {
    const change = this.#changes.get(offset);
    if (change === undefined) return;
    this.#forget(offset, change);
    this.#replacements++;
    if (change.known) this.#replacing--;
    // The offset will be given again.
    this.#end = Math.min(this.#end, offset);
    const { key, row, before, beforeSize, done } = change;
    if (this.#index.find(key) && this.#index.offset === offset) {
      this.#resize(row === null ? ENDED : row.length, beforeSize);
      // An end before it that is committed meanwhile has left nothing.
      const isGone = before < 0 || (beforeSize === ENDED && !this.#changes.has(before));
      if (isGone) this.#index.delete(key);
      else this.#index.set(key, before, beforeSize);
      this.#undone(key);
    } else this.#relink(offset, change);
    // Not now: its offset is given again, and others that failed with it still have theirs.
    if (this.#waiting.length > 0) this.#timers.soon(this.#offerRoom);
    if (done !== null) for (const call of done) call(error);
  }

  /** Calls when the change at `offset` is on disk, or failed: at once when that is known. */
  settled(offset: number, done: Done): void {
    const change = this.#changes.get(offset);
    if (change === undefined || change.committed) done(null);
    else if (change.done === null) change.done = [done];
    else change.done.push(done);
  }

  // ---- reading ----------------------------------------------------------------------------------

  has(key: string): boolean {
    return this.#index.find(key) && this.#index.size !== ENDED;
  }

  /** Bytes of the row of a key; -1 without one. */
  sizeOf(key: string): number {
    return this.has(key) ? this.#index.size : -1;
  }

  get(key: string): StoredValue | undefined {
    if (!this.has(key)) return undefined;
    return this.#valueAt(key, this.#index.offset, this.#index.size);
  }

  /** Changes whenever something is replaced; -1 while some of what lies on disk is not newest. */
  get replacements(): number {
    return this.#replacing > 0 || this.#dead.length > 0 ? -1 : this.#replacements;
  }

  /** True while the value of a key is still the one with this offset. */
  isNewest(key: string, offset: number): boolean {
    return this.#index.find(key) && this.#index.offset === offset;
  }

  /** Keys in their order. What has ended may be among them until that is committed. */
  keys(from: string, before: string | null, limit: number): string[] {
    return this.#index.range(from, before, limit).map(({ key }) => key);
  }

  estimate(from: string, before: string | null): number {
    return this.#index.estimate(from, before);
  }

  sample(from: string, before: string | null, count: number): string[] {
    return this.#index.sample(from, before, count);
  }

  /**
   * Values with offsets from `from` on and below `before`, in the order in which they were set:
   * newest ones, and some that were replaced (see `isNewest`). Empty at the end.
   */
  inOrder(from: number, before: number, rowsMax: number, bytesMax: number): StoredValue[] {
    const span = { from: digits(from, OFFSET_DIGITS), before: digits(before, OFFSET_DIGITS) };
    const values: StoredValue[] = [];
    let bytes = 0;
    if (from < before) {
      for (const { key, value } of this.#meta.range(TABLE, { ...span, rowsMax, bytesMax })) {
        values.push({ key: key.slice(KEY_AT), offset: offsetOf(key), row: value });
        bytes += value.length;
      }
    }
    if (values.length >= rowsMax || bytes >= bytesMax) return values;
    const last = values.length === 0 ? from - 1 : values[values.length - 1]!.offset;
    for (const [offset, { key, row }] of this.#changes) {
      if (offset >= before || values.length >= rowsMax || bytes >= bytesMax) break;
      if (offset <= last || row === null) continue;
      values.push({ key, offset, row });
      bytes += row.length;
    }
    return values;
  }

  // ---- moving into the catalogue ----------------------------------------------------------------

  /** Moves all that is committed. @throws BrokerError */
  checkpoint(): Promise<void> {
    return this.#run(async () => {
      await this.#move(() => false);
      if (this.#unsynced) await this.#meta.write([markRow(this.#marked)]);
      this.#unsynced = false;
      if (!this.#closed || !this.#isMoved) return;
      const head = { mark: this.#marked, count: this.#count, bytes: this.#bytes };
      const replacements = this.#replacements;
      // What comes while it is written may be in it, or not.
      const isGood = (): boolean => this.#isMoved && this.#replacements === replacements;
      await this.#copy.save(this.#index, head, this.#turn, isGood);
    });
  }

  get #isMoved(): boolean {
    return this.#changes.size === 0 && this.#dead.length === 0;
  }

  /** Resolves when no more waits than should. @throws BrokerError */
  async relieved(): Promise<void> {
    if (this.#over(1)) await this.#run(() => this.#move(() => !this.#over(0.5)));
  }

  #run(job: () => Promise<void>): Promise<void> {
    const done = this.#chain.then(job);
    this.#chain = done.catch(() => {});
    return done;
  }

  #over(factor: number): boolean {
    const { heldRows, heldBytes } = this.#limits;
    if (this.#changes.size > heldRows * factor || this.#heldBytes > heldBytes * factor) return true;
    return this.#dead.length > heldRows * factor;
  }

  #moveSoon(): void {
    if (this.#moving || this.#closed || this.#retryTimer !== null) return;
    this.#moving = true;
    const job = this.#run(() => this.#move(() => this.#closed || !this.#over(0.5)));
    void job.then(
      () => {
        this.#moving = false;
      },
      (error: unknown) => {
        this.#moving = false;
        if (!(error instanceof BrokerError)) throw error;
        if (this.#closed) return;
        // A full disk: what waits is safe in the log, and is tried again.
        this.#retryTimer = this.#timers.after(RETRY_MS, () => {
          this.#retryTimer = null;
          this.#moveSoon();
        });
      },
    );
  }

  async #move(enough: () => boolean): Promise<void> {
    while (!enough()) {
      if (!(await this.#writePiece())) return;
      this.#offerRoom();
      // Writes block: others get their turn between two of them.
      await this.#turn();
    }
  }

  /** @returns false when there is nothing to write */
  async #writePiece(): Promise<boolean> {
    const { pieceRows, pieceBytes } = this.#limits;
    const rows: MetaChange[] = [];
    const taken: [number, Change][] = [];
    const dead = this.#dead.slice(0, pieceRows);
    for (const key of dead) rows.push({ table: TABLE, key, value: null });
    let bytes = 0;
    // What is dead by a change before the mark must be gone with it.
    const isLate = this.#dead.length > dead.length;
    let mark = isLate ? this.#marked : this.#end;
    for (const [offset, change] of this.#changes) {
      if (isLate) break;
      mark = offset;
      // The rows are those of changes before the mark, and no others.
      if (!change.committed || rows.length >= pieceRows || bytes >= pieceBytes) break;
      taken.push([offset, change]);
      const value = change.row!;
      change.writing = true;
      rows.push({ table: TABLE, key: rowKeyOf(offset, value.length, change.key), value });
      bytes += value.length;
      mark = this.#end;
    }
    if (rows.length === 0 && mark === this.#marked) return false;
    rows.push(...this.#copy.endedBy());
    rows.push(markRow(mark));
    try {
      // What a power cut undoes is in the log behind the mark that it undoes as well.
      await this.#meta.write(rows, true);
    } catch (error) {
      for (const [, change] of taken) change.writing = false;
      throw error;
    }
    this.#dead.splice(0, dead.length);
    this.#copy.ended();
    this.#marked = mark;
    this.#unsynced = true;
    for (const [offset, change] of taken) this.#forget(offset, change);
    return true;
  }

  readonly #offerRoom = (): void => {
    if (this.#waiting.length === 0 || this.busy) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const call of waiting) call();
  };

  readonly #turn = (): Promise<void> => new Promise((resolve) => this.#timers.soon(resolve));

  // ---- inside -----------------------------------------------------------------------------------

  /** The log has lost its end, of which the rows speak: all of them are made again from the log. */
  async #clear(): Promise<void> {
    while (true) {
      const keys = this.#meta.keys(TABLE, { from: '', before: null, rowsMax: LOAD_ROWS });
      if (keys.length === 0) break;
      const rows = keys.map((key) => ({ table: TABLE, key, value: null }));
      await this.#meta.write(rows, true);
      await this.#turn();
    }
    // Last: a crash before this begins again.
    await this.#meta.write([markRow(0)]);
    this.#end = this.#marked = 0;
  }

  /** The value at an offset gave way to one that is on disk. */
  #replaced(offset: number, size: number, key: string): void {
    const change = this.#changes.get(offset);
    if (change !== undefined) this.#forget(offset, change);
    if (change === undefined || change.writing) this.#dead.push(rowKeyOf(offset, size, key));
  }

  /** The change that came after one which failed follows the one before that. */
  #relink(offset: number, { key, before, beforeSize }: Change): void {
    for (const change of this.#changes.values()) {
      if (change.before !== offset || change.key !== key) continue;
      change.before = before;
      change.beforeSize = beforeSize;
      return;
    }
  }

  #forget(offset: number, { row }: Change): void {
    if (this.#changes.delete(offset) && row !== null) this.#heldBytes -= row.length;
  }

  #valueAt(key: string, offset: number, size: number): StoredValue | undefined {
    const row =
      this.#changes.get(offset)?.row ?? this.#meta.read(TABLE, rowKeyOf(offset, size, key));
    return row === undefined ? undefined : { key, offset, row };
  }

  #resize(before: number, after: number): void {
    this.#count += (after === ENDED ? 0 : 1) - (before === ENDED ? 0 : 1);
    this.#bytes += (after === ENDED ? 0 : after) - (before === ENDED ? 0 : before);
  }
}

function markRow(mark: number): MetaChange {
  return { table: MARKS_TABLE, key: '', value: Buffer.from(String(mark)) };
}

function digits(value: number, count: number): string {
  return value.toString(HEX).padStart(count, '0');
}

function rowKeyOf(offset: number, size: number, key: string): string {
  return digits(offset, OFFSET_DIGITS) + digits(size, SIZE_DIGITS) + key;
}

function offsetOf(rowKey: string): number {
  return Number.parseInt(rowKey.slice(0, OFFSET_DIGITS), HEX);
}
