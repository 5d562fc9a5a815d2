/**
 * What clients sent, what they were promised and what anybody has seen: the judge of a run. It
 * knows messages by the text in front of their bodies, and believes nothing that the server says.
 */
import { PARTITION_MS_MAX } from './misfortunes.ts';
import type { Trace } from './trace.ts';
import type { TransactionNote } from './transaction-note.ts';

export interface Sent {
  readonly id: string;
  readonly publisher: string;
  readonly sequence: number;
  readonly stream: string;
  /** As its publisher names the place. */
  readonly address: string;
  /** Orders are kept per lane: one publisher on one address. */
  readonly lane: string;
  readonly body: Buffer;
  /** A later message of the same key may take its place; null when none may. */
  readonly key: string | null;
  /** It counts when this was committed; null when it counts by itself. */
  readonly transaction: TransactionNote | null;
  mode: Mode;
  /** Virtual time at which it was sent first. */
  firstMs: number;
  /** How often it was handed to the network. */
  sends: number;
  /** Virtual time of the acknowledgement; -1 without one. */
  ackedMs: number;
  /** The offset that the server named with it, or -1. */
  offset: number;
  /** It was refused once, so it has no place in the order of its lane. */
  refused: boolean;
  /** Its consumer is done with it, so the server need not keep it. */
  consumed: boolean;
}

/** How often a message may be stored. */
export type Mode = 'at-most-once' | 'at-least-once' | 'exactly-once';

class Violation extends Error {}

/** The records of one partition, by offset. */
export interface Found {
  readonly offset: number;
  readonly body: Buffer;
}

/** What a reader of a partition found in it, from its start on. */
export interface Part {
  readonly name: string;
  readonly start: number;
  readonly found: readonly Found[];
  /** Offsets at which somebody had read something before. */
  readonly seen: readonly number[];
}

/** Acknowledgements of consumers are on disk after so long. */
const SAVED_WITHIN_MS = 3_000;
/** Longer than bytes are on their way to a server: they wait for the end of a partition. */
const ON_THE_WAY_MS = PARTITION_MS_MAX + 1_000;
/** Stored when it is due. */
const DELAYED = '$delayed/';
const BODY_END = '|';

export class Ledger {
  readonly sent = new Map<string, Sent>();
  readonly #downs: { readonly fromMs: number; untilMs: number }[] = [];
  /** From a write that failed until the server goes down: it takes nothing any more. */
  #refusing: { readonly fromMs: number; untilMs: number } | null = null;
  readonly streams = new Set<string>();
  readonly transactions: TransactionNote[] = [];
  /** Partitions whose older records of a key go. */
  readonly compacted = new Set<string>();
  readonly counts = {
    ...{ sent: 0, acked: 0, seen: 0, audits: 0, crashes: 0, stops: 0 },
    ...{ committed: 0, aborted: 0 },
    // By members of share groups.
    ...{ acquired: 0, finished: 0 },
  };
  /** Partition -> offset -> message. What was seen once stays so. */
  readonly #seen = new Map<string, Map<number, string>>();
  /** Partition -> highest end that anybody was told. */
  readonly #watermarks = new Map<string, number>();
  readonly #cursors = new Map<string, number>();
  readonly #trace: Trace;
  readonly #nowMs: () => number;

  constructor(trace: Trace, nowMs: () => number) {
    this.#trace = trace;
    this.#nowMs = nowMs;
  }

  /** A new message with a body that nobody else sends. */
  make(
    given: Pick<Sent, 'publisher' | 'sequence' | 'stream' | 'address' | 'lane' | 'mode'>,
    size: number,
    key: string | null = null,
    transaction: TransactionNote | null = null,
  ): Sent {
    const id = `${given.publisher}#${given.sequence}`;
    const sent: Sent = {
      ...given,
      id,
      body: bodyOf(id, size),
      key,
      transaction,
      firstMs: -1,
      sends: 0,
      ackedMs: -1,
      offset: -1,
      consumed: false,
      refused: false,
    };
    this.sent.set(id, sent);
    transaction?.messages.push(sent);
    this.counts.sent++;
    return sent;
  }

