/**
 * Messages that many queues wait for which are not in memory: one row of state per message and
 * filter, however many have that filter. A queue that comes back takes from the lines of its
 * filters what came since it went. Rows go when the last who needs them has them, when each has
 * newer ones up to its limit, and when they expire at the head of their line.
 */
import type { Counter, Metrics, Timers } from '#kit';
import type { Message } from '../records/message.ts';
import type { StateTable } from '../state/state-table.ts';
import type { Partition } from '../streams/partition.ts';
import type { TimeEngine } from '../time/time-engine.ts';
import type { ColdFilters } from './cold-filters.ts';
import { ColdLine } from './cold-line.ts';
import { keyOfNumber, numberAtEnd } from './cold-numbers.ts';
import type { ColdPins } from './cold-pins.ts';
import type { ColdPolicy } from './cold-policy.ts';
import { type NumberedReference, referenceAt, writeReference } from './cold-references.ts';

/** Key: text of the filter, U+0000, number of the message. */
const KIND = 'cold/queue.line';
/** When the first message of a line expires. */
const HEAD_KIND = 'queue.line';
const SEPARATOR = '\0';
const AFTER_SEPARATOR = '\u0001';
const POSITION_AT = 24;
const EXPIRES_AT = 32;
const BYTES = 40;
const PART_ROWS = 1000;
/** Rows that are removed in one turn of the event loop. */
const TIDY_ROWS = 200;
const NOTHING = Buffer.alloc(0);

/** A message of a line, for one of those who wait. */
export interface LineReference extends NumberedReference {
  /** Of the subscriptions that match, joined bit by bit. */
  options: number;
  alias: boolean;
}

interface LineLimit {
  /** Messages that a queue may have. */
  readonly lengthMax: number;
  /** The oldest go when there are more; else the newest. */
  readonly dropsOldest: boolean;
}

interface LinesGiven {
  readonly state: StateTable;
  readonly time: TimeEngine;
  readonly timers: Timers;
  readonly metrics: Metrics;
  readonly filters: ColdFilters;
  readonly pins: ColdPins;
  readonly policy: () => ColdPolicy | null;
}

interface LinesHost extends LinesGiven {
  readonly limit: () => LineLimit;
  /** Told how many messages queues lost to a limit. */
  readonly dropped: (messages: number) => void;
  readonly expired: Counter;
}

/** A line as a start finds it. */
interface Found {
  readonly first: number;
  readonly position: number;
}

export class ColdLines {
  readonly #host: LinesHost;
  readonly #byText = new Map<string, ColdLine>();
  readonly #byFilter = new Map<number, ColdLine>();
  /** Until all who wait are known after a start; null: they are. */
  #found: Map<ColdLine, Found> | null = null;
  /** Lines with rows that nobody needs. */
  readonly #untidy = new Set<ColdLine>();
  #tidying = false;
  #closed = false;

