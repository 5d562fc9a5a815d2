/**
 * Queues that are not in memory, because nobody has been there to consume them. Memory has a row
 * for each and an index of their subscriptions. A message that matches is stored with a row of
 * state that refers to it, in one entry; the queue itself is read when its consumer returns, and
 * for a while when many messages wait, when there are too many, or when the first one expires:
 * never more than a few at a time, however many queues a message goes to (decision 0027).
 */
import { expectBrokerError, type Log, type Timers } from '#kit';
import { LOG_IDS_PER_SLOT, type LogEngine, SLOT_COUNT } from '#storage';
import type { Queue } from '../queues/queue.ts';
import type { QueueRoutes } from '../queues/queue-routes.ts';
import type { Queues } from '../queues/queues.ts';
import type { Message } from '../records/message.ts';
import { homeOfName } from '../state/slot.ts';
import type { StateTable } from '../state/state-table.ts';
import type { Follower, Partition } from '../streams/partition.ts';
import type { TimeEngine } from '../time/time-engine.ts';
import { ColdFilters } from './cold-filters.ts';
import { ColdPins } from './cold-pins.ts';
import type { ColdMatches, ColdPolicy, ColdSubscription } from './cold-policy.ts';
import { ColdReferences } from './cold-references.ts';
import { CALLED, ColdRows, EXPIRING, KEPT, PLACED, STORED } from './cold-rows.ts';
import { type StoredCold, storedOf } from './stored-cold.ts';

/** Definitions of queues that are not in memory. */
const KIND = 'cold/queue';
/** When the first message of one of them expires. */
const HEAD_KIND = 'queue.head';
/** Queues that are in memory for a while at one time. */
const VISITORS_MAX = 64;
const NOTHING = Buffer.alloc(0);

interface ColdHost {
  readonly engine: LogEngine;
  readonly state: StateTable;
  readonly time: TimeEngine;
  readonly timers: Timers;
  readonly queues: Queues;
  readonly log: Log;
  /** Messages that wait as rows of state before a queue takes them. */
  readonly waitingMax: number;
}

export class ColdQueues implements Follower {
  readonly filters = new ColdFilters();
  readonly #host: ColdHost;
  readonly #rows = new ColdRows();
  readonly #references: ColdReferences;
  readonly #pins = new ColdPins();
  #policy: ColdPolicy | null = null;
  /** In memory without a consumer, by row, until they are still. */
  readonly #visitors = new Map<number, Queue>();
  /** Rows that wait to be brought into memory, from `#calledAt` on; those without CALLED do not. */
  #called: number[] = [];
  #calledAt = 0;
  /** Messages in stored queues. */
  #queued = 0;
  /** References to messages that are not committed yet: the disk may be too full for them. */
  #recent: { partition: Partition; offset: number; row: number; key: string }[] = [];
  /** Queues that took such references in. */
  readonly #moved = new Set<Queue>();
  #looking = false;
  /** Something has changed since the look began. */
  #lookAgain = false;
  #closed = false;
  /** All slots have one owner: what a row refers to shares its commit. */
  readonly #single: boolean;

