/**
 * The commit protocol: appends get their offsets at once and wait in the open entry; at the end of
 * the turn it is sealed and written, one entry at a time; then everybody who waited is told, in
 * append order. Group commit comes from that by itself: what arrives during a write is the next
 * entry.
 */
import { BrokerError, type Clock, type Log, type Timer, type Timers } from '#kit';
import { writeInt64 } from '../int64.ts';
import type { EngineLimits } from '../limits.ts';
import type { Appended, BatchFacts, Committed } from '../log-engine.ts';
import type { Shard } from '../shard.ts';
import { checkBatch } from './batch-check.ts';
import { Entry, type Waiting, waitingIn } from './entry.ts';
import { entryBytes, FLAG_COMMIT_MARK, FLAG_MORE } from './entry-codec.ts';
import { FlushWaiters } from './flush-waiters.ts';
import type { Instruments } from './instruments.ts';
import type { Pacer } from './pacer.ts';
import type { RecentRows } from './recent-rows.ts';
import { BATCH, CONTROL, HeldBatch, writeControl, writeRow } from './row-codec.ts';
import type { WalSink } from './wal-sink.ts';

/** Logs that one commit mark names; others are covered by the next checkpoint. */
const MARKED_LOGS_MAX = 4096;
/** Rows of one entry, whatever their size. */
const ENTRY_ROWS_MAX = 65_536;

export interface CommitterParts {
  readonly limits: EngineLimits;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Log;
  readonly rows: RecentRows;
  readonly instruments: Instruments;
  readonly pacer: Pacer;
  /** Called once, when the disk failed. */
  readonly onFailed: (reason: string) => void;
}

export class Committer {
  /** Sequence of the next entry. */
  sequence = 1;
  /** Sequence of the last committed entry. */
  committedSequence = 0;
  failure: BrokerError | null = null;
  closed = false;
  inFlightBytes = 0;
  /** Logs whose removal is not committed yet. */
  readonly removing = new Set<Shard>();

  readonly #parts: CommitterParts;
  readonly #wal: WalSink;
  #open: Entry;
  #queue: Entry[] = [];
  #writing: Entry | null = null;
  /** Written, but not committed before the entry that ends their stretch is. */
  #held: Entry[] = [];
  /** Rows before this one are committed. */
  #committedRow = 0;
  readonly #hooks: (() => void)[] = [];
  #inHooks = false;
  #scheduled = false;
  #sealWanted = false;
  #forced = false;
  #trims = new Set<Shard>();
  /** Logs that listeners must be told about although nothing was committed. */
  #moved = new Set<Shard>();
  #earlyLogs: Shard[] = [];
  #earlyCalls: (Committed | null)[] = [];
  readonly #flushes = new FlushWaiters();
  #roomWaiters: (() => void)[] = [];
  #asyncTimer: Timer | null = null;
  #markTimer: Timer | null = null;
  /** Logs that changed since the last commit mark. */
  #unmarked = new Set<Shard>();
  #delivery = 0;

  constructor(parts: CommitterParts, wal: WalSink) {
    this.#parts = parts;
    this.#wal = wal;
    this.#open = new Entry(parts.rows.next);
  }

  /** Begins after recovery: everything in `rows` is committed. */
  start(sequence: number): void {
    this.sequence = sequence;
    this.committedSequence = sequence - 1;
    this.#committedRow = this.#parts.rows.next;
    this.#open = new Entry(this.#committedRow);
  }

  get committedRow(): number {
    return this.#committedRow;
  }

  get busy(): boolean {
    const { limits, pacer } = this.#parts;
    return this.inFlightBytes >= pacer.inFlightBytesMax || this.#wal.backlog > limits.walBacklogMax;
  }

  append(log: Shard, bytes: Buffer, facts: BatchFacts, committed: Committed | null): Appended {
    this.#admit(log, bytes, facts);
    if (facts.producerId >= 0 && log.idempotence !== null) {
      const original = log.idempotence.check(facts);
      if (original >= 0) {
        this.#watch(log, original, committed);
        return { baseOffset: original, duplicate: true };
      }
    }
    const base = log.endOffset;
    const nowMs = this.#parts.clock.nowMs();
    if (facts.kind === 'data') {
      writeInt64(bytes, BATCH.baseOffset, base);
      bytes.writeInt32BE(0, BATCH.leaderEpoch);
    }
    const batch = new HeldBatch(facts, base, nowMs, bytes);
    if (log.durability === 'memory') log.addRam(batch);
    else this.#place(log, batch, committed);
    log.endOffset = base + facts.count;
    log.bytes += bytes.length;
    log.batches++;
    log.remember(facts, base, nowMs);
    if (log.durability !== 'fsync') {
      this.#earlyLogs.push(log);
      this.#earlyCalls.push(committed);
    }
    this.#parts.instruments.appends.value++;
    this.#parts.instruments.bytes.value += bytes.length;
    this.schedule();
    return { baseOffset: base, duplicate: false };
  }

