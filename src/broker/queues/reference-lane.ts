/**
 * The lane of a queue that holds references: some twenty bytes per message, in the order in which
 * they were routed. A durable lane writes them to a log of its own, in the entry that stores the
 * messages where one owner has both, else after the messages' commit (`seal`).
 */
import type { BrokerError } from '#kit';
import type { ShardLog } from '#storage';
import type { Message } from '../records/message.ts';
import { STATE_FACTS } from '../state/state-facts.ts';
import type { Partition, Run } from '../streams/partition.ts';
import { HELD_MESSAGES_MAX, HeldMessages, isOnlyHere } from './held-messages.ts';
import { type Item, Lane, type LaneOwner } from './queue-lane.ts';
import type { LaneState } from './queue-state.ts';
import { isGone, ReadBack } from './read-back.ts';
import {
  DEAD,
  PAGE_REFERENCES,
  REFERENCE_BYTES,
  type ReferencePage,
  ReferencePages,
} from './reference-pages.ts';
import { ReferenceSources, type Source, type SourceHost } from './reference-sources.ts';
import { sumNewer } from './reference-sums.ts';

const READ_BYTES = 256 << 10;
/** How far ahead one read looks for references into it. */
const NEAR_REFERENCES = 4 * HELD_MESSAGES_MAX;

/** What a lane of references needs of the server. */
export interface ReferenceHost extends SourceHost {
  /** The log of a durable lane; it exists from the first reference on. */
  openLog(id: number): ShardLog;
  hasLog(id: number): boolean;
}

type Stored = (error: BrokerError | null) => void;

export class ReferenceLane extends Lane {
  /** Id of the references' log; 0 for a lane that does not survive a restart. */
  readonly logId: number;
  readonly #host: ReferenceHost;
  /** Tells that a partition has a first offset here. */
  readonly #pins: (partition: Partition) => void;
  #log: ShardLog | null = null;
  readonly sources: ReferenceSources;
  readonly #pages = new ReferencePages((logId) => this.sources.ofLog(logId));
  #visible: number;
  #sealed: number;
  #end: number;
  readonly #held = new HeldMessages();
  readonly #back = new ReadBack();
  #removed = false;
  /** Told when the references before an index are on disk. */
  #waiting: { readonly index: number; readonly done: Stored }[] = [];
  readonly #sealedDone = (error: BrokerError | null): void => this.#stored(error);
  /** Of references that are not sealed. */
  unsealedBytes = 0;
  /** Told after each commit of references. */
  committed: (() => void) | null = null;

  constructor(
    number: number,
    base: number,
    state: LaneState,
    owner: LaneOwner,
    logId: number,
    host: ReferenceHost,
    pins: (partition: Partition) => void,
  ) {
    super(number, base, state, owner);
    this.logId = logId;
    this.#host = host;
    this.#pins = pins;
    this.sources = new ReferenceSources(logId, state, host);
    const start = logId === 0 ? state.start : this.#openKnown();
    this.#visible = this.#sealed = this.#end = start;
  }

  #openKnown(): number {
    if (!this.#host.hasLog(this.logId)) return 0;
    this.#log = this.#host.openLog(this.logId);
    return this.#log.endOffset;
  }

  get end(): number {
    return this.#visible;
  }

  get expectedEnd(): number {
    return this.#end;
  }

  /** Pages of references in memory. */
  get pageCount(): number {
    return this.#pages.count;
  }

  /**
   * After a start: adds up the references that are newer than the last snapshot. Older ones stay on
   * disk until their turn comes.
   */
  async recover(): Promise<void> {
    const log = this.#log;
    if (log !== null) await sumNewer(log, this.state, this.sources);
    this.recovered();
  }

