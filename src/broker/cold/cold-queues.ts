/**
 * Queues that are not in memory, because nobody has been there to consume them. Memory has a row
 * for each and an index of their subscriptions. A message that matches is stored with a row of
 * state that refers to it, in one entry; the queue itself is read when its consumer returns, and
 * for a while when many messages wait, when there are too many, or when the first one expires:
 * never more than a few at a time, however many queues a message goes to (decision 0027).
 */
import { expectBrokerError, type Log, type Metrics, type Timers } from '#kit';
import type { LogEngine } from '#storage';
import type { Queue } from '../queues/queue.ts';
import type { QueueRoutes } from '../queues/queue-routes.ts';
import type { Queues } from '../queues/queues.ts';
import { storedApart } from '../queues/stored-apart.ts';
import type { Message } from '../records/message.ts';
import { hasOneOwner, homeOfName } from '../state/slot.ts';
import type { StateTable } from '../state/state-table.ts';
import type { Follower, Partition } from '../streams/partition.ts';
import type { TimeEngine } from '../time/time-engine.ts';
import { ColdFilters } from './cold-filters.ts';
import { ColdLines } from './cold-lines.ts';
import { collectCold, type MatchingHost } from './cold-matching.ts';
import { mergeReferences } from './cold-merge.ts';
import { ColdNumbers } from './cold-numbers.ts';
import { ColdPins } from './cold-pins.ts';
import type { ColdMatches, ColdPolicy, ColdSubscription } from './cold-policy.ts';
import { type ColdReference, ColdReferences, type NumberedReference } from './cold-references.ts';
import { CALLED, ColdRows, EXPIRING, KEPT, NOTED, PLACED, STORED } from './cold-rows.ts';
import { RecentReferences } from './recent-references.ts';
import { type StoredCold, storedOf } from './stored-cold.ts';

/** Definitions of queues that are not in memory. */
const KIND = 'cold/queue';
/** When the first message of one of them expires. */
const HEAD_KIND = 'queue.head';
/** Queues that are in memory for a while at one time. */
const VISITORS_MAX = 64;
/** References that a queue takes at once. */
const TAKEN_AT_ONCE = 1000;
const NOTHING = Buffer.alloc(0);
const NONE: readonly NumberedReference[] = [];

interface ColdHost {
  readonly engine: LogEngine;
  readonly state: StateTable;
  readonly time: TimeEngine;
  readonly timers: Timers;
  readonly queues: Queues;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Messages that wait as rows of state before a queue takes them. */
  readonly waitingMax: number;
  /** Queues of one filter that share a row per message; fewer have one each. */
  readonly lineMembers: number;
}

