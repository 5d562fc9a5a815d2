/**
 * Durable state: cursors, sessions, timers and others, as named bytes by kind. Every change is a
 * record of a state log and so shares the commit of the data of the same turn. What is committed
 * moves into the catalogue with each checkpoint, and then the state logs are trimmed. A start reads
 * the catalogue and replays what the state logs still hold.
 *
 * A hot kind is in memory as a whole. A cold one (`coldKind`) lies in the catalogue: memory has
 * only what is not there yet, bounded, because it moves there early when there is much of it.
 *
 * A key belongs to a slot, and each slot has a state log of its own: slots can get other owners.
 */
import { BrokerError, keptBytes, type Timers } from '#kit';
import type { MetaRow, MetaSpan, MetaStore } from '#meta';
import {
  type BatchFacts,
  LOG_IDS_PER_SLOT,
  type LogEngine,
  type ShardLog,
  SLOT_COUNT,
} from '#storage';
import type { ColdKind, Known } from './cold-kind.ts';
import { slotOfName } from './slot.ts';
import { decodeChanges, encodeChanges } from './state-codec.ts';
import { STATE_FACTS } from './state-facts.ts';
import { isCold, type Mark, STATE_LIMITS, type StateLimits, StateStore } from './state-store.ts';

/** The log of a slot that carries its state. */
const STATE_LOG = 1;
const REPLAY_BYTES = 1 << 20;
/** Bytes of changes that wait for a seal; beyond it the table is busy. */
const OPEN_BYTES_MAX = 16 << 20;
/** Bytes of changes in one batch of a state log, but for a single large one. */
const BATCH_BYTES = 1 << 18;
const SCAN_ROWS = 500;
const SCAN_BYTES = 1 << 20;

const FACTS: BatchFacts = { ...STATE_FACTS, count: 1 };

interface Change {
  readonly kind: string;
  readonly key: string;
  readonly value: Buffer | null;
  /** Number of the change in its cold kind; 0 in a hot one. */
  readonly number: number;
}

/** State that its owner keeps elsewhere, and that waits for the catalogue as well. */
interface StatePart {
  readonly busy: boolean;
  onRoom(call: () => void): void;
  close(): void;
}

type Done = (error: BrokerError | null) => void;

export class StateTable {
  readonly #engine: LogEngine;
  readonly #store: StateStore;
  readonly #kinds = new Map<string, Map<string, Buffer>>();
  readonly #logs = new Map<number, ShardLog>();
  /** Changes since the last seal, by slot. */
  #open = new Map<number, Change[]>();
  #openBytes = 0;
  #waiting: Done[] = [];
  #inFlight = 0;
  #part: StatePart | null = null;

  private constructor(engine: LogEngine, store: StateStore) {
    this.#engine = engine;
    this.#store = store;
  }