  /** Records a trim with the next entry; it does not hurry. */
  trimmed(log: Shard): void {
    if (log.durability !== 'memory') this.#trims.add(log);
    this.#moved.add(log);
    this.schedule();
  }

  removed(log: Shard): void {
    this.#trims.delete(log);
    this.#unmarked.delete(log);
    if (log.durability === 'memory') return;
    this.#control(log.id, CONTROL.remove, log.endOffset);
    this.#open.removals.push(log);
    this.removing.add(log);
    this.schedule();
  }

  beforeSeal(hook: () => void): void {
    this.#hooks.push(hook);
  }

  onRoom(call: () => void): void {
    if (this.busy) this.#roomWaiters.push(call);
    else this.#parts.timers.soon(call);
  }

  /** A seal at the end of this turn, or when the write in flight ends. */
  schedule(): void {
    this.#sealWanted = true;
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#parts.timers.soon(() => this.#turnEnds());
  }

  /** Resolves when all that was appended or woken until now is committed. */
  flushed(): Promise<void> {
    if (this.failure !== null) return Promise.reject(this.failure);
    this.#runHooks();
    this.#addTrims();
    const row = this.#parts.rows.next;
    if (row <= this.#committedRow && this.#earlyLogs.length === 0) return Promise.resolve();
    this.#forced = true;
    this.schedule();
    return this.#flushes.wait(row);
  }

  /** What of each log is not committed. */
  uncommitted(): Map<Shard, Waiting> {
    return waitingIn(this.#uncommitted(), this.#parts.rows);
  }

  stopTimers(): void {
    this.#asyncTimer?.cancel();
    this.#markTimer?.cancel();
  }

  /** Tells those who wait for room; they see for themselves whether there is any. */
  offerRoom(): void {
    if (this.busy || this.#roomWaiters.length === 0) return;
    const waiters = this.#roomWaiters;
    this.#roomWaiters = [];
    for (const waiter of waiters) waiter();
  }

  /** A write or sync failed: final. Everything that waits is told; nothing more is accepted. */
  fail(error: unknown): void {
    if (this.failure !== null) return;
    this.#parts.instruments.failures.add();
    const reason = error instanceof Error ? error.message : String(error);
    const failure = new BrokerError('storage-failed', reason, {}, error);
    this.failure = failure;
    this.stopTimers();
    this.#parts.onFailed(reason);
    const entries = this.#uncommitted();
    [this.#held, this.#writing, this.#queue] = [[], null, []];
    this.#open = new Entry(this.#parts.rows.next);
    for (const entry of entries) {
      for (const call of entry.callbacks) call?.(failure);
      for (const call of entry.watchers) call(failure);
    }
    const early = this.#earlyCalls;
    [this.#earlyLogs, this.#earlyCalls] = [[], []];
    for (const call of early) call?.(failure);
    this.#flushes.fail(failure);
    this.inFlightBytes = 0;
    this.offerRoom();
  }

  #admit(log: Shard, bytes: Buffer, facts: BatchFacts): void {
    const { limits } = this.#parts;
    if (log.removed) throw new BrokerError('unknown-stream', `Log ${log.id} was removed.`);
    if (this.closed) throw new BrokerError('closing');
    if (facts.kind === 'data') checkBatch(bytes, facts);
    if (log.durability === 'memory') return;
    if (this.failure !== null) throw this.failure;
    if (entryBytes(1, bytes.length) > limits.entryBytesMax) {
      throw new BrokerError('message-too-large', `A batch has ${bytes.length} bytes.`);
    }
    if (this.#wal.full) this.#admitWhenFull(bytes, facts);
    // What was accepted and waits for the seal, and its state, must find room; those who accept it
    // keep it within bounds of their own.
    if (!this.#inHooks && (this.inFlightBytes >= limits.inFlightBytesMax || this.busy)) {
      throw new BrokerError('busy', `${this.inFlightBytes} bytes are in flight.`);
    }
  }

  /** A full disk takes no data; state goes on into what is left of the current file. */
  #admitWhenFull(bytes: Buffer, facts: BatchFacts): void {
    const kept = this.#parts.limits.walFileBytes / 64;
    const needed = entryBytes(1, this.inFlightBytes + bytes.length);
    if (facts.kind === 'data' || this.#wal.room < needed + kept) {
      throw new BrokerError('storage-full');
    }
  }

  #place(log: Shard, batch: HeldBatch, committed: Committed | null): void {
    const { rows } = this.#parts;
    const { bytes } = batch;
    this.#makeRoom(bytes.length);
    const entry = this.#open;
    const row = rows.add();
    const { baseOffset, appendTimeMs } = batch;
    const [at, bodyAt] = [rows.at(row), entry.bodyBytes];
    writeRow(rows.rowsOf(row), at, log.id, baseOffset, bodyAt, bytes, batch, appendTimeMs);
    rows.hold(row, batch);
    log.addPlace(row, bytes.length);
    const durable = log.durability === 'fsync';
    entry.add(log, bytes, durable ? committed : null);
    if (durable) entry.urgent = true;
    this.inFlightBytes += bytes.length;
    this.#parts.instruments.inFlightBytes.value = this.inFlightBytes;
  }

  #control(logId: number, what: number, offset: number): void {
    const { rows } = this.#parts;
    this.#makeRoom(0);
    const row = rows.add();
    writeControl(rows.rowsOf(row), rows.at(row), logId, what, offset);
    this.#open.addControl();
  }

  /** Begins a new entry when one more row with so many bytes would make the open one too large. */
  #makeRoom(bytes: number): void {
    const { rowCount, bodyBytes } = this.#open;
    const size = entryBytes(rowCount + 1, bodyBytes + bytes);
    if (rowCount < ENTRY_ROWS_MAX && size <= this.#parts.limits.entryBytesMax) return;
    // In the middle of a turn, maybe of a stretch, and before the hooks said what belongs to it.
    this.#open.flags |= FLAG_MORE;
    this.#closeOpen();
  }

  #closeOpen(): void {
    this.#queue.push(this.#open);
    this.#open = new Entry(this.#parts.rows.next);
  }

  /** A repeat is told together with the append that it repeats. */
  #watch(log: Shard, original: number, committed: Committed | null): void {
    if (committed === null) return;
    if (log.durability === 'fsync' && original >= log.highWatermark) {
      const row = this.#rowOf(log, original);
      const entry = this.#uncommitted().find((one) => row >= one.firstRow && row < one.endRow);
      if (entry !== undefined) return void entry.watchers.push(committed);
    }
    this.#earlyLogs.push(log);
    this.#earlyCalls.push(committed);
    this.schedule();
  }