  constructor(host: ColdHost) {
    this.#host = host;
    this.#single = hasOneOwner(host.engine);
    this.#references = new ColdReferences(host.state);
    host.engine.onCheckpoint(async () => this.#lookSoon());
    host.queues.cold = this;
  }

  /** Reads what waits, once. */
  recover(): void {
    for (const [name, value] of this.#host.state.scan(KIND)) {
      const { ready, pins } = storedOf(value);
      const row = this.#rows.of(name);
      this.#rows.queued[row] = ready;
      this.#queued += ready;
      this.#rows.set(row, STORED, true);
      for (const [logId, offset] of pins) this.#pins.add(logId, offset);
    }
    for (const [name, { logId, offset }] of this.#references.scan()) {
      const row = this.#rows.of(name);
      this.#rows.waiting[row]!++;
      this.#pins.add(logId, offset);
    }
  }

  /** Of all queues that are not in memory; before the first of them is known. */
  set policy(policy: ColdPolicy) {
    this.#policy = policy;
    // What is overdue after a start is looked at when it is known how.
    this.#host.time.register(HEAD_KIND, ({ id }) => this.#headEnds(id));
  }

  get count(): number {
    return this.#rows.names.size;
  }

  /** Bytes of memory for all of them. */
  get bytes(): number {
    return this.#rows.bytes + this.filters.bytes;
  }

  /** Queues that are in memory for a while. */
  get visitorCount(): number {
    return this.#visitors.size;
  }

  has(name: string): boolean {
    return this.#rows.names.find(name) >= 0;
  }

  /** Messages that wait for all of them. */
  get messages(): number {
    let messages = this.#queued + this.#references.count;
    for (const queue of this.#visitors.values()) messages += queue.readyCount;
    return messages;
  }

  /** Messages that wait for a queue. */
  length(name: string): number {
    const row = this.#rows.names.find(name);
    return row < 0 ? 0 : this.#lengthOf(row);
  }

  /**
   * A queue, when there is one of that name, leaves memory as soon as nothing of it is under way;
   * its subscriptions at once. Told again after a start.
   * @param placed its positions must stay what they are
   */
  cool(name: string, subscriptions: readonly ColdSubscription[], placed: boolean): void {
    const row = this.#rows.of(name);
    this.#rows.set(row, KEPT, true);
    this.#rows.set(row, PLACED, placed);
    this.filters.remove(row);
    for (const { pattern, options } of subscriptions) this.filters.add(row, pattern, options);
    const queue = this.#host.queues.get(name);
    if (queue === undefined) return;
    this.#visitors.set(row, queue);
    this.#lookSoon();
  }

  /**
   * A consumer comes: the queue is in memory again, with all that waits for it.
   * @returns null when there is none, and nothing waits
   */
  warm(name: string): Queue | null {
    const row = this.#rows.names.find(name);
    if (row < 0) return null;
    const queue = this.#waits(row) || this.#visitors.has(row) ? this.#visit(row) : null;
    this.#forget(row, name);
    return queue;
  }

  /** After a start: what is stored of queues that nobody has named goes. */
  sweep(): void {
    const { names } = this.#rows;
    for (let row = 0; row < names.end; row++) {
      if (!names.has(row) || this.#rows.has(row, KEPT)) continue;
      const queue = this.warm(names.textOf(row));
      if (queue !== null) this.#host.queues.remove(queue);
    }
  }

  /** First offset of a partition that one of them still needs, or Infinity. */
  firstOffset(partition: Partition): number {
    return this.#pins.first(partition.log.id);
  }

  /** What is in memory stays there: the server stops. */
  close(): void {
    this.#closed = true;
  }

  // ---- messages ------------------------------------------------------------------------------

  /** Notes in `routes` which of them get a message. */
  collect(message: Message, { filters, aliases }: ColdMatches, routes: QueueRoutes): void {
    const policy = this.#policy;
    if (policy === null || !policy.wants(message)) return;
    const single = filters.length === 1;
    const found = single ? null : new Map<number, { options: number; alias: boolean }>();
    for (const [index, filter] of filters.entries()) {
      const alias = aliases[index]!;
      for (let at = this.filters.first(filter); at !== 0; at = this.filters.next(at)) {
        const row = this.filters.ownerOf(at);
        const options = this.filters.optionsOf(at);
        if (found === null) {
          this.#collectOne(policy, message, row, options, alias, routes);
          continue;
        }
        const known = found.get(row);
        if (known === undefined) found.set(row, { options, alias });
        else {
          known.options |= options;
          known.alias &&= alias;
        }
      }
    }
    for (const [row, { options, alias }] of found ?? []) {
      this.#collectOne(policy, message, row, options, alias, routes);
    }
  }

  #collectOne(
    policy: ColdPolicy,
    message: Message,
    row: number,
    options: number,
    alias: boolean,
    routes: QueueRoutes,
  ): void {
    const meta = policy.meta(message, options, alias, this.#lengthOf(row));
    if (meta === null) return;
    routes.coldRows.push(row);
    routes.coldMetas.push(meta);
    routes.durable = true;
  }

  /** Stores references to a message that has its place, for those that `collect` has noted. */
  route(message: Message, { coldRows, coldMetas }: QueueRoutes, partition: Partition): void {
    for (const [index, row] of coldRows.entries()) {
      const meta = coldMetas[index]!;
      const visitor = this.#visitors.get(row) ?? this.#elsewhere(row, partition);
      if (visitor === null) this.#add(message, row, meta, partition);
      else {
        const apart = !this.#host.engine.sameOwner(visitor.id, partition.log.id);
        partition.touch(visitor, apart);
        visitor.route(message, meta);
        if (message.expiresAtMs !== 0) visitor.watchesHead = true;
      }
    }
    partition.touch(this, false);
  }

  committed(partition: Partition): void {
    const { highWatermark } = partition;
    this.#recent = this.#recent.filter((recent) => {
      return recent.partition !== partition || recent.offset >= highWatermark;
    });
    this.#toldMoved((queue) => queue.committed());
  }

  /** A queue has read its next message, a visitor perhaps. */
  loaded(): void {
    this.#lookSoon();
  }

  /** The append of these offsets failed: nothing waits for them. */
  failed(partition: Partition, fromOffset: number): void {
    this.#recent = this.#recent.filter(({ partition: other, offset, row, key }) => {
      if (other !== partition || offset < fromOffset) return true;
      // What a queue has taken meanwhile fails there.
      if (!this.#references.undo(key)) return false;
      this.#rows.waiting[row]!--;
      this.#pins.remove(partition.log.id, offset);
      return false;
    });
    this.#toldMoved((queue) => queue.failed(partition, fromOffset));
  }

