/**
 * Hot durable state: cursors, sessions, last values, as named bytes by kind. Every change is a
 * record of a state log and so shares the commit of the data of the same turn; the checkpoint moves
 * what is committed into the catalogue, and then the state logs are trimmed. A start reads the
 * catalogue and replays what the state logs still hold.
 *
 * A key belongs to a slot, and each slot has a state log of its own: slots can get other owners.
 */
import {
  BrokerError,
  type Position,
  readUnsigned,
  type Timers,
  unsignedSize,
  writeUnsigned,
} from '#kit';
import type { MetaChange, MetaStore } from '#meta';
import { LOG_IDS_PER_SLOT, type LogEngine, type ShardLog, SLOT_COUNT } from '#storage';
import { slotOfName } from './slot.ts';

const KINDS_TABLE = 'state-kinds';
const TABLE_PREFIX = 'state/';
const MARKS_TABLE = 'state-marks';
/** The log of a slot that carries its state. */
const STATE_LOG = 1;
const REPLAY_BYTES = 1 << 20;
/** Rows that one catalogue transaction of a checkpoint takes: it blocks for some ms at most. */
const CHECKPOINT_ROWS = 500;

interface Change {
  readonly kind: string;
  readonly key: string;
  readonly value: Buffer | null;
}

type Done = (error: BrokerError | null) => void;

export class StateTable {
  readonly #engine: LogEngine;
  readonly #meta: MetaStore;
  readonly #kinds = new Map<string, Map<string, Buffer>>();
  readonly #logs = new Map<number, ShardLog>();
  /** Changes since the last seal, by slot. */
  #open = new Map<number, Change[]>();
  #waiting: Done[] = [];
  /** Committed changes since the last checkpoint: kind, then key. */
  #dirty = new Map<string, Map<string, Buffer | null>>();
  readonly #storedKinds = new Set<string>();
  #inFlight = 0;

  readonly #timers: Timers;

  private constructor(engine: LogEngine, meta: MetaStore, timers: Timers) {
    this.#engine = engine;
    this.#meta = meta;
    this.#timers = timers;
  }

  static async open(engine: LogEngine, meta: MetaStore, timers: Timers): Promise<StateTable> {
    const table = new StateTable(engine, meta, timers);
    await table.#load();
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      if (engine.has(slot * LOG_IDS_PER_SLOT + STATE_LOG)) await table.#replay(slot);
    }
    engine.onCheckpoint(() => table.#checkpoint());
    return table;
  }

  get(kind: string, key: string): Buffer | undefined {
    return this.#kinds.get(kind)?.get(key);
  }

  count(kind: string): number {
    return this.#kinds.get(kind)?.size ?? 0;
  }

  scan(kind: string): Iterable<readonly [string, Buffer]> {
    return this.#kinds.get(kind) ?? [];
  }

  /**
   * Sets a value; it is stored with the next commit, together with everything appended in the same
   * synchronous stretch. The bytes belong to the table from here on.
   */
  put(kind: string, key: string, value: Buffer): void {
    this.#set(kind, key, value);
    this.#record({ kind, key, value });
  }

  delete(kind: string, key: string): void {
    if (this.#kinds.get(kind)?.delete(key) !== true) return;
    this.#record({ kind, key, value: null });
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
    let remaining = open.size;
    let failure: BrokerError | null = null;
    for (const [slot, changes] of open) {
      this.#inFlight++;
      this.#append(slot, changes, (error) => {
        this.#inFlight--;
        failure ??= error;
        if (error === null) for (const change of changes) this.#markDirty(change);
        remaining--;
        if (remaining === 0) for (const done of waiting) done(failure);
        if (this.#inFlight === 0 && this.#open.size === 0) this.#release(failure);
      });
    }
  }