  constructor(given: LinesGiven) {
    const limit = (): LineLimit => limitOf(given.policy());
    const count = (what: string, help: string): Counter =>
      given.metrics.counter(`robustmq_queue_${what}_total`, help);
    const oldest = count('dropped', 'Messages that a queue gave up: limits, purges, rejects.');
    this.#host = {
      ...given,
      limit,
      dropped: (messages) => {
        if (limit().dropsOldest) oldest.add(messages);
        else given.policy()!.dropped(messages);
      },
      expired: count('expired', 'Messages that expired in a queue.'),
    };
  }

  /** Reads what waits, once. */
  recover(): void {
    const { state, pins } = this.#host;
    for (const [key, value] of state.scan(KIND)) {
      const text = textOf(key);
      const position = value.readDoubleBE(POSITION_AT);
      let line = this.#byText.get(text);
      if (line === undefined) {
        line = new ColdLine(text, position);
        this.#byText.set(text, line);
        this.#found ??= new Map();
        this.#found.set(line, { first: numberAtEnd(key), position });
      }
      line.end = position + 1;
      if (value.readDoubleBE(EXPIRES_AT) !== 0) line.expiring = true;
      const { logId, offset } = referenceAt(value);
      pins.add(logId, offset);
    }
  }

  /** What expired while the server was away goes from here on. */
  begin(): void {
    this.#host.time.register(HEAD_KIND, ({ id, dueMs }) => this.#headEnds(id, dueMs));
  }

  /** All who wait are known: what nobody needs goes. */
  known(): void {
    this.#found = null;
    const { lengthMax } = this.#host.limit();
    for (const line of this.#byText.values()) {
      line.count(lengthMax);
      this.#tidySoon(line);
    }
  }

  close(): void {
    this.#closed = true;
  }

  get size(): number {
    return this.#byText.size;
  }

  /** Messages that wait, for all queues together. */
  get messages(): number {
    let messages = 0;
    const { lengthMax } = this.#host.limit();
    for (const line of this.#byText.values()) messages += line.total(lengthMax);
    return messages;
  }

  // ---- who waits -----------------------------------------------------------------------------

  /** An owner of filters is told again, after a start: it waits for what came since then. */
  rejoin(owner: number, since: number): void {
    const { filters, state } = this.#host;
    for (let at = filters.firstOf(owner); at !== 0; at = filters.nextOf(at)) {
      const line = this.#lineOf(filters.filterOf(at));
      if (line === undefined) continue;
      const found = this.#found?.get(line);
      if (found !== undefined && since <= found.first) {
        line.rejoin(found.first, found.position);
        continue;
      }
      const [row] = state.range(KIND, spanOf(line.text, since, 1));
      if (row !== undefined) {
        line.rejoin(numberAtEnd(row.key), row.value.readDoubleBE(POSITION_AT));
      }
    }
  }

  /**
   * An owner of filters has what waited.
   * @param ends its filters go, too, in a moment
   */
  leave(owner: number, since: number, ends: boolean): void {
    const { filters } = this.#host;
    const { lengthMax } = this.#host.limit();
    for (let at = filters.firstOf(owner); at !== 0; at = filters.nextOf(at)) {
      const filter = filters.filterOf(at);
      const line = this.#byFilter.get(filter);
      if (line === undefined) continue;
      line.leave(since, lengthMax);
      this.#tidySoon(line);
      if (!ends || filters.countOf(filter) > 1) continue;
      line.filter = -1;
      this.#byFilter.delete(filter);
    }
  }

  /** True when some filter of an owner has a line. */
  concerns(owner: number): boolean {
    const { filters } = this.#host;
    for (let at = filters.firstOf(owner); at !== 0; at = filters.nextOf(at)) {
      if (this.#byFilter.has(filters.filterOf(at))) return true;
    }
    return false;
  }

  /** True when messages of some line of an owner expire. */
  expires(owner: number): boolean {
    const { filters } = this.#host;
    for (let at = filters.firstOf(owner); at !== 0; at = filters.nextOf(at)) {
      if (this.#byFilter.get(filters.filterOf(at))?.expiring === true) return true;
    }
    return false;
  }

  /** Messages that wait for an owner; one that came by two of its filters counts twice. */
  lengthOf(owner: number, since: number): number {
    const { filters } = this.#host;
    const { lengthMax } = this.#host.limit();
    let length = 0;
    for (let at = filters.firstOf(owner); at !== 0; at = filters.nextOf(at)) {
      const line = this.#byFilter.get(filters.filterOf(at));
      if (line !== undefined) length += line.lengthSince(since, lengthMax);
    }
    return length;
  }

  // ---- messages ------------------------------------------------------------------------------

  /** False, and counted, when nobody in the line of a filter has room for one more. */
  admits(filter: number): boolean {
    const { lengthMax, dropsOldest } = this.#host.limit();
    const line = this.#lineOf(filter);
    const full = lengthMax === 0 ? this.#host.filters.countOf(filter) : (line?.full ?? 0);
    if (full < this.#host.filters.countOf(filter) || (dropsOldest && lengthMax > 0)) return true;
    this.#host.dropped(full);
    return false;
  }

  /** A message that has its place comes into the line of a filter. @returns its key, for `undo` */
  add(
    filter: number,
    number: number,
    message: Message,
    partition: Partition,
    alias: boolean,
  ): string {
    const { filters, state, time } = this.#host;
    const { lengthMax, dropsOldest } = this.#host.limit();
    const line = this.#lineOf(filter) ?? this.#newLine(filter);
    const { offset, value, expiresAtMs } = message;
    const bytes = Buffer.allocUnsafe(BYTES);
    const logId = partition.log.id;
    const size = value === null ? 0 : value.length;
    writeReference(bytes, { logId, offset, meta: alias ? 1 : 0, size });
    bytes.writeDoubleBE(line.end, POSITION_AT);
    bytes.writeDoubleBE(expiresAtMs, EXPIRES_AT);
    const key = line.text + SEPARATOR + keyOfNumber(number);
    state.put(KIND, key, bytes, line.text, 'new');
    this.#host.pins.add(logId, offset);
    if (expiresAtMs !== 0) {
      line.expiring = true;
      if (line.start === line.end) time.set(HEAD_KIND, line.text, expiresAtMs, NOTHING);
    }
    const full = line.append(number, filters.countOf(filter), lengthMax);
    if (full > 0) this.#host.dropped(full);
    if (dropsOldest && line.end - line.start > lengthMax) {
      line.dropBelow(line.end - lengthMax);
      this.#tidySoon(line);
    }
    return key;
  }

  /** The message will never be. */
  undo(key: string): void {
    const { state, pins } = this.#host;
    const value = state.get(KIND, key);
    if (value === undefined) return;
    state.delete(KIND, key, textOf(key), 'there');
    const { logId, offset } = referenceAt(value);
    pins.remove(logId, offset);
    const line = this.#byText.get(textOf(key));
    if (line === undefined || value.readDoubleBE(POSITION_AT) !== line.end - 1) return;
    line.takeBack(numberAtEnd(key), this.#host.limit().lengthMax);
    this.#tidySoon(line);
  }

  /** What waits for an owner, in order. The rows stay for others: `leave` says that it has it. */
  *take(owner: number, since: number): Generator<LineReference> {
    const { filters } = this.#host;
    const heads: { next: LineReference; readonly rest: Iterator<LineReference> }[] = [];
    for (let at = filters.firstOf(owner); at !== 0; at = filters.nextOf(at)) {
      const line = this.#byFilter.get(filters.filterOf(at));
      if (line === undefined) continue;
      const rest = this.#of(line, since, filters.optionsOf(at));
      const { value, done } = rest.next();
      if (done !== true) heads.push({ next: value, rest });
    }
    while (heads.length > 0) {
      let first = heads[0]!.next;
      for (const { next } of heads) if (next.number < first.number) first = next;
      const given = { ...first, options: 0, alias: true };
      for (let index = heads.length - 1; index >= 0; index--) {
        const head = heads[index]!;
        if (head.next.number !== given.number) continue;
        given.options |= head.next.options;
        given.alias &&= head.next.alias;
        const { value, done } = head.rest.next();
        if (done === true) heads.splice(index, 1);
        else head.next = value;
      }
      yield given;
    }
  }

  /** What of a line waits for one who has all before. */
  *#of(line: ColdLine, since: number, options: number): Generator<LineReference> {
    const { lengthMax, dropsOldest } = this.#host.limit();
    const first = Math.max(line.start, line.firstOf(since));
    const before = dropsOldest ? Number.POSITIVE_INFINITY : first + lengthMax;
    let from = since;
    while (true) {
      const rows = this.#host.state.range(KIND, spanOf(line.text, from, PART_ROWS));
      for (const { key, value } of rows) {
        const position = value.readDoubleBE(POSITION_AT);
        if (position < first) continue;
        if (position >= before) return;
        const reference = referenceAt(value);
        yield { ...reference, number: numberAtEnd(key), options, alias: reference.meta !== 0 };
      }
      if (rows.length < PART_ROWS) return;
      from = numberAtEnd(rows.at(-1)!.key) + 1;
    }
  }

  #lineOf(filter: number): ColdLine | undefined {
    const known = this.#byFilter.get(filter);
    if (known !== undefined || this.#byText.size === this.#byFilter.size) return known;
    const line = this.#byText.get(this.#host.filters.textOf(filter));
    if (line === undefined) return undefined;
    line.filter = filter;
    this.#byFilter.set(filter, line);
    return line;
  }

  #newLine(filter: number): ColdLine {
    const line = new ColdLine(this.#host.filters.textOf(filter), 0);
    line.filter = filter;
    this.#byText.set(line.text, line);
    this.#byFilter.set(filter, line);
    return line;
  }

  // ---- what nobody needs ---------------------------------------------------------------------

  #tidySoon(line: ColdLine): void {
    const isUsed = line.end > line.kept || line.joined > 0;
    if (this.#found !== null || (line.needed === line.kept && isUsed)) return;
    this.#untidy.add(line);
    this.#tidyLater();
  }

  #tidyLater(): void {
    if (this.#tidying || this.#closed) return;
    this.#tidying = true;
    this.#host.timers.soon(() => this.#tidySome());
  }

  #tidySome(): void {
    this.#tidying = false;
    if (this.#closed) return;
    let left = TIDY_ROWS;
    for (const line of this.#untidy) {
      left -= this.#tidy(line, left);
      if (left <= 0) break;
      this.#untidy.delete(line);
    }
    if (this.#untidy.size > 0) this.#tidyLater();
  }

  /** @returns rows that were removed; less than `rowsMax`: it is done */
  #tidy(line: ColdLine, rowsMax: number): number {
    const { needed } = line;
    let removed = 0;
    const rows = this.#host.state.range(KIND, spanOf(line.text, 0, rowsMax));
    for (const { key, value } of rows) {
      if (value.readDoubleBE(POSITION_AT) >= needed) break;
      this.#remove(line, key, value);
      removed++;
    }
    if (removed === rowsMax) return removed;
    line.start = needed;
    line.kept = needed;
    if (line.expiring) this.#watchHead(line, rows[removed]?.value);
    if (line.start === line.end && line.joined === 0) {
      this.#byText.delete(line.text);
      this.#byFilter.delete(line.filter);
    }
    return removed;
  }

  #remove(line: ColdLine, key: string, value: Buffer): void {
    const { logId, offset } = referenceAt(value);
    this.#host.state.delete(KIND, key, line.text, 'there');
    this.#host.pins.remove(logId, offset);
  }

  /** @param head the first row; undefined: the line is empty, or it was not read */
  #watchHead(line: ColdLine, head: Buffer | undefined): void {
    const { time, state } = this.#host;
    if (line.start === line.end) {
      time.cancel(HEAD_KIND, line.text);
      return;
    }
    const first = head ?? state.range(KIND, spanOf(line.text, 0, 1))[0]?.value;
    const endsAtMs = first?.readDoubleBE(EXPIRES_AT) ?? 0;
    if (endsAtMs !== 0) time.set(HEAD_KIND, line.text, endsAtMs, NOTHING);
  }

  #headEnds(text: string, nowMs: number): void {
    const line = this.#byText.get(text);
    if (line === undefined) return;
    const { state, expired } = this.#host;
    let start = line.start;
    for (const { value } of state.range(KIND, spanOf(text, 0, TIDY_ROWS))) {
      const position = value.readDoubleBE(POSITION_AT);
      const endsAtMs = value.readDoubleBE(EXPIRES_AT);
      if (position < start) continue;
      if (endsAtMs === 0 || endsAtMs > nowMs) break;
      expired.add(line.membersAt(position));
      start = position + 1;
    }
    line.dropBelow(start);
    line.count(this.#host.limit().lengthMax);
    this.#untidy.add(line);
    this.#tidyLater();
  }
}

function limitOf(policy: ColdPolicy | null): LineLimit {
  const oldestMax = policy?.settings.lengthMax ?? Number.POSITIVE_INFINITY;
  const newestMax = policy?.newestMax ?? Number.POSITIVE_INFINITY;
  const dropsOldest = newestMax === Number.POSITIVE_INFINITY;
  return { lengthMax: Math.min(oldestMax, newestMax), dropsOldest };
}

function textOf(key: string): string {
  return key.slice(0, key.lastIndexOf(SEPARATOR));
}

function spanOf(
  text: string,
  fromNumber: number,
  rowsMax: number,
): { from: string; before: string; rowsMax: number } {
  const from = text + SEPARATOR + keyOfNumber(fromNumber);
  return { from, before: text + AFTER_SEPARATOR, rowsMax };
}