  #toldMoved(tell: (queue: Queue) => void): void {
    for (const queue of this.#moved) if (!queue.removed) tell(queue);
    if (this.#recent.length === 0) this.#moved.clear();
  }

  /** Called before an entry is written. */
  sealed(): void {
    if (this.#visitors.size > 0 || this.#called.length > 0) this.#lookSoon();
  }

  #add(message: Message, row: number, meta: number, partition: Partition): void {
    const { offset, value, expiresAtMs } = message;
    const size = value === null ? 0 : value.length;
    const name = this.#rows.names.textOf(row);
    const key = this.#references.add(name, { logId: partition.log.id, offset, meta, size });
    this.#pins.add(partition.log.id, offset);
    if (offset >= partition.highWatermark) this.#recent.push({ partition, offset, row, key });
    const waiting = ++this.#rows.waiting[row]!;
    if (expiresAtMs !== 0) this.#expires(row, name, expiresAtMs);
    const lengthMax = this.#policy?.settings.lengthMax ?? Number.POSITIVE_INFINITY;
    if (waiting >= this.#host.waitingMax || this.#lengthOf(row) > lengthMax) this.#call(row);
  }

  /** Its references cannot share a commit with messages of this partition: it takes them itself. */
  #elsewhere(row: number, partition: Partition): Queue | null {
    if (this.#single) return null;
    const home = homeOfName(this.#rows.names.textOf(row));
    return this.#host.engine.sameOwner(home, partition.log.id) ? null : this.#visit(row);
  }

  #lengthOf(row: number): number {
    const visitor = this.#visitors.size === 0 ? undefined : this.#visitors.get(row);
    const queued = visitor === undefined ? this.#rows.queued[row]! : visitor.readyCount;
    return queued + this.#rows.waiting[row]!;
  }

  #waits(row: number): boolean {
    return this.#rows.has(row, STORED) || this.#rows.waiting[row]! > 0;
  }

  // ---- expiry --------------------------------------------------------------------------------

  #expires(row: number, name: string, expiresAtMs: number): void {
    if (this.#rows.has(row, EXPIRING)) return;
    this.#rows.set(row, EXPIRING, true);
    const { time } = this.#host;
    // Known from before a restart, perhaps.
    const known = time.get(HEAD_KIND, name);
    if (known === undefined || known.dueMs > expiresAtMs) {
      time.set(HEAD_KIND, name, expiresAtMs, NOTHING);
    }
  }

  #headEnds(name: string): void {
    const row = this.#rows.names.find(name);
    if (row < 0) return;
    this.#rows.set(row, EXPIRING, true);
    this.#call(row);
  }

  // ---- visits --------------------------------------------------------------------------------

  #call(row: number): void {
    if (this.#rows.has(row, CALLED) || this.#visitors.has(row)) return;
    this.#rows.set(row, CALLED, true);
    this.#called.push(row);
    this.#lookSoon();
  }

