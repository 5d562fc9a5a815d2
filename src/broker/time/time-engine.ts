/**
 * The one engine for everything that happens later (X69): expiry, delay, schedule, retry, the end
 * of a session. An entry is durable: it commits with what was appended in the same synchronous
 * stretch, survives a restart, and is gone only when its handler has finished it. Entries lie in
 * the catalogue in the order of their time (`state-table.ts`, cold); memory holds the next few of
 * each kind (`time-line.ts`), and one timer is armed for the earliest.
 *
 * Times are wall-clock times, timers are not: when the clock is set, entries keep their times. What
 * is due by the new clock fires, what is not any more waits again; see docs/decisions/0013.
 */
import { BrokerError, type Clock, type Log, type Random, type Timer, type Timers } from '#kit';
import type { LogEngine } from '#storage';
import type { StateTable } from '../state/state-table.ts';
import { CLOCK_CHECK_MS, ClockWatch } from './clock-watch.ts';
import { TimeLine } from './time-line.ts';

export interface TimeEntry {
  readonly kind: string;
  /** Unique within its kind. */
  readonly id: string;
  /** Wall clock, ms since 1970. */
  readonly dueMs: number;
  readonly value: Buffer;
}

/**
 * Does what an entry is for. A BrokerError `busy`, `storage-full` or `closing` that it throws says
 * that nothing was done: the entry stays and is given again when there is room. Any other
 * BrokerError ends the entry and is told in the log.
 */
export type Due = (entry: TimeEntry) => void;

/** Entries that are given in one turn of the event loop, and the time that it may take. */
const SLICE_ENTRIES = 256;
const SLICE_MS = 5;
/** Given entries whose end is not committed yet; beyond it the next wait. */
const UNCOMMITTED_MAX = 4096;
/** Pause before a handler that had no room is asked again when nobody tells of room. */
const RETRY_MS = 1000;
const WINDOW_KEYS = 1024;
const DUE_MS_MAX = 2 ** 48 - 1;

export interface TimeParts {
  readonly engine: LogEngine;
  readonly state: StateTable;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
  /** More bytes wait than may: nothing is given until `onRoom` calls. */
  readonly busy: () => boolean;
  readonly onRoom: (call: () => void) => void;
  /** Keys of a kind that are in memory ahead of their time. */
  readonly windowKeys?: number;
}

export class TimeEngine {
  readonly #parts: TimeParts;
  readonly #lines = new Map<string, TimeLine>();
  readonly #handlers = new Map<string, Due>();
  #timer: Timer | null = null;
  /** Wall-clock time that the timer is armed for. */
  #armedMs = Number.POSITIVE_INFINITY;
  readonly #watch: ClockWatch;
  #scheduled = false;
  /** Waits for room or a commit: nothing is given until then. */
  #waiting = false;
  #uncommitted = 0;
  #added = 0;
  /** Part of the ids that are made here, unlike that of other runs. */
  readonly #mark: string;
  #closed = false;

  constructor(parts: TimeParts) {
    this.#parts = parts;
    this.#watch = new ClockWatch(parts.clock);
    this.#mark = parts.random.bytes(4).toString('hex');
    for (const kind of TimeLine.kinds(parts.state)) this.#line(kind);
    parts.engine.onHealth((health) => {
      if (health === 'ok') this.#soon();
    });
  }

  /**
   * Names what is done when entries of a kind are due. Called once per entry, at most 100 ms late
   * while the server runs, in order of `dueMs`. The entry is finished in the same synchronous
   * stretch: what the handler appends commits together with the end of the entry, or not at all.
   * Entries that fell due while the server was down are given as soon as the kind is registered.
   */
  register(kind: string, due: Due): void {
    this.#handlers.set(kind, due);
    this.#arm();
  }

  /** Entries of the kind wait from here on until it is registered again. */
  unregister(kind: string): void {
    this.#handlers.delete(kind);
  }

  /** Sets an entry, or moves the one of that id. */
  set(kind: string, id: string, dueMs: number, value: Buffer): void {
    const due = wholeMs(dueMs);
    this.#line(kind).set(id, due, value);
    this.#dueChanged(kind, due);
  }

