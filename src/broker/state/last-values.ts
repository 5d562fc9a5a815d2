/**
 * The last value of each address that asked to be kept: a compacted log of its own
 * (`last-values-journal.ts`), rows of the newest values in the catalogue with an index of their
 * addresses in memory (`last-value-rows.ts`), and walks of patterns that go only where they can
 * match (`last-values-walk.ts`). A value commits together with the message that set it, and ends by
 * an empty value, by an administrator or at its time: each end is a tombstone in the log.
 */
import { assert, BrokerError, type Clock, expectBrokerError, type Timers } from '#kit';
import type { MetaStore } from '#meta';
import type { Appended, BatchFacts, LogEngine } from '#storage';
import { type Address, addressOfText } from '../addresses/address.ts';
import type { Pattern } from '../addresses/pattern.ts';
import { SERVER_PRINCIPAL } from '../principals/principal.ts';
import type { Principals } from '../principals/principals.ts';

import { TRANSACTIONAL } from '../records/batch-layout.ts';
import { copyOf, messageBytes, messageOfBytes } from '../records/kept-message.ts';
import { Message } from '../records/message.ts';
import { originOf } from '../records/origin.ts';
import { LAST_VALUES } from '../streams/last-values-stream.ts';
import { type Partition, Touched } from '../streams/partition.ts';
import type { Streams } from '../streams/streams.ts';
import type { TimeEngine } from '../time/time-engine.ts';
import { LastValueBatches, ValueBatch } from './last-value-batches.ts';
import { LastValueRows, type StoredValue } from './last-value-rows.ts';
import { LastValuesJournal } from './last-values-journal.ts';
import { addressKey, isBroad, keyText, walk, walkInOrder } from './last-values-walk.ts';
import type { StateTable } from './state-table.ts';

/** Entries of the time engine: the key of a value, when it expires. */
const EXPIRY = 'last-value';
const NOTHING: Buffer = Buffer.alloc(0);
const SERVER_ORIGIN = originOf('server');
/** So many newer values that are passed over are a step that found none. */
const NEWER_MAX = 16;

/** What may be kept; -1 = no limit. */
interface LastValueLimits {
  readonly countMax: number;
  /** Bytes of all of them, with what describes them. */
  readonly bytesMax: number;
  readonly valueBytesMax: number;
  /** Expiry of a value that brings none. */
  readonly expiryMs: number;
}

const NO_LIMITS: LastValueLimits = {
  ...{ countMax: -1, bytesMax: -1, valueBytesMax: -1, expiryMs: -1 },
};

type Spread = (message: Message, partition: Partition, touched: Touched) => void;

/** The parts of a broker that it works with. */
interface LastValuesHost {
  readonly state: StateTable;
  readonly streams: Streams;
  readonly time: TimeEngine;
  readonly principals: Principals;
  /** See `Broker.busy`. */
  readonly busy: boolean;
}

/** What stands under it. */
interface LastValuesGiven {
  readonly engine: LogEngine;
  readonly meta: MetaStore;
  readonly clock: Clock;
  readonly timers: Timers;
}

/** Values that are about to be kept. */
interface Extent {
  rows: number;
  bytes: number;
}

/** Where a walk over values goes on: at its owner's last one. */
export interface WalkPlace {
  address: Address;
  offset: number;
}

export class LastValues {
  /** Set by who offers them to clients. */
  limits: LastValueLimits = NO_LIMITS;
  readonly #host: LastValuesHost;
  readonly #clock: Clock;
  readonly #spread: Spread;
  readonly #rows: LastValueRows;
  readonly #engine: LogEngine;
  readonly #batches: LastValueBatches;
  #journal: LastValuesJournal | null = null;