  /** Those that began to wait while the last changes were in flight. */
  #release(failure: BrokerError | null): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const done of waiting) done(failure);
  }

  #append(slot: number, changes: readonly Change[], committed: Done): void {
    const bytes = encodeChanges(changes);
    try {
      this.#logOf(slot).append(
        bytes,
        {
          kind: 'state',
          count: 1,
          maxTimestampMs: -1,
          serverPacked: true,
          origin: 0,
          principal: 0,
          producerId: -1,
          producerEpoch: -1,
          baseSequence: -1,
          attributes: 0,
        },
        committed,
      );
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error;
      committed(error);
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
    keys.set(key, value);
  }

  #record(change: Change): void {
    const slot = slotOfName(change.key);
    const changes = this.#open.get(slot);
    if (changes === undefined) this.#open.set(slot, [change]);
    else changes.push(change);
    this.#engine.wake();
  }

  #markDirty(change: Change): void {
    let keys = this.#dirty.get(change.kind);
    if (keys === undefined) {
      keys = new Map();
      this.#dirty.set(change.kind, keys);
    }
    keys.set(change.key, change.value);
  }

  async #load(): Promise<void> {
    for await (const kinds of this.#meta.scan(KINDS_TABLE)) {
      for (const { key: kind } of kinds) {
        this.#storedKinds.add(kind);
        for await (const page of this.#meta.scan(TABLE_PREFIX + kind)) {
          for (const { key, value } of page) this.#set(kind, key, value);
        }
      }
    }
  }

  async #replay(slot: number): Promise<void> {
    const log = this.#logOf(slot);
    const mark = await this.#meta.get(MARKS_TABLE, String(slot));
    let offset = Math.max(log.startOffset, mark === undefined ? 0 : Number(mark.toString()));
    while (offset < log.highWatermark) {
      const batches = await log.read(offset, REPLAY_BYTES);
      if (batches.length === 0) return;
      for (const batch of batches) {
        if (batch.baseOffset + batch.count <= offset) continue;
        for (const change of decodeChanges(batch.bytes)) {
          if (change.value === null) this.#kinds.get(change.kind)?.delete(change.key);
          else this.#set(change.kind, change.key, change.value);
          this.#markDirty(change);
        }
        offset = batch.baseOffset + batch.count;
      }
    }
  }

  /**
   * Moves committed changes into the catalogue. Values may be newer there than the marks say: the
   * replay from the marks sets them again, to the same end.
   */
  async #checkpoint(): Promise<void> {
    const dirty = this.#dirty;
    this.#dirty = new Map();
    const marks = [...this.#logs].map(([slot, log]) => ({ slot, log, offset: log.highWatermark }));
    let changes: MetaChange[] = [];
    for (const [kind, keys] of dirty) {
      if (!this.#storedKinds.has(kind)) {
        this.#storedKinds.add(kind);
        changes.push({ table: KINDS_TABLE, key: kind, value: Buffer.alloc(0) });
      }
      for (const [key, value] of keys) {
        changes.push({ table: TABLE_PREFIX + kind, key, value });
        if (changes.length < CHECKPOINT_ROWS) continue;
        await this.#meta.write(changes);
        changes = [];
        // Writes block: others get their turn between two of them.
        await new Promise<void>((resolve) => this.#timers.soon(resolve));
      }
    }
    for (const { slot, offset } of marks) {
      changes.push({ table: MARKS_TABLE, key: String(slot), value: Buffer.from(String(offset)) });
    }
    if (changes.length > 0) await this.#meta.write(changes);
    for (const { log, offset } of marks) log.trim(offset);
  }
}

/** A change: kind, key, value, each with its length; a value's length is one more, 0 = removed. */
function encodeChanges(changes: readonly Change[]): Buffer {
  let size = 0;
  for (const { kind, key, value } of changes) {
    const kindSize = Buffer.byteLength(kind);
    const keySize = Buffer.byteLength(key);
    const valueSize = value === null ? 0 : value.length;
    size += unsignedSize(kindSize) + kindSize + unsignedSize(keySize) + keySize;
    size += unsignedSize(value === null ? 0 : valueSize + 1) + valueSize;
  }
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  for (const { kind, key, value } of changes) {
    at = writeUnsigned(bytes, at, Buffer.byteLength(kind));
    at += bytes.write(kind, at);
    at = writeUnsigned(bytes, at, Buffer.byteLength(key));
    at += bytes.write(key, at);
    at = writeUnsigned(bytes, at, value === null ? 0 : value.length + 1);
    if (value !== null) {
      bytes.set(value, at);
      at += value.length;
    }
  }
  return bytes;
}

function decodeChanges(bytes: Buffer): Change[] {
  const changes: Change[] = [];
  const position: Position = { at: 0 };
  const take = (size: number): Buffer => {
    // Copied: a small value must not keep its whole batch alive.
    const part = Buffer.from(bytes.subarray(position.at, position.at + size));
    position.at += size;
    return part;
  };
  while (position.at < bytes.length) {
    const kind = take(readUnsigned(bytes, position, 'kind')).toString();
    const key = take(readUnsigned(bytes, position, 'key')).toString();
    const size = readUnsigned(bytes, position, 'value');
    changes.push({ kind, key, value: size === 0 ? null : take(size - 1) });
  }
  return changes;
}