  /**
   * Adds an entry and gives it an id of its own; cheaper than `set`. Those with the same `dueMs`
   * fire in the order in which they were added.
   */
  add(kind: string, dueMs: number, value: Buffer): string {
    const due = wholeMs(dueMs);
    this.#added = (this.#added + 1) % 0x1000000;
    const stamp = hex(this.#parts.clock.nowMs(), 12) + hex(this.#added, 6) + this.#mark;
    const id = this.#line(kind).add(stamp, due, value);
    this.#dueChanged(kind, due);
    return id;
  }

  /** Removes an entry. False when there is none. */
  cancel(kind: string, id: string): boolean {
    return this.#lines.get(kind)?.cancel(id) ?? false;
  }

  get(kind: string, id: string): TimeEntry | undefined {
    return this.#lines.get(kind)?.get(id);
  }

  /** Entries of a kind in order of `dueMs`, after `after`. */
  async list(kind: string, limit: number, after?: TimeEntry): Promise<readonly TimeEntry[]> {
    return this.page(kind, limit, after);
  }

  /** The same at once, for walks. */
  page(kind: string, limit: number, after?: TimeEntry): readonly TimeEntry[] {
    return this.#lines.get(kind)?.list(limit, after) ?? [];
  }

  /** The entry of a kind that is due first. */
  first(kind: string): TimeEntry | undefined {
    return this.#lines.get(kind)?.first();
  }

  /** Pending entries of a kind. */
  count(kind: string): number {
    return this.#lines.get(kind)?.count ?? 0;
  }

  /** Kinds that have had entries. */
  kinds(): string[] {
    return [...this.#lines.keys()];
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#timer = null;
  }

  #line(kind: string): TimeLine {
    let line = this.#lines.get(kind);
    if (line === undefined) {
      line = new TimeLine(kind, this.#parts.state, this.#parts.windowKeys ?? WINDOW_KEYS);
      this.#lines.set(kind, line);
    }
    return line;
  }

  #dueChanged(kind: string, due: number): void {
    if (!this.#handlers.has(kind)) return;
    if (due < this.#armedMs || this.#watch.wasSet) this.#arm();
  }

  /** Arms the timer for the earliest entry. One that is due already fires in a turn of its own. */
  #arm(): void {
    if (this.#closed || this.#scheduled || this.#waiting) return;
    this.#timer?.cancel();
    this.#timer = null;
    const { clock, timers } = this.#parts;
    const next = this.#earliest()?.headMs ?? Number.POSITIVE_INFINITY;
    this.#armedMs = next;
    if (next === Number.POSITIVE_INFINITY) return;
    const nowMs = clock.nowMs();
    this.#watch.armed();
    if (next <= nowMs) this.#soon();
    else {
      this.#timer = timers.after(Math.min(next - nowMs, CLOCK_CHECK_MS), () => {
        this.#timer = null;
        this.#fire();
      });
    }
  }

  #soon(): void {
    if (this.#scheduled || this.#closed) return;
    this.#scheduled = true;
    this.#parts.timers.soon(() => {
      this.#scheduled = false;
      this.#fire();
    });
  }

  /** The registered line whose head is due first. */
  #earliest(): TimeLine | null {
    let earliest: TimeLine | null = null;
    for (const kind of this.#handlers.keys()) {
      const line = this.#lines.get(kind);
      if (line !== undefined && line.headMs < (earliest?.headMs ?? Number.POSITIVE_INFINITY)) {
        earliest = line;
      }
    }
    return earliest;
  }

  /** Gives what is due, a slice at a time; then arms the timer for what comes next. */
  #fire(): void {
    if (this.#closed || this.#waiting) return;
    const { clock, engine } = this.#parts;
    // A disk that failed takes no end of an entry any more; a full one tells when it has space.
    if (engine.health !== 'ok') return;
    const untilMs = clock.monotonicMs() + SLICE_MS;
    for (let given = 0; ; given++) {
      if (this.#mustWait()) return;
      const line = this.#earliest();
      if (line === null || line.headMs > clock.nowMs()) break;
      if (given >= SLICE_ENTRIES || clock.monotonicMs() > untilMs) {
        this.#soon();
        return;
      }
      if (!this.#give(line)) return;
    }
    this.#arm();
  }

  #mustWait(): boolean {
    const { busy, onRoom, state } = this.#parts;
    if (busy()) onRoom(this.#wait());
    else if (this.#uncommitted >= UNCOMMITTED_MAX) state.committed(this.#wait());
    else return false;
    return true;
  }

  #wait(): () => void {
    this.#waiting = true;
    return () => {
      this.#waiting = false;
      this.#uncommitted = 0;
      this.#soon();
    };
  }

  /** @returns false when the handler had no room for it */
  #give(line: TimeLine): boolean {
    const entry = line.shift();
    if (entry === undefined) return true;
    this.#uncommitted++;
    try {
      this.#handlers.get(line.kind)!(entry);
      return true;
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error;
      if (!isNoRoom(error)) {
        const { log } = this.#parts;
        log.warn('what was due could not be done', { kind: line.kind, reason: error.message });
        return true;
      }
      line.putBack(entry);
      this.#retry(error);
      return false;
    }
  }

  #retry(error: BrokerError): void {
    const { engine, timers, onRoom } = this.#parts;
    if (error.code === 'closing' || engine.health !== 'ok') return;
    const again = this.#wait();
    if (error.code === 'busy') onRoom(again);
    else this.#timer = timers.after(RETRY_MS, again);
  }
}

function isNoRoom({ code }: BrokerError): boolean {
  return code === 'busy' || code === 'storage-full' || code === 'closing';
}

function wholeMs(dueMs: number): number {
  return Math.min(Math.max(0, Math.ceil(dueMs)), DUE_MS_MAX);
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}