  get nowMs(): number {
    return this.#nowMs();
  }

  note(text: string): void {
    this.#trace.add(text);
  }

  /** Handed to the network, perhaps again. */
  sending(sent: Sent): void {
    if (sent.sends++ === 0) sent.firstMs = this.#nowMs();
  }

  /** The server said no, and its publisher sends it again: others may overtake it. */
  refused(sent: Sent): void {
    this.#trace.add(`refused ${sent.id}`);
    sent.refused = true;
  }

  /** Neither stored nor lost for sure, and never sent again. */
  givenUp(sent: Sent): void {
    this.#trace.add(`given up ${sent.id}`);
    sent.mode = 'at-most-once';
  }

  acked(sent: Sent, offset = -1): void {
    if (sent.ackedMs < 0) this.counts.acked++;
    sent.ackedMs = this.#nowMs();
    this.#trace.add(`acked ${sent.id}${offset < 0 ? '' : ` at ${offset}`}`);
    if (offset >= 0) this.placed(sent, offset);
  }

  /** The server named its offset; of a transaction this promises nothing yet. */
  placed(sent: Sent, offset: number): void {
    if (sent.offset >= 0 && sent.offset !== offset) {
      this.fail(`${sent.id} was acknowledged at offset ${sent.offset} and again at ${offset}`);
    }
    sent.offset = offset;
  }

  /** A transaction began. */
  began(transaction: TransactionNote): void {
    this.transactions.push(transaction);
  }

  /** From here on all of its messages must be there, for everybody. */
  committed(transaction: TransactionNote): void {
    this.#trace.add(`committed ${transaction.id}`);
    transaction.end = 'committed';
    transaction.endedMs = this.#nowMs();
    this.counts.committed++;
    for (const sent of transaction.messages) this.acked(sent);
  }

  /** None of it counts, now and ever. */
  aborted(transaction: TransactionNote): void {
    const { id, readBy } = transaction;
    this.#trace.add(`aborted ${id}`);
    transaction.end = 'aborted';
    transaction.endedMs = this.#nowMs();
    this.counts.aborted++;
    if (readBy !== null) this.fail(`${readBy} got of ${id}, which was aborted`);
  }

  /** Somebody got it as a message that counts. */
  delivered(sent: Sent, reader: string): void {
    const { transaction } = sent;
    if (transaction === null) return;
    const { id, end } = transaction;
    if (end === 'open') this.fail(`${reader} got ${sent.id} before ${id} was committed`);
    if (end === 'aborted') this.fail(`${reader} got ${sent.id} of ${id}, which was aborted`);
    transaction.readBy ??= reader;
  }

  /**
   * What a reader that waits for commits found in a partition, up to its stable end.
   * @param since what was committed by then must be there
   */
  auditCommitted(part: Part, stable: number, end: number, since: number): void {
    const { name, start, found } = part;
    const offsets = new Set<number>();
    for (const { offset, body } of found) {
      if (offset >= stable) this.fail(`${name}: ${offset} is behind the stable end ${stable}`);
      offsets.add(offset);
      this.delivered(this.seenAt(name, offset, body), `read_committed ${name}`);
    }
    for (const { id, end: how, messages } of this.transactions) {
      if (how !== 'committed') continue;
      for (const sent of messages) {
        const { offset, lane, ackedMs } = sent;
        if (ackedMs > since || !lane.endsWith(`@${name}`)) continue;
        if (offset < start || offset >= stable || offsets.has(offset)) continue;
        this.fail(`${name}: ${sent.id} of ${id} at ${offset} is not read as committed`);
      }
    }
    // The answer may be older than what the clients know by now.
    if (stable < end && !this.transactions.some((one) => one.wasOpen(since))) {
      this.fail(`${name}: the stable end is ${stable} of ${end}, and no transaction is open`);
    }
  }