  /** The queue of a row in memory, with all that waits for it. */
  #visit(row: number): Queue {
    const { queues, state } = this.#host;
    const name = this.#rows.names.textOf(row);
    let queue = this.#visitors.get(row) ?? null;
    if (queue === null && this.#rows.has(row, STORED)) {
      const { queue: text, pins } = storedOf(state.get(KIND, name)!);
      for (const [logId, offset] of pins) this.#pins.remove(logId, offset);
      state.delete(KIND, name, name, 'there');
      queue = queues.putBack(name, text);
      this.#rows.set(row, STORED, false);
      this.#queued -= this.#rows.queued[row]!;
      this.#rows.queued[row] = 0;
    }
    queue ??= queues.declare(name, this.#policy!.settings);
    this.#visitors.set(row, queue);
    if (this.#rows.waiting[row]! > 0) this.#takeIn(row, name, queue);
    if (this.#rows.has(row, EXPIRING)) queue.watchesHead = true;
    return queue;
  }

  #takeIn(row: number, name: string, queue: Queue): void {
    for (const references of this.#references.take(name)) {
      this.#host.queues.takeIn(queue, references);
      for (const { logId, offset } of references) this.#pins.remove(logId, offset);
    }
    this.#rows.waiting[row] = 0;
    if (this.#recent.length > 0) this.#moved.add(queue);
  }

  #forget(row: number, name: string): void {
    if (this.#rows.has(row, EXPIRING)) this.#host.time.cancel(HEAD_KIND, name);
    this.#visitors.delete(row);
    this.filters.remove(row);
    this.#rows.names.remove(row);
  }

  /** Those that are still go; others take their places. After what is under way is on disk. */
  #lookSoon(): void {
    if (this.#closed || (this.#visitors.size === 0 && this.#called.length === 0)) return;
    this.#lookAgain = this.#looking;
    if (this.#looking) return;
    this.#looking = true;
    this.#host.timers.soon(() => void this.#lookAfterCommit());
  }

  async #lookAfterCommit(): Promise<void> {
    try {
      await this.#host.engine.flushed();
      await this.#look();
    } catch (error) {
      // A disk that takes nothing: they stay in memory, and are looked at again with a checkpoint.
      const { message } = expectBrokerError(error);
      if (this.#closed) return;
      this.#host.log.warn('queues that nobody consumes stay in memory', { reason: message });
    }
    this.#looking = false;
    if (this.#lookAgain) this.#lookSoon();
  }

  async #look(): Promise<void> {
    const { queues } = this.#host;
    const still = [...this.#visitors].filter(([, queue]) => queues.isStill(queue));
    const full: [number, Queue][] = [];
    for (const [row, queue] of still) {
      if (queue.readyCount > 0 || this.#rows.has(row, PLACED)) full.push([row, queue]);
      else {
        this.#leaves(row, queue.name, 0);
        queues.remove(queue);
      }
    }
    for (let at = 0; at < full.length; at += VISITORS_MAX) {
      const part = full.slice(at, at + VISITORS_MAX).filter(([, queue]) => queues.isStill(queue));
      const saved = await queues.saveWhole(part.map(([, queue]) => queue));
      if (this.#closed) return;
      for (const [row, queue] of part) {
        if (!saved.has(queue) || this.#visitors.get(row) !== queue) continue;
        if (queues.isStill(queue)) this.#store(row, queue);
      }
    }
    while (this.#calledAt < this.#called.length && this.#visitors.size < VISITORS_MAX) {
      const row = this.#called[this.#calledAt++]!;
      if (!this.#rows.names.has(row) || !this.#rows.has(row, CALLED)) continue;
      this.#rows.set(row, CALLED, false);
      this.#visit(row);
    }
    if (this.#calledAt < this.#called.length) return;
    this.#called = [];
    this.#calledAt = 0;
  }

  #store(row: number, queue: Queue): void {
    const { name, readyCount: ready } = queue;
    const pins = queue.lanes.pins();
    this.#leaves(row, name, queue.watch.dueMs);
    for (const [logId, offset] of pins) this.#pins.add(logId, offset);
    this.#rows.queued[row] = ready;
    this.#queued += ready;
    this.#rows.set(row, STORED, true);
    const stored: StoredCold = { queue: this.#host.queues.putAway(queue), ready, pins };
    this.#host.state.put(KIND, name, Buffer.from(JSON.stringify(stored)), name, 'new');
  }

  /** @param endsAtMs when its first message expires; 0: never */
  #leaves(row: number, name: string, endsAtMs: number): void {
    const { time } = this.#host;
    if (this.#rows.has(row, EXPIRING) && endsAtMs === 0) time.cancel(HEAD_KIND, name);
    if (endsAtMs !== 0) time.set(HEAD_KIND, name, endsAtMs, NOTHING);
    this.#rows.set(row, EXPIRING, endsAtMs !== 0);
    this.#visitors.delete(row);
  }
}

function hasOneOwner(engine: LogEngine): boolean {
  for (let slot = 1; slot < SLOT_COUNT; slot++) {
    if (!engine.sameOwner(0, slot * LOG_IDS_PER_SLOT)) return false;
  }
  return true;
}