  /** @param spread hands out a message that a producer appended */
  constructor(host: LastValuesHost, given: LastValuesGiven, spread: Spread) {
    const { clock, meta, timers, engine } = given;
    this.#host = host;
    this.#clock = clock;
    this.#engine = engine;
    this.#spread = spread;
    const undone = (key: string): void => {
      const value = this.#rows.get(key);
      this.#arm(key, value === undefined ? 0 : this.#read(value).expiresAtMs);
    };
    this.#rows = new LastValueRows({ meta, timers, undone });
    const set = (message: Message): void => this.#setRow(message);
    const settled = (offset: number, error: BrokerError | null): void => {
      this.#journal!.published(offset, error);
    };
    this.#batches = new LastValueBatches({ set, settled }, timers);
    host.state.join(this);
    engine.onCheckpoint(() => this.#rows.checkpoint());
  }

  /** Brings the rows up to the log, once after a start. */
  async recover(): Promise<void> {
    const { streams, time } = this.#host;
    const partition = streams.get(LAST_VALUES)?.partitions[0];
    const from = await this.#rows.load(partition?.highWatermark ?? Number.POSITIVE_INFINITY);
    if (partition !== undefined) {
      const journal = new LastValuesJournal(partition, this.#rows);
      this.#journal = journal;
      await journal.replay(from, (message) => [
        addressKey(message.address.text),
        isEnd(message) ? null : messageBytes(this.#kept(message)),
      ]);
    }
    // The entry ends by itself, in the commit of the tombstone.
    time.register(EXPIRY, ({ id }) => void this.#end(id, SERVER_ORIGIN, null));
  }

  get count(): number {
    return this.#rows.count;
  }

  /** Bytes of all values, with what describes them. */
  get bytes(): number {
    return this.#rows.bytes;
  }

  /** What is kept from now on has at least this offset: it tells newer values from older ones. */
  get endOffset(): number {
    return this.#journal?.partition.endOffset ?? 0;
  }

  /** True while what was appended below an offset is not found here yet: for some turns. */
  isBehind(offset: number): boolean {
    return this.#batches.isBehind(offset);
  }

  /** See `StateTable.busy`. */
  get busy(): boolean {
    return this.#rows.busy || this.#batches.busy;
  }

  onRoom(call: () => void): void {
    if (this.#batches.busy) this.#batches.onRoom(call);
    else this.#rows.onRoom(call);
  }

  /** What waits moves with the engine's last checkpoint. */
  close(): void {
    this.#batches.close();
    this.#rows.close();
  }

  /** Is it the partition whose records are last values? */
  holds(partition: Partition): boolean {
    return partition.stream.name === LAST_VALUES;
  }

  /**
   * Asked before a publisher's message is taken that is to be kept: it may go nowhere else.
   * @throws BrokerError `busy`, `storage-full`, `storage-failed`
   */
  checkRoom(): void {
    const { health } = this.#engine;
    if (health !== 'ok') {
      throw new BrokerError(health === 'full' ? 'storage-full' : 'storage-failed');
    }
    if (this.#host.busy) throw new BrokerError('busy');
  }

  /**
   * Asked before a message is taken that is to be kept.
   * @param ahead what else is about to be kept; the message is added to it
   * @throws BrokerError `message-too-large`, `limit-reached`
   */
  check(message: Message, ahead: Extent = { rows: 0, bytes: 0 }): void {
    if (isEnd(message)) return;
    const { countMax, bytesMax, valueBytesMax } = this.limits;
    if (countMax >= 0 || bytesMax >= 0) this.#batches.finish();
    const size = message.value!.length;
    if (valueBytesMax >= 0 && size > valueBytesMax) {
      throw new BrokerError('message-too-large', `at most ${valueBytesMax} bytes are kept.`);
    }
    const rows = this.count + ahead.rows + 1;
    const bytes = this.bytes + ahead.bytes + size;
    ahead.rows++;
    ahead.bytes += size;
    const many = countMax >= 0 && rows > countMax;
    if (!many && (bytesMax < 0 || bytes <= bytesMax)) return;
    const before = this.#rows.sizeOf(addressKey(message.address.text));
    if (before >= 0) ahead.rows--;
    if (many && before < 0) {
      throw new BrokerError('limit-reached', `${countMax} last values are kept.`);
    }
    if (bytesMax >= 0 && bytes > bytesMax + Math.max(before, 0)) {
      throw new BrokerError('limit-reached', `last values have ${bytesMax} bytes at most.`);
    }
  }

  /**
   * Keeps a message as the last of its address; one without a value ends what was kept. A record of
   * the same turn shares its commit.
   * @returns the offset for `settled`, -1 when there was nothing to end
   */
  keep(message: Message): number {
    this.#batches.finish();
    const key = addressKey(message.address.text);
    const kept = isEnd(message) ? null : this.#kept(message);
    const offset =
      kept === null
        ? this.#end(key, message.origin, message)
        : this.#journalMade().append(kept, key, messageBytes(kept));
    this.#arm(key, kept?.expiresAtMs ?? 0);
    return offset;
  }

  /** Keeps a message that was taken already; what may not be kept is left out, and false. */
  offer(message: Message): boolean {
    try {
      this.check(message);
    } catch (error) {
      expectBrokerError(error);
      return false;
    }
    this.keep(message);
    return true;
  }

  /** Ends the value of an address. @returns as `keep` */
  remove(address: Address): number {
    const key = addressKey(address.text);
    const offset = this.#end(key, SERVER_ORIGIN, null);
    this.#arm(key, 0);
    return offset;
  }

  /** Calls when the change with this offset is on disk, or failed; at once when that is known. */
  settled(offset: number, done: (error: BrokerError | null) => void): void {
    if (offset < 0) done(null);
    else this.#rows.settled(offset, done);
  }

  /**
   * Appends a record batch as its producer sent it: each record is the last value of the address
   * that its key names, one without a value ends it. Who is interested in an address gets it.
   * @throws BrokerError `invalid-argument`, `invalid-batch`, `message-too-large`, `limit-reached`,
   *   and as `Partition.appendBatch`; nothing was done then
   */
  appendBatch(
    partition: Partition,
    bytes: Buffer,
    facts: BatchFacts,
    committed: (error: BrokerError | null) => void,
  ): Appended {
    const journal = this.#journalMade();
    assert(partition === journal.partition, 'last values have one partition');
    // What is open goes first: the offsets are known then.
    partition.seal();
    const base = { baseOffset: partition.endOffset, appendTimeMs: this.#clock.nowMs() };
    const messages = partition.decode({ ...facts, ...base, bytes });
    this.#checkBatch(messages, facts);
    const touched = new Touched();
    const batch = new ValueBatch(messages, committed);
    let isNew = false;
    const settled = (error: BrokerError | null): void => {
      if (isNew) this.#batches.settle(batch, error);
      else committed(error);
    };
    const appended = partition.appendBatch(bytes, facts, settled, touched);
    if (appended.duplicate) return appended;
    isNew = true;
    // With the batch: what commits with it, and who takes it live.
    for (const message of messages) {
      this.#arm(addressKey(message.address.text), this.#expiryOf(message));
      this.#spread(message, partition, touched);
    }
    this.#batches.add(batch);
    return appended;
  }

  // ---- reading ----------------------------------------------------------------------------------

  get(address: Address): Message | undefined {
    const value = this.#rows.get(addressKey(address.text));
    return value === undefined ? undefined : this.#read(value);
  }

  /**
   * Kept messages under a pattern, in the order of their addresses, read as they are asked for;
   * their offsets say when they were set. A null is a step that found none: a good moment to let
   * others have their turn.
   * @param from address to begin at; null begins at the first
   */
  *match(pattern: Pattern, from: Address | null = null): Generator<Message | null> {
    const start = from === null ? null : addressKey(from.text);
    for (const value of walk(this.#rows, pattern, start)) {
      yield value === null ? null : this.#read(value);
    }
  }

  /**
   * Kept messages under a pattern that were set before the offset `since`, in the order that is
   * cheapest: that of their addresses where few match, otherwise that in which they were set. A
   * null as in `match`.
   * @param place where an earlier walk of this pattern was left; null begins at the first
   */
  *matchBefore(
    pattern: Pattern,
    since: number,
    isInOrder: boolean,
    place: WalkPlace | null,
  ): Generator<Message | null> {
    const rows = this.#rows;
    let newer = 0;
    const source = isInOrder
      ? walkInOrder(rows, pattern, place?.offset ?? 0, since)
      : walk(rows, pattern, place === null ? null : addressKey(place.address.text));
    for (const value of source) {
      if (value !== null && value.offset < since) yield this.#read(value);
      else if (value === null || ++newer % NEWER_MAX === 0) yield null;
    }
  }

  /** Is it cheaper to read what a pattern matches in the order in which it was set? */
  isBroad(pattern: Pattern): boolean {
    return isBroad(this.#rows, pattern);
  }

  // ---- inside -----------------------------------------------------------------------------------

  #checkBatch(messages: readonly Message[], { attributes, count }: BatchFacts): void {
    if ((attributes & TRANSACTIONAL) !== 0) {
      throw new BrokerError('invalid-argument', 'last values are not set in transactions.');
    }
    if (messages.length !== count) {
      throw new BrokerError('invalid-batch', 'its records cannot be read.');
    }
    const ahead = { rows: 0, bytes: 0 };
    for (const message of messages) {
      const { address, retain } = message;
      if (!retain || address.reserved) {
        throw new BrokerError('invalid-argument', 'the key of a last value is its address.');
      }
      this.check(message, ahead);
    }
  }

  /** @param by the message that ends it; null when nobody published one */
  #end(key: string, origin: number, by: Message | null): number {
    this.#batches.finish();
    if (!this.#rows.has(key)) return -1;
    const tombstone = new Message(by?.address ?? addressOfText(keyText(key)), null, origin);
    tombstone.retain = true;
    tombstone.qos = 1;
    tombstone.principal = by?.principal ?? SERVER_PRINCIPAL;
    tombstone.producer = by?.producer ?? '';
    tombstone.appendTimeMs = this.#clock.nowMs();
    return this.#journalMade().append(tombstone, key, null);
  }

  /** The message as it is kept: under its address, with an end. */
  #kept(message: Message): Message {
    const kept = copyOf(message);
    kept.key = null;
    kept.retain = true;
    kept.source = null;
    kept.expiresAtMs = this.#expiryOf(message);
    return kept;
  }

  /** 0 = never. */
  #expiryOf(message: Message): number {
    if (isEnd(message)) return 0;
    const { expiryMs } = this.limits;
    if (message.expiresAtMs !== 0 || expiryMs < 0) return message.expiresAtMs;
    return message.appendTimeMs + expiryMs;
  }

  /** A record of a batch becomes the row of its address. */
  #setRow(message: Message): void {
    const key = addressKey(message.address.text);
    this.#rows.set(message.offset, key, isEnd(message) ? null : messageBytes(this.#kept(message)));
  }

  #arm(key: string, expiresAtMs: number): void {
    const { time } = this.#host;
    if (expiresAtMs !== 0) time.set(EXPIRY, key, expiresAtMs, NOTHING);
    else if (time.count(EXPIRY) > 0) time.cancel(EXPIRY, key);
  }

  #read({ row, offset }: StoredValue): Message {
    const { message, principalId } = messageOfBytes(row);
    message.principal = this.#host.principals.byId(principalId);
    message.offset = offset;
    return message;
  }

  #journalMade(): LastValuesJournal {
    if (this.#journal === null) {
      const { streams } = this.#host;
      const stream = streams.get(LAST_VALUES) ?? streams.create(LAST_VALUES);
      this.#journal = new LastValuesJournal(stream.partitions[0]!, this.#rows);
    }
    return this.#journal;
  }
}

function isEnd({ value }: Message): boolean {
  return value === null || value.length === 0;
}