  /** What is stored knows all references. */
  recovered(): void {
    const { state } = this;
    if (this.#log === null) return;
    state.summedTo = this.#log.highWatermark;
    state.spans.passed(state.acks.floor);
    for (const source of this.sources.all) this.#pin(source);
  }

  push(message: Message, meta: number): void {
    const size = message.value === null ? 0 : message.value.length;
    this.pushReference(message.partition, message.offset, meta, size, message);
  }

  /** @param message null: it is read when its turn comes */
  pushReference(
    partition: Partition | null,
    offset: number,
    meta: number,
    size: number,
    message: Message | null,
  ): void {
    if (this.#removed) return;
    const number = this.sources.of(partition);
    const index = this.#end;
    const page = this.#pages.forNew(index);
    const slot = index % PAGE_REFERENCES;
    page.partitions[slot] = number;
    page.offsets[slot] = offset;
    page.metas[slot] = meta;
    page.sizes[slot] = size;
    const held = message !== null && (this.#held.room || partition === null);
    if (held) this.#held.hold(page, slot, message);
    else page.messages[slot] = null;
    this.#end = index + 1;
    if (this.logId === 0) {
      this.state.bytes += size;
      this.hiddenBytes += size;
    } else {
      this.unsealedBytes += size;
      const source = this.sources.at(number);
      if (partition !== null) this.state.spans.add(index, number, offset);
      if (!source.pinned) this.#pin(source);
    }
    if (slot === 0) this.#evict();
  }

  /**
   * Appends the references since the last call, as far as they may: those to messages that another
   * owner commits wait for that commit.
   * @throws BrokerError see `ShardLog.append`
   */
  seal(): void {
    if (this.logId === 0 || this.#sealed === this.#end) return;
    const end = this.#sealable();
    const count = end - this.#sealed;
    if (count === 0) return;
    const bytes = Buffer.allocUnsafe(count * REFERENCE_BYTES);
    let sum = 0;
    for (let index = this.#sealed, at = 0; index < end; index++, at += REFERENCE_BYTES) {
      const page = this.#pages.at(index)!;
      const slot = index % PAGE_REFERENCES;
      const number = page.partitions[slot]!;
      const partition = number === DEAD ? null : this.sources.at(number).partition;
      bytes.writeDoubleBE(partition === null ? -1 : partition.log.id, at);
      bytes.writeDoubleBE(page.offsets[slot]!, at + 8);
      bytes.writeUInt32BE(page.metas[slot]!, at + 16);
      bytes.writeUInt32BE(page.sizes[slot]!, at + 20);
      sum += page.sizes[slot]!;
    }
    this.#log ??= this.#host.openLog(this.logId);
    this.#log.append(bytes, { ...STATE_FACTS, count }, this.#sealedDone);
    this.#sealed = end;
    this.state.bytes += sum;
    this.hiddenBytes += sum;
    this.unsealedBytes -= sum;
    this.state.summedTo = end;
  }

  /** All that was sealed is on disk. */
  get stable(): boolean {
    return this.logId === 0 || this.#sealed <= this.#stableEnd();
  }

  /** Nothing of it is on its way, neither what it holds nor what is finished. */
  get still(): boolean {
    const { acks, delayed } = this.state;
    if (this.#visible < this.#end || delayed.size > 0) return false;
    return !this.unsealed && this.stable && this.savedFloor === acks.floor;
  }

  /** True when references wait to be sealed. */
  get unsealed(): boolean {
    return this.logId !== 0 && this.#sealed < this.#end;
  }

  #sealable(): number {
    let index = this.#sealed;
    for (; index < this.#end; index++) {
      const page = this.#pages.at(index)!;
      const slot = index % PAGE_REFERENCES;
      const number = page.partitions[slot]!;
      if (number === DEAD) continue;
      const { apart, partition } = this.sources.at(number);
      if (apart && page.offsets[slot]! >= partition!.highWatermark) break;
    }
    return index;
  }

  /** Calls when all references so far are on disk, or never will be. */
  whenStored(done: Stored): void {
    if (this.logId === 0 || this.#removed || this.#stableEnd() >= this.#end) done(null);
    else this.#waiting.push({ index: this.#end, done });
  }

  #stableEnd(): number {
    return this.logId === 0 ? this.#end : (this.#log?.highWatermark ?? 0);
  }

  #stored(error: BrokerError | null): void {
    if (this.#waiting.length > 0) {
      const stable = this.#stableEnd();
      const told = this.#waiting.filter(({ index }) => error !== null || index <= stable);
      this.#waiting = this.#waiting.filter((waiter) => !told.includes(waiter));
      for (const { done } of told) done(error);
    }
    if (error === null) this.committed?.();
  }

  /**
   * Makes references ready: those to committed messages, and in a lane that does not survive a
   * crash those to what is in memory (`#early`).
   */
  settle(): void {
    const bound = Math.min(this.#end, this.#stableEnd());
    while (this.#visible < bound) {
      const page = this.#pages.at(this.#visible)!;
      const slot = this.#visible % PAGE_REFERENCES;
      const number = page.partitions[slot]!;
      const partition = number === DEAD ? null : this.sources.at(number).partition;
      const committed = partition === null || page.offsets[slot]! < partition.highWatermark;
      if (!committed && !this.#early(page, slot)) break;
      this.hiddenBytes -= page.sizes[slot]!;
      this.#visible++;
    }
  }

  /**
   * Who loses its queue in a crash need not wait for the disk: a message that is lost with it was
   * not acknowledged either and is sent again. Exactly once is not promised before it is stored.
   */
  #early(page: ReferencePage, slot: number): boolean {
    if (this.logId !== 0) return false;
    const message = page.messages[slot];
    return message != null && message.qos < 2;
  }

  /** The append of these offsets failed: their references stand for nothing. */
  failed(partition: Partition, fromOffset: number): void {
    const number = this.sources.known(partition);
    if (number === undefined) return;
    if (this.logId === 0) this.#disown(number, fromOffset);
    // What was ready before its commit and not taken does not come either.
    const first = this.logId === 0 ? Math.min(this.next, this.#visible) : this.#visible;
    for (let index = first; index < this.#end; index++) {
      const page = this.#pages.at(index)!;
      const slot = index % PAGE_REFERENCES;
      if (page.partitions[slot] !== number || page.offsets[slot]! < fromOffset) continue;
      if (index < this.#sealed || this.logId === 0) {
        this.state.bytes -= page.sizes[slot]!;
        if (index >= this.#visible) this.hiddenBytes -= page.sizes[slot]!;
      } else this.unsealedBytes -= page.sizes[slot]!;
      page.partitions[slot] = DEAD;
      page.sizes[slot] = 0;
      this.#held.release(page, slot);
    }
  }

  /** What was delivered before its commit and comes back is not looked for where others will be. */
  #disown(number: number, fromOffset: number): void {
    for (let index = this.state.acks.floor; index < this.next; index++) {
      const page = this.#pages.at(index);
      const slot = index % PAGE_REFERENCES;
      if (page?.partitions[slot] !== number || page.offsets[slot]! < fromOffset) continue;
      page.partitions[slot] = DEAD;
      this.#held.release(page, slot);
    }
  }

  /** No offset of the partition that is still needed is less; Infinity: none is. */
  firstOffset(partition: Partition): number {
    const number = this.sources.known(partition);
    const from = this.savedFloor;
    if (number === undefined || from >= this.#end) return Number.POSITIVE_INFINITY;
    const { spans, acks } = this.state;
    spans.passed(from);
    const bound = spans.least(number, from);
    const page = this.#pages.at(from);
    if (bound === Number.POSITIVE_INFINITY || page === undefined) return bound;
    // Where the references are at hand the answer is exact.
    const end = Math.min(this.#end, (page.number + 1) * PAGE_REFERENCES);
    for (let index = from; index < end; index++) {
      const slot = index % PAGE_REFERENCES;
      if (page.partitions[slot] === number && !(index < this.savedFloor || acks.has(index))) {
        return page.offsets[slot]!;
      }
    }
    return end === this.#end ? Number.POSITIVE_INFINITY : bound;
  }

  /** It is not in the retention index any more. */
  unpin(partition: Partition): void {
    const number = this.sources.known(partition);
    if (number !== undefined) this.sources.at(number).pinned = false;
  }

  override floorSaved(floor: number): void {
    super.floorSaved(floor);
    if (this.#removed) return;
    const log = this.#log;
    log?.trim(Math.min(floor, log.highWatermark));
    this.state.spans.passed(floor);
    if (floor >= this.#end) this.#pages.clear();
    else this.#pages.passed(Math.min(floor, this.next));
  }

  /**
   * The lane is removed with its queue; who still finds it by an older look at the routes puts
   * nothing in.
   */
  remove(): void {
    this.#removed = true;
    this.#visible = this.#sealed = this.#end;
    this.#log?.remove();
    this.#pages.clear();
    // The messages are stored, and the queue that was to have them is not there: nothing failed.
    for (const { done } of this.#waiting.splice(0)) done(null);
  }

  override giveBack(item: Item): void {
    super.giveBack(item);
    this.#keepAgain(item);
  }

  override delay(item: Item): number {
    this.#keepAgain(item);
    return super.delay(item);
  }

  #keepAgain(item: Item): void {
    if (this.logId !== 0 || !isOnlyHere(item)) return;
    const local = item.position - this.base;
    const page = this.#pages.at(local);
    const slot = local % PAGE_REFERENCES;
    if (page !== undefined && !page.messages[slot]) this.#held.hold(page, slot, item.message);
  }

  // ---- what the lane asks for ----------------------------------------------------------------

  protected fetch(local: number): Item | number | Promise<void> {
    const page = this.#pages.at(local);
    if (page === undefined) {
      if (local < (this.#log?.startOffset ?? 0)) return local + 1;
      return this.#load(local);
    }
    const slot = local % PAGE_REFERENCES;
    if (page.partitions[slot] === DEAD) return local + 1;
    const held = page.messages[slot];
    if (held) return this.#item(local, held, page, slot);
    const number = page.partitions[slot]!;
    const { partition } = this.sources.at(number);
    if (partition === null) return local + 1;
    const known = local < this.next ? this.#back.find(number, page.offsets[slot]!) : undefined;
    if (known !== undefined) return this.#item(local, known, page, slot);
    const reading = this.#read(partition, page, slot, local);
    if (reading !== null) return reading;
    const read = page.messages[slot];
    return read ? this.#item(local, read, page, slot) : local + 1;
  }

  async #load(local: number): Promise<void> {
    await this.#pages.load(this.#log!, local, this.#visible);
    this.#evict();
  }

  #item(local: number, message: Message, page: ReferencePage, slot: number): Item {
    const [meta, bytes] = [page.metas[slot]!, page.sizes[slot]!];
    return { position: this.base + local, message, meta, bytes };
  }

  /** Brings the message of a reference into memory; marks the reference dead when it is gone. */
  #read(
    partition: Partition,
    page: ReferencePage,
    slot: number,
    local: number,
  ): Promise<void> | null {
    const offset = page.offsets[slot]!;
    const take = (run: Run): void => {
      const first = run.messages[0];
      // The page was let go meanwhile: asked again, it is read again.
      if (this.#pages.at(local) !== page) return;
      if (first?.offset !== offset) {
        page.partitions[slot] = DEAD;
        return;
      }
      this.#held.hold(page, slot, first);
      const number = page.partitions[slot]!;
      if (local < this.next) this.#back.keep(number, run);
      else this.#holdNear(number, run.messages, local + 1);
    };
    const gone = (error: unknown): void => {
      if (!isGone(error)) throw error;
      page.partitions[slot] = DEAD;
    };
    try {
      const run = partition.readRun(offset, READ_BYTES);
      if (run instanceof Promise) return run.then(take, gone);
      take(run);
    } catch (error) {
      gone(error);
    }
    return null;
  }

  /** One read serves all references into it that are near: those of a partition are in order. */
  #holdNear(number: number, messages: readonly Message[], from: number): void {
    let at = 1;
    const end = Math.min(this.#visible, from + NEAR_REFERENCES);
    for (let index = Math.max(from, this.next); index < end; index++) {
      const page = this.#pages.at(index);
      if (page === undefined) return;
      const slot = index % PAGE_REFERENCES;
      if (page.partitions[slot] !== number) continue;
      const offset = page.offsets[slot]!;
      while (at < messages.length && messages[at]!.offset < offset) at++;
      const message = messages[at];
      if (message === undefined) return;
      if (!this.#held.room) return;
      if (message.offset === offset && !page.messages[slot]) this.#held.hold(page, slot, message);
    }
  }

  protected bytesAt(local: number): number {
    return this.#pages.at(local)?.sizes[local % PAGE_REFERENCES] ?? 0;
  }

  protected passed(local: number): void {
    const page = this.#pages.at(local);
    if (page !== undefined) this.#held.release(page, local % PAGE_REFERENCES);
    if (this.logId !== 0 && local % PAGE_REFERENCES === PAGE_REFERENCES - 1) this.#evict();
    if (!this.kept) this.#back.clear();
    this.#freePassed();
  }

  protected skipped(from: number, to: number): void {
    for (let number = Math.floor(from / PAGE_REFERENCES); number * PAGE_REFERENCES < to; number++) {
      const start = Math.max(from, number * PAGE_REFERENCES);
      const page = this.#pages.at(Math.min(to, (number + 1) * PAGE_REFERENCES) - 1);
      if (page === undefined) continue;
      const end = Math.min(to, (number + 1) * PAGE_REFERENCES);
      for (let index = start; index < end; index++)
        this.#held.release(page, index % PAGE_REFERENCES);
    }
    this.#freePassed();
  }

  /** In memory only, pages below what is finished are not wanted; a durable lane waits for disk. */
  #freePassed(): void {
    if (this.logId !== 0) return;
    const { floor } = this.state.acks;
    if (floor >= this.#end) this.#pages.clear();
    else if (floor % PAGE_REFERENCES === 0) this.#pages.passed(Math.min(floor, this.next));
  }

  #pin(source: Source): void {
    source.pinned = true;
    if (source.partition !== null) this.#pins(source.partition);
  }

  // ---- memory --------------------------------------------------------------------------------

  #evict(): void {
    if (this.logId === 0) return;
    this.#pages.evict(this.next, this.#visible, (page) => {
      for (let slot = 0; slot < page.messages.length; slot++) this.#held.release(page, slot);
    });
  }
}