export class ColdQueues implements Follower {
  readonly filters = new ColdFilters();
  readonly #host: ColdHost;
  readonly #rows = new ColdRows();
  readonly #references: ColdReferences;
  readonly #pins = new ColdPins();
  readonly #numbers: ColdNumbers;
  readonly #lines: ColdLines;
  readonly #matching: MatchingHost;
  #policy: ColdPolicy | null = null;
  /** In memory without a consumer, by row, until they are still. */
  readonly #visitors = new Map<number, Queue>();
  /** Rows that wait to be brought into memory, from `#calledAt` on; those without CALLED do not. */
  #called: number[] = [];
  #calledAt = 0;
  /** Messages in stored queues. */
  #queued = 0;
  readonly #recent = new RecentReferences();
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
    this.#references = new ColdReferences(host.state, this.#pins);
    this.#numbers = new ColdNumbers(host.state);
    const [filters, policy] = [this.filters, (): ColdPolicy | null => this.#policy];
    this.#lines = new ColdLines({ ...host, filters, pins: this.#pins, policy });
    const lineMembers = this.#single ? host.lineMembers : Number.POSITIVE_INFINITY;
    const lengthOf = (row: number): number => this.#lengthOf(row);
    this.#matching = { filters, lines: this.#lines, lineMembers, lengthOf };
    host.engine.onCheckpoint(async () => this.#lookSoon());
    host.queues.cold = this;
  }

  /** Reads what waits, once. */
  recover(): void {
    for (const [name, value] of this.#host.state.scan(KIND)) {
      const { queue, ready, pins, since = 0 } = storedOf(value);
      const row = this.#rows.of(name);
      this.#rows.queued[row] = ready;
      this.#rows.since[row] = since;
      this.#queued += ready;
      this.#rows.set(row, queue === null ? NOTED : STORED, true);
      for (const [logId, offset] of pins) this.#pins.add(logId, offset);
    }
    for (const [name, { logId, offset }] of this.#references.scan()) {
      const row = this.#rows.of(name);
      this.#rows.waiting[row]!++;
      this.#pins.add(logId, offset);
    }
    this.#lines.recover();
  }

  /** Of all queues that are not in memory; before the first of them is known. */
  set policy(policy: ColdPolicy) {
    this.#policy = policy;
    // What is overdue after a start is looked at when it is known how.
    this.#host.time.register(HEAD_KIND, ({ id }) => this.#headEnds(id));
    this.#lines.begin();
  }

  /** What comes from now on has this number or a greater one. */
  get mark(): number {
    return this.#numbers.next;
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
    let messages = this.#queued + this.#references.count + this.#lines.messages;
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
   * @param since the mark when it left memory
   */
  cool(
    name: string,
    subscriptions: readonly ColdSubscription[],
    placed: boolean,
    since = this.mark,
  ): void {
    const row = this.#rows.of(name);
    this.#rows.set(row, KEPT, true);
    this.#rows.set(row, PLACED, placed);
    if (this.filters.firstOf(row) !== 0) this.#unsubscribe(row);
    for (const { pattern, options } of subscriptions) this.filters.add(row, pattern, options);
    if (since > this.#rows.since[row]!) this.#rows.since[row] = since;
    const from = this.#rows.since[row]!;
    if (this.#lines.size > 0 && from < this.mark) this.#lines.rejoin(row, from);
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
    const queue = this.#waits(row) || this.#visitors.has(row) ? this.#visit(row, false) : null;
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
    this.#lines.known();
  }

  /** First offset of a partition that one of them still needs, or Infinity. */
  firstOffset(partition: Partition): number {
    return this.#pins.first(partition.log.id);
  }

  /** What is in memory stays there: the server stops. */
  close(): void {
    this.#closed = true;
    this.#lines.close();
  }

  // ---- messages ------------------------------------------------------------------------------

  /** Notes in `routes` which of them get a message. */
  collect(message: Message, matches: ColdMatches, routes: QueueRoutes): void {
    if (this.#policy?.wants(message) !== true) return;
    collectCold(this.#matching, this.#policy, matches, routes);
  }

  /** Stores references to a message that has its place, for those that `collect` has noted. */
  route(message: Message, routes: QueueRoutes, partition: Partition): void {
    const { coldRows, coldMetas, coldFilters, coldAliases } = routes;
    const number = this.#numbers.take();
    const { offset } = message;
    for (const [index, filter] of coldFilters.entries()) {
      const alias = coldAliases[index]!;
      const key = this.#lines.add(filter, number, message, partition, alias);
      this.#recent.add(partition, offset, -1, key);
    }
    for (const [index, row] of coldRows.entries()) {
      const meta = coldMetas[index]!;
      const visitor = this.#visitors.get(row) ?? this.#elsewhere(row, partition);
      const concerned = visitor !== null && this.#lines.size > 0 && this.#lines.concerns(row);
      if (visitor === null || concerned) this.#add(message, row, number, meta, partition);
      if (visitor === null) continue;
      // What it waits for in lines came before.
      if (concerned) this.#takeIn(row, visitor, true);
      else {
        partition.touch(visitor, storedApart(this.#host.engine, visitor, partition));
        visitor.route(message, meta);
      }
      if (message.expiresAtMs !== 0) visitor.watchesHead = true;
    }
    partition.touch(this, false);
  }

  committed(partition: Partition): void {
    this.#recent.committed(partition);
    this.#toldMoved((queue) => queue.committed());
  }

  /** A queue has read its next message, a visitor perhaps. */
  loaded(): void {
    this.#lookSoon();
  }

  /** The append of these offsets failed: nothing waits for them. */
  failed(partition: Partition, fromOffset: number): void {
    for (const { offset, row, key } of this.#recent.failed(partition, fromOffset)) {
      if (row < 0) this.#lines.undo(key);
      // What a queue has taken meanwhile fails there.
      if (row < 0 || !this.#references.undo(key)) continue;
      this.#rows.waiting[row]!--;
      this.#pins.remove(partition.log.id, offset);
    }
    this.#toldMoved((queue) => queue.failed(partition, fromOffset));
  }

  #toldMoved(tell: (queue: Queue) => void): void {
    for (const queue of this.#moved) if (!queue.removed) tell(queue);
    if (this.#recent.isEmpty) this.#moved.clear();
  }

  /** Called before an entry is written. */
  sealed(): void {
    if (this.#visitors.size > 0 || this.#called.length > 0) this.#lookSoon();
  }

  #add(message: Message, row: number, number: number, meta: number, partition: Partition): void {
    const { offset, value, expiresAtMs } = message;
    const size = value === null ? 0 : value.length;
    const name = this.#rows.names.textOf(row);
    const key = this.#references.add(name, number, { logId: partition.log.id, offset, meta, size });
    this.#pins.add(partition.log.id, offset);
    this.#recent.add(partition, offset, row, key);
    const waiting = ++this.#rows.waiting[row]!;
    if (expiresAtMs !== 0) this.#expires(row, name, expiresAtMs);
    const lengthMax = this.#policy?.settings.lengthMax ?? Number.POSITIVE_INFINITY;
    if (waiting >= this.#host.waitingMax || this.#lengthOf(row) > lengthMax) this.#call(row);
  }

  /** Its references cannot share a commit with messages of this partition: it takes them itself. */
  #elsewhere(row: number, partition: Partition): Queue | null {
    if (this.#single) return null;
    const home = homeOfName(this.#rows.names.textOf(row));
    return this.#host.engine.sameOwner(home, partition.log.id) ? null : this.#visit(row, true);
  }

  #lengthOf(row: number): number {
    const visitor = this.#visitors.size === 0 ? undefined : this.#visitors.get(row);
    const queued = visitor === undefined ? this.#rows.queued[row]! : visitor.readyCount;
    const own = queued + this.#rows.waiting[row]!;
    if (this.#lines.size === 0) return own;
    return own + this.#lines.lengthOf(row, this.#rows.since[row]!);
  }

  #waits(row: number): boolean {
    if (this.#rows.has(row, STORED) || this.#rows.waiting[row]! > 0) return true;
    return this.#lines.size > 0 && this.#lines.lengthOf(row, this.#rows.since[row]!) > 0;
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

  /**
   * The queue of a row in memory, with all that waits for it.
   * @param stays the row does, too
   */
  #visit(row: number, stays: boolean): Queue {
    const { queues, state } = this.#host;
    const name = this.#rows.names.textOf(row);
    let queue = this.#visitors.get(row) ?? null;
    if (queue === null && this.#rows.has(row, STORED)) {
      const { queue: text, pins } = storedOf(state.get(KIND, name)!);
      for (const [logId, offset] of pins) this.#pins.remove(logId, offset);
      state.delete(KIND, name, name, 'there');
      queue = queues.putBack(name, text!);
      this.#rows.set(row, STORED, false);
      this.#queued -= this.#rows.queued[row]!;
      this.#rows.queued[row] = 0;
      if (stays && this.#lines.size > 0) this.#note(row, name);
    }
    queue ??= queues.declare(name, this.#policy!.settings);
    this.#visitors.set(row, queue);
    this.#takeIn(row, queue, stays);
    if (this.#rows.has(row, EXPIRING)) queue.watchesHead = true;
    return queue;
  }

  #takeIn(row: number, queue: Queue, stays: boolean): void {
    const { name } = queue;
    const isLined = this.#lines.size > 0 && this.#lines.concerns(row);
    if (!isLined && this.#rows.waiting[row] === 0) return;
    const own = this.#rows.waiting[row] === 0 ? NONE : this.#references.take(name);
    const since = this.#rows.since[row]!;
    const lined = isLined ? this.#lines.take(row, since) : null;
    const { readyCount } = queue;
    const all = lined === null ? own : mergeReferences(own, lined, this.#policy!, readyCount);
    let part: ColdReference[] = [];
    for (const reference of all) {
      part.push(reference);
      if (part.length < TAKEN_AT_ONCE) continue;
      this.#host.queues.takeIn(queue, part);
      part = [];
    }
    this.#host.queues.takeIn(queue, part);
    this.#rows.waiting[row] = 0;
    if (!this.#recent.isEmpty) this.#moved.add(queue);
    if (!isLined) return;
    if (this.#lines.expires(row)) queue.watchesHead = true;
    this.#lines.leave(row, since, false);
    this.#rows.since[row] = this.mark;
    if (stays) this.#note(row, name);
  }

  /** What it has had from lines must not come again after a crash. */
  #note(row: number, name: string): void {
    const stored: StoredCold = { queue: null, ready: 0, pins: [], since: this.#rows.since[row]! };
    this.#host.state.put(KIND, name, Buffer.from(JSON.stringify(stored)), name);
    this.#rows.set(row, NOTED, true);
  }

  #forget(row: number, name: string): void {
    if (this.#rows.has(row, EXPIRING)) this.#host.time.cancel(HEAD_KIND, name);
    if (this.#rows.has(row, NOTED)) this.#host.state.delete(KIND, name, name, 'there');
    this.#visitors.delete(row);
    this.#unsubscribe(row);
    this.#rows.names.remove(row);
  }

  #unsubscribe(row: number): void {
    if (this.#lines.size > 0) this.#lines.leave(row, this.#rows.since[row]!, true);
    this.filters.remove(row);
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
      const flushed = this.#host.engine.flushed();
      // `sealed` was called with it: on a full disk looks would follow each other for ever.
      this.#lookAgain = false;
      await flushed;
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
      this.#visit(row, true);
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
    const text = this.#host.queues.putAway(queue);
    const stored: StoredCold = { queue: text, ready, pins, since: this.#rows.since[row]! };
    const known = this.#rows.has(row, NOTED) ? 'there' : 'new';
    this.#rows.set(row, NOTED, false);
    this.#host.state.put(KIND, name, Buffer.from(JSON.stringify(stored)), name, known);
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