  static async open(
    engine: LogEngine,
    meta: MetaStore,
    timers: Timers,
    limits: StateLimits = STATE_LIMITS,
  ): Promise<StateTable> {
    const table = new StateTable(engine, new StateStore(meta, timers, limits));
    await table.#store.load((kind, key, value) => table.#set(kind, key, value));
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      if (engine.has(slot * LOG_IDS_PER_SLOT + STATE_LOG)) await table.#replay(slot);
    }
    engine.onCheckpoint(() => table.#checkpoint());
    engine.onHealth((health) => {
      if (health === 'ok' && table.#open.size > 0) engine.wake();
    });
    return table;
  }

  get(kind: string, key: string): Buffer | undefined {
    return isCold(kind) ? this.#store.cold(kind).get(key) : this.#kinds.get(kind)?.get(key);
  }

  has(kind: string, key: string): boolean {
    return isCold(kind)
      ? this.#store.cold(kind).has(key)
      : this.#kinds.get(kind)?.has(key) === true;
  }

  count(kind: string): number {
    return isCold(kind) ? this.#store.cold(kind).count : (this.#kinds.get(kind)?.size ?? 0);
  }

  /** All of a kind; a cold one in the order of its keys, read as the walk goes on. */
  scan(kind: string): Iterable<readonly [string, Buffer]> {
    return isCold(kind) ? scanCold(this.#store.cold(kind)) : (this.#kinds.get(kind) ?? []);
  }

  /** Part of a cold kind in the order of its keys (by UTF-8 bytes). */
  range(kind: string, span: MetaSpan): MetaRow[] {
    return this.#store.cold(kind).range(span);
  }

  /** See `ColdKind.texts`. */
  texts(kind: string): Iterable<readonly [key: string, text: string]> {
    return this.#store.cold(kind).texts();
  }

  keys(kind: string, span: MetaSpan): string[] {
    return this.#store.cold(kind).keys(span);
  }

  /** Cold kinds that may have rows. */
  coldKinds(): Iterable<string> {
    return this.#store.coldKinds();
  }

  /** Rows and bytes of cold kinds that memory holds, because the catalogue does not yet. */
  get held(): { readonly rows: number; readonly bytes: number } {
    return this.#store.held;
  }

  /**
   * True while memory holds more than it should: do not add to it, `onRoom` tells when to go on.
   */
  get busy(): boolean {
    return this.#openBytes > OPEN_BYTES_MAX || this.#store.busy || this.#part?.busy === true;
  }

  onRoom(call: () => void): void {
    if (this.#openBytes > OPEN_BYTES_MAX) this.committed(call);
    else if (this.#part?.busy === true) this.#part.onRoom(call);
    else this.#store.onRoom(call);
  }

  /** The table is busy when this is, and closes it. */
  join(part: StatePart): void {
    this.#part = part;
  }

  /** Ends what runs by itself; what waits moves with the engine's last checkpoint. */
  close(): void {
    this.#store.close();
    this.#part?.close();
  }

  /**
   * Sets a value; it is stored with the next commit, together with everything appended in the same
   * synchronous stretch. The bytes belong to the table from here on.
   * @param slotName the name that the key's slot follows: what must change together shares it
   * @param known what the caller knows of a cold key, which spares a look into the catalogue
   */
  put(kind: string, key: string, value: Buffer, slotName = key, known: Known = 'unknown'): void {
    let number = 0;
    if (isCold(kind)) number = this.#store.cold(kind).set(key, value, known);
    else this.#set(kind, key, value);
    this.#record({ kind, key, value, number }, slotName);
  }

  /** @returns false when there is no such key */
  delete(kind: string, key: string, slotName = key, known: Known = 'unknown'): boolean {
    let number = 0;
    if (isCold(kind)) {
      const cold = this.#store.cold(kind);
      if (known !== 'there' && !cold.has(key)) return false;
      number = cold.set(key, null, 'there');
    } else if (this.#kinds.get(kind)?.delete(key) !== true) return false;
    this.#record({ kind, key, value: null, number }, slotName);
    return true;
  }

  /** Calls when all changes made so far are on disk, at once when they are or never will be. */
  committed(done: Done): void {
    if (this.#engine.health === 'failed') {
      done(new BrokerError('storage-failed'));
      return;
    }
    if (this.#open.size === 0 && this.#inFlight === 0) done(null);
    else this.#waiting.push(done);
  }

  /**
   * Appends the changes since the last seal. Called by the broker just before an entry is sealed.
   */
  seal(): void {
    if (this.#open.size === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    const open = this.#open;
    this.#open = new Map();
    this.#openBytes = 0;
    const parts: { readonly slot: number; readonly changes: readonly Change[] }[] = [];
    for (const [slot, changes] of open) {
      for (const part of partsOf(changes)) parts.push({ slot, changes: part });
    }
    let remaining = parts.length;
    let failure: BrokerError | null = null;
    const refused = new Map<number, BrokerError>();
    for (const { slot, changes } of parts) {
      this.#inFlight++;
      const settled = (error: BrokerError | null): void => {
        this.#inFlight--;
        failure ??= error;
        if (error === null) for (const change of changes) this.#store.committed(change);
        remaining--;
        if (remaining === 0) for (const done of waiting) done(failure);
        if (this.#inFlight === 0 && this.#open.size === 0) this.#release(failure);
      };
      // In the log of a slot later changes must not overtake earlier ones.
      const refusal = refused.get(slot) ?? this.#append(slot, changes, settled);
      if (refusal === null) continue;
      refused.set(slot, refusal);
      if (this.#engine.health !== 'failed') this.#keep(slot, changes);
      settled(refusal);
    }
  }

  /** There is no room for these changes now: they go first when there is. */
  #keep(slot: number, changes: readonly Change[]): void {
    const kept = this.#open.get(slot);
    if (kept === undefined) this.#open.set(slot, [...changes]);
    else kept.push(...changes);
    for (const { key, value } of changes) this.#openBytes += key.length + (value?.length ?? 0);
  }

  /** Those that began to wait while the last changes were in flight. */
  #release(failure: BrokerError | null): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const done of waiting) done(failure);
  }

  /** @returns why the log takes nothing now; null when it does, and `committed` is told */
  #append(slot: number, changes: readonly Change[], committed: Done): BrokerError | null {
    try {
      this.#logOf(slot).append(encodeChanges(changes), FACTS, committed);
      return null;
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error;
      return error;
    }
  }

  #logOf(slot: number): ShardLog {
    let log = this.#logs.get(slot);
    if (log === undefined) {
      log = this.#engine.open(slot * LOG_IDS_PER_SLOT + STATE_LOG, 'fsync');
      this.#logs.set(slot, log);
    }
    return log;
  }

  #set(kind: string, key: string, value: Buffer): void {
    let keys = this.#kinds.get(kind);
    if (keys === undefined) {
      keys = new Map();
      this.#kinds.set(kind, keys);
    }
    keys.set(key, keptBytes(value));
  }

  #record(change: Change, slotName: string): void {
    const slot = slotOfName(slotName);
    const changes = this.#open.get(slot);
    if (changes === undefined) this.#open.set(slot, [change]);
    else changes.push(change);
    this.#openBytes += change.key.length + (change.value?.length ?? 0);
    this.#engine.wake();
  }

  async #replay(slot: number): Promise<void> {
    const log = this.#logOf(slot);
    let offset = Math.max(log.startOffset, await this.#store.mark(slot));
    while (offset < log.highWatermark) {
      try {
        for (const batch of await log.read(offset, REPLAY_BYTES)) {
          if (batch.baseOffset + batch.count <= offset) continue;
          for (const change of decodeChanges(batch.bytes)) this.#replayed(change);
          offset = batch.baseOffset + batch.count;
        }
      } catch (error) {
        // The engine has reported the range. What it said is lost; the rest must not be.
        if (!(error instanceof BrokerError) || error.code !== 'damaged') throw error;
        offset = Math.max(offset + 1, Number(error.details['to']));
      }
      // What it leaves in memory is bounded as in normal times.
      await this.#store.relieved();
    }
  }

  #replayed({ kind, key, value }: Omit<Change, 'number'>): void {
    let number = 0;
    if (isCold(kind)) number = this.#store.cold(kind).set(key, value);
    else if (value === null) this.#kinds.get(kind)?.delete(key);
    else this.#set(kind, key, value);
    this.#store.committed({ kind, key, value, number });
  }

  /**
   * Moves committed changes into the catalogue. Values may be newer there than the marks say: the
   * replay from the marks sets them again, to the same end.
   */
  async #checkpoint(): Promise<void> {
    const ends = [...this.#logs].map(([slot, log]) => ({ slot, log, offset: log.highWatermark }));
    const marks: Mark[] = ends.map(({ slot, offset }) => ({ slot, offset }));
    await this.#store.checkpoint(marks);
    for (const { log, offset } of ends) log.trim(offset);
  }
}

/** Cut so that each part fits a batch, however much was changed in one turn. */
function partsOf(changes: readonly Change[]): readonly (readonly Change[])[] {
  const parts: Change[][] = [];
  let part: Change[] = [];
  let bytes = 0;
  for (const change of changes) {
    if (bytes >= BATCH_BYTES) {
      parts.push(part);
      part = [];
      bytes = 0;
    }
    part.push(change);
    bytes += change.kind.length + 3 * change.key.length + (change.value?.length ?? 0);
  }
  parts.push(part);
  return parts;
}

function* scanCold(cold: ColdKind): Generator<readonly [string, Buffer]> {
  let from = '';
  while (true) {
    const rows = cold.range({ from, before: null, rowsMax: SCAN_ROWS, bytesMax: SCAN_BYTES });
    if (rows.length === 0) return;
    for (const { key, value } of rows) yield [key, value];
    from = `${rows[rows.length - 1]!.key}\0`;
  }
}