  /** The message behind a body that somebody received. Fails for what nobody sent. */
  identify(body: Buffer, where: string): Sent {
    this.counts.seen++;
    const id = body.toString('latin1', 0, Math.max(0, body.indexOf(BODY_END)));
    const sent = this.sent.get(id);
    if (sent === undefined || sent.sends === 0) {
      this.fail(`${where}: nobody sent '${body.toString('latin1', 0, 60)}'`);
    }
    if (!sent.body.equals(body)) this.fail(`${where}: ${id} came with another body`);
    return sent;
  }

  /** A record that a reader of a partition got. */
  seenAt(partition: string, offset: number, body: Buffer): Sent {
    const sent = this.identify(body, `${partition} at ${offset}`);
    const known = this.#partition(partition);
    const before = known.get(offset);
    if (before !== undefined && before !== sent.id) {
      this.fail(`${partition} at ${offset}: ${before} before, ${sent.id} now`);
    }
    known.set(offset, sent.id);
    return sent;
  }

  /**
   * Offsets at which somebody has read a record that must stay: in a compacted partition the last
   * of each key.
   */
  offsetsSeen(partition: string): number[] {
    const known = [...this.#partition(partition)].sort(([a], [b]) => a - b);
    if (!this.compacted.has(partition)) return known.map(([offset]) => offset);
    const last = new Map<string, number>();
    for (const [offset, id] of known) last.set(this.#keyOf(id), offset);
    return [...last.values()];
  }

  /** Of the offsets that were seen before a partition was read, those that it does not have. */
  gone({ name, start, found }: Part, seen: readonly number[]): number[] {
    const known = this.#partition(name);
    const here = new Set<number>();
    const newest = new Map<string, number>();
    for (const { offset } of found) {
      here.add(offset);
      newest.set(this.#keyOf(known.get(offset)!), offset);
    }
    const isCompacted = this.compacted.has(name);
    return seen.filter((offset) => {
      if (offset < start || here.has(offset)) return false;
      return !isCompacted || (newest.get(this.#keyOf(known.get(offset)!)) ?? -1) < offset;
    });
  }

  /** The highest end of a partition that anybody was told until now. */
  highest(partition: string): number {
    return this.#watermarks.get(partition) ?? 0;
  }

  /**
   * The end of a partition that the server tells: it never goes back.
   * @param before what was known when the server was asked; answers overtake each other
   */
  watermark(partition: string, end: number, before: number): void {
    if (end < before) this.fail(`${partition}: the high watermark went from ${before} to ${end}`);
    this.#watermarks.set(partition, Math.max(end, this.highest(partition)));
  }

  /** The server went down: what was not on disk by then may be undone. */
  crashed(): void {
    const now = this.#nowMs();
    this.#downs.push({ fromMs: now - SAVED_WITHIN_MS, untilMs: now });
    this.counts.crashes++;
    this.#wentDown();
  }

  /** A write or a sync failed for good: what is acknowledged from here on is not stored. */
  refuses(): void {
    if (this.#refusing !== null) return;
    const fromMs = this.#nowMs() - SAVED_WITHIN_MS;
    this.#refusing = { fromMs, untilMs: Number.POSITIVE_INFINITY };
    this.#downs.push(this.#refusing);
  }

  #wentDown(): void {
    if (this.#refusing !== null) this.#refusing.untilMs = this.#nowMs();
    this.#refusing = null;
  }

  /**
   * The server is being stopped: what is on its way to it, or comes later, is not heard.
   * @returns what to call when it has stopped
   */
  stopping(): () => void {
    const fromMs = this.#nowMs() - ON_THE_WAY_MS;
    const down = { fromMs, untilMs: Number.POSITIVE_INFINITY };
    this.#downs.push(down);
    this.counts.stops++;
    return () => {
      down.untilMs = this.#nowMs();
      this.#wentDown();
    };
  }

  /** May an acknowledgement that a client sent at this moment have been lost? */
  isUnsure(atMs: number): boolean {
    return this.#downs.some(({ fromMs, untilMs }) => fromMs <= atMs && atMs <= untilMs);
  }

  wentDownSince(atMs: number): boolean {
    return this.#downs.some(({ untilMs }) => untilMs >= atMs);
  }

  /** A stream was made and acknowledged: it is there until somebody removes it. */
  madeStream(name: string): void {
    this.streams.add(name);
  }

  /** A committed position: acknowledged ones are never lost. */
  cursorCommitted(name: string, offset: number): void {
    this.#cursors.set(name, Math.max(this.#cursors.get(name) ?? 0, offset));
  }

  cursorFound(name: string, offset: number): void {
    const committed = this.#cursors.get(name) ?? -1;
    if (offset < committed) {
      this.fail(`cursor ${name}: committed at ${committed}, found at ${offset}`);
    }
  }

  /**
   * Compares a whole stream with what was promised before the reading began. Records before the
   * start of a partition were dropped by the server, which only consumed ones may be.
   */
  audit(stream: string, parts: readonly Part[], since: number): void {
    this.counts.audits++;
    const times = new Map<string, number>();
    const newest = new Map<string, number>();
    for (const part of parts) this.#auditPart(stream, part, times);
    const trimmed = parts.some((part) => part.start > 0);
    for (const sent of this.sent.values()) {
      if (sent.stream !== stream || sent.ackedMs < 0 || sent.ackedMs > since) continue;
      if (sent.mode === 'at-most-once' || times.has(sent.id)) continue;
      if (trimmed && sent.consumed) continue;
      if (sent.sequence < this.#newestOf(sent, times, newest)) continue;
      // It may be due later still: whether it comes at all its subscriber says.
      if (sent.address.startsWith(DELAYED)) continue;
      this.fail(`${stream}: ${sent.id} was acknowledged at ${sent.ackedMs} and is lost`);
    }
  }

  /** The newest message of its key that was found. */
  #newestOf(sent: Sent, times: ReadonlyMap<string, number>, newest: Map<string, number>): number {
    if (sent.key === null) return -1;
    if (newest.size === 0) {
      for (const id of times.keys()) {
        const { key, sequence } = this.sent.get(id)!;
        if (key !== null) newest.set(key, Math.max(sequence, newest.get(key) ?? -1));
      }
    }
    return newest.get(sent.key) ?? -1;
  }

  #auditPart(stream: string, part: Part, times: Map<string, number>): void {
    const { name, found } = part;
    const last = new Map<string, number>();
    for (const { offset, body } of found) {
      const sent = this.seenAt(name, offset, body);
      const count = (times.get(sent.id) ?? 0) + 1;
      times.set(sent.id, count);
      const most = sent.mode === 'at-least-once' ? sent.sends : 1;
      // A dead letter is a copy: it may lie elsewhere more often than it was sent.
      if (count > most && stream === sent.stream)
        this.fail(`${name}: ${sent.id} is stored ${count} times, sent ${most}`);
      if (count > 1 || sent.refused) continue;
      const before = last.get(sent.lane) ?? -1;
      if (sent.sequence < before && stream === sent.stream) {
        this.fail(`${name} at ${offset}: ${sent.id} stands behind ${before} of its lane`);
      }
      last.set(sent.lane, sent.sequence);
    }
    const [gone] = this.gone(part, part.seen);
    if (gone !== undefined) this.fail(`${name} at ${gone}: what was read there is not there now`);
  }

  fail(text: string): never {
    this.#trace.add(`VIOLATION ${text}`);
    throw new Violation(text);
  }

  #keyOf(id: string): string {
    const { key, address } = this.sent.get(id)!;
    return key ?? address;
  }

  #partition(name: string): Map<number, string> {
    let known = this.#seen.get(name);
    if (known === undefined) {
      known = new Map();
      this.#seen.set(name, known);
    }
    return known;
  }
}

/** The id, and a filler that depends on it, to the wanted size. */
function bodyOf(id: string, size: number): Buffer {
  const head = `${id}${BODY_END}`;
  const body = Buffer.alloc(Math.max(size, head.length));
  let at = body.write(head, 'latin1');
  let value = head.length;
  for (const char of id) value = (value * 31 + char.charCodeAt(0)) & 0xffff;
  for (; at < body.length; at++) {
    value = (value * 25_173 + 13_849) & 0xffff;
    body[at] = 33 + ((value >> 8) % 90);
  }
  return body;
}