  /** Oldest first. */
  #uncommitted(): Entry[] {
    const writing = this.#writing === null ? [] : [this.#writing];
    return [...this.#held, ...writing, ...this.#queue, this.#open];
  }

  #rowOf(log: Shard, offset: number): number {
    let index = log.places.length - 1;
    while (index > 0 && this.#parts.rows.base(log.places[index]!) > offset) index--;
    return log.places[index] ?? -1;
  }

  #turnEnds(): void {
    this.#scheduled = false;
    if (this.failure === null) {
      if (this.#open.bodyBytes > this.#parts.limits.entryBytesSoft) {
        // What belongs to its appends must lie in the same entry, or it could be lost without them.
        this.#runHooks();
        this.#closeOpen();
      }
      this.#seal();
    }
    this.#deliverEarly();
  }

  /** Runs what appends as part of a seal. */
  sealing(append: () => void): void {
    const before = this.#inHooks;
    this.#inHooks = true;
    try {
      append();
    } finally {
      this.#inHooks = before;
    }
  }

  #runHooks(): void {
    if (this.closed) return;
    this.sealing(() => {
      for (const hook of this.#hooks) hook();
    });
  }

  #addTrims(): void {
    if (this.#trims.size === 0) return;
    const trims = this.#trims;
    this.#trims = new Set();
    for (const log of trims) this.#control(log.id, CONTROL.trim, log.startOffset);
  }

  /** Writes the next entry when none is being written and somebody waits for it. */
  #seal(): void {
    if (this.#writing !== null || this.failure !== null) return;
    this.#sealWanted = false;
    this.#runHooks();
    this.#addTrims();
    const entry = this.#next();
    if (entry === null) return;
    this.#markTimer?.cancel();
    this.#markTimer = null;
    void this.#write(entry);
  }

  #next(): Entry | null {
    const queued = this.#queue.shift();
    if (queued !== undefined) return queued;
    const entry = this.#open;
    if (entry.rowCount === 0) return null;
    const { asyncBytesMax, asyncIntervalMs } = this.#parts.limits;
    const waited = entry.urgent || this.#forced || this.#held.length > 0;
    if (!waited && entry.bodyBytes < asyncBytesMax) {
      this.#asyncTimer ??= this.#parts.timers.after(asyncIntervalMs, () => {
        this.#asyncTimer = null;
        this.#forced = true;
        this.schedule();
      });
      return null;
    }
    this.#asyncTimer?.cancel();
    this.#asyncTimer = null;
    this.#forced = false;
    this.#open = new Entry(this.#parts.rows.next);
    return entry;
  }

  async #write(entry: Entry): Promise<void> {
    const { clock, instruments, pacer, timers } = this.#parts;
    this.#writing = entry;
    entry.sequence = this.sequence++;
    const delayMs = pacer.delayMs(entry.bodyBytes);
    if (delayMs > 0) await new Promise<void>((go) => timers.after(delayMs, go));
    const [startedMs, beside] = [clock.monotonicMs(), pacer.isWorking];
    try {
      await this.#wal.commit(entry);
    } catch (error) {
      this.fail(error);
      return;
    }
    if (this.failure !== null) return;
    const tookMs = clock.monotonicMs() - startedMs;
    instruments.commitSeconds.observe(tookMs / 1000);
    instruments.entryBytes.observe(entryBytes(entry.rowCount, entry.bodyBytes));
    this.#writing = null;
    pacer.committed(entry.bodyBytes, tookMs, beside);
    this.#held.push(entry);
    if ((entry.flags & FLAG_MORE) !== 0) this.#seal();
    else this.#committed(this.#held.splice(0));
  }

  /** Entries of which the last is a whole one: they became durable one after the other. */
  #committed(entries: readonly Entry[]): void {
    const { rows, instruments } = this.#parts;
    const touched = this.#advance(entries);
    const last = entries.at(-1)!;
    this.#committedRow = last.endRow;
    this.committedSequence = last.sequence;
    for (const { bodyBytes, removals } of entries) {
      this.inFlightBytes -= bodyBytes;
      for (const log of removals) this.removing.delete(log);
    }
    instruments.inFlightBytes.value = this.inFlightBytes;
    rows.evict(this.#committedRow);
    // The disk goes on before anybody is told: what waits already does not wait for the answers.
    if (this.#sealWanted || this.#queue.length + this.#open.rowCount > 0) this.#seal();
    for (const { callbacks, watchers } of entries) {
      for (const call of callbacks) call?.(null);
      for (const call of watchers) call(null);
    }
    for (const log of touched) log.notify();
    this.#settleFlushes();
    this.offerRoom();
    if (this.#writing === null && last.flags === 0) this.#armMark();
  }

  /** Moves the high watermarks of the logs of some entries; returns those logs. */
  #advance(entries: readonly Entry[]): Shard[] {
    const touched: Shard[] = [];
    const delivery = ++this.#delivery;
    for (const { logs, firstRow } of entries) {
      for (let index = 0; index < logs.length; index++) {
        const log = logs[index]!;
        if (log === null) continue;
        const end = this.#parts.rows.end(firstRow + index);
        if (!log.removed && this.#unmarked.size < MARKED_LOGS_MAX) this.#unmarked.add(log);
        if (end <= log.highWatermark) continue;
        log.highWatermark = end;
        if (log.mark === delivery) continue;
        log.mark = delivery;
        touched.push(log);
      }
    }
    return touched;
  }

  /** Tells the appenders of `memory` and `async` logs, which wait for no disk. */
  #deliverEarly(): void {
    if (this.#earlyLogs.length === 0 && this.#moved.size === 0) return;
    const [logs, calls, moved] = [this.#earlyLogs, this.#earlyCalls, this.#moved];
    [this.#earlyLogs, this.#earlyCalls] = [[], []];
    this.#moved = new Set();
    for (const log of logs) {
      if (log.durability === 'fsync' || log.endOffset === log.highWatermark) continue;
      log.highWatermark = log.endOffset;
      moved.add(log);
    }
    for (const call of calls) call?.(this.failure);
    for (const log of moved) log.notify();
    this.#settleFlushes();
  }

  #settleFlushes(): void {
    if (!this.#flushes.settle(this.#committedRow)) return;
    this.#forced = true;
    this.schedule();
  }

  #armMark(): void {
    this.#markTimer ??= this.#parts.timers.after(this.#parts.limits.idleMarkMs, () => {
      this.#markTimer = null;
      this.writeMark();
    });
  }

  /** An entry without data: after it, what lies before cannot be taken for a torn tail. */
  writeMark(): void {
    if (this.#writing !== null || this.failure !== null || this.closed) return;
    if (this.#open.rowCount > 0 || this.#queue.length + this.#held.length > 0) return;
    // On a full disk the rest of the file is kept for what matters more.
    if (this.#wal.full) return;
    const logs = [...this.#unmarked];
    this.#unmarked = new Set();
    // A row has 80 bytes: the mark stays one entry.
    logs.length = Math.min(logs.length, this.#parts.limits.entryBytesMax >> 8);
    for (const log of logs) this.#control(log.id, CONTROL.head, log.highWatermark);
    const entry = this.#open;
    this.#open = new Entry(this.#parts.rows.next);
    entry.flags = FLAG_COMMIT_MARK;
    void this.#write(entry);
  }
}
