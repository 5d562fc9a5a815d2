/**
 * One ShareFetch: acquires records of the partitions of its session, waits for some when there are
 * none, and sends the batches that they lie in as they are stored. Nothing polls: while it waits,
 * it stands in line at the partitions' queues.
 */
import type { Delivery, StoredBatch } from '#broker';
import { BrokerError, type Timer } from '#kit';
import type { Call } from '../call.ts';
import { KAFKA } from '../error-codes.ts';
import { wireCode } from '../errors.ts';
import type { shareFetch } from '../messages/78-share-fetch.ts';
import type { Room } from '../room.ts';
import type { SharePartition, ShareTake, Taker } from './share-partition.ts';

/** A fetch that does not wait gives a read from the disk so long. */
const READ_MS = 1000;
const READ_BYTES = 1 << 20;
/** The number of records is a limit; otherwise the last batch is taken to its end (KIP-1206). */
const STRICT = 1;
/** What a record takes beside its key and value, about. */
const RECORD_BYTES = 16;

interface ShareFetchLimits {
  readonly maxWaitMs: number;
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly maxRecords: number;
  readonly batchSize: number;
  readonly shareAcquireMode: number;
}

interface AcquiredRange {
  readonly firstOffset: number;
  lastOffset: number;
  readonly deliveryCount: number;
}

/** One partition of a fetch, and what it has acquired there. */
class SharePart implements ShareTake {
  readonly taker: Taker;
  readonly #fetch: ShareFetchCall;
  /** How often each of these offsets was delivered. */
  readonly acquired = new Map<number, number>();
  batches: StoredBatch[] = [];
  errorCode: number = KAFKA.NONE;

  constructor(taker: Taker, fetch: ShareFetchCall) {
    this.taker = taker;
    this.#fetch = fetch;
  }

  get share(): SharePartition {
    return this.taker.share;
  }

  get wants(): boolean {
    return this.#fetch.wants;
  }

  took({ position, deliveryCount, message }: Delivery): void {
    this.acquired.set(position, deliveryCount);
    const { key, value } = message;
    this.#fetch.took(RECORD_BYTES + (key?.length ?? 0) + (value?.length ?? 0), this, position);
  }

  /** Records behind this one in its batch, as far as that is known without a read from the disk. */
  behind(offset: number): number {
    try {
      const found = this.share.partition.readBatches(offset, 1);
      if (Array.isArray(found)) {
        const [batch] = found;
        return batch === undefined ? 0 : Math.max(0, batch.baseOffset + batch.count - 1 - offset);
      }
      found.catch(() => {}); // The read of what was acquired meets it again.
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error;
    }
    return 0;
  }

  replaced(): void {
    this.#fetch.finish();
  }

  hurry(): void {
    if (this.acquired.size > 0) this.#fetch.finishSoon();
  }

  /** What it has still in hand, in stretches that were delivered equally often. */
  ranges(batchSize: number): AcquiredRange[] {
    const ranges: AcquiredRange[] = [];
    let last: AcquiredRange | null = null;
    for (const offset of this.#offsets()) {
      const deliveryCount = this.acquired.get(offset)!;
      const follows =
        last !== null &&
        last.lastOffset + 1 === offset &&
        last.deliveryCount === deliveryCount &&
        (batchSize <= 0 || offset - last.firstOffset < batchSize);
      if (follows) last!.lastOffset = offset;
      else {
        last = { firstOffset: offset, lastOffset: offset, deliveryCount };
        ranges.push(last);
      }
    }
    return ranges;
  }

  /**
   * Reads the batches of what was acquired. What does not fit goes back; what is not there any
   * more, because retention or compaction was faster, is finished.
   * @param isFirst a first batch goes out whatever its size
   * @returns bytes
   */
  async read(bytesMax: number, isFirst: boolean): Promise<number> {
    const offsets = this.#offsets();
    let at = 0;
    let size = 0;
    while (at < offsets.length) {
      const batches = await this.#readFrom(offsets[at]!);
      if (batches === null) return size;
      const before = at;
      for (const batch of batches) {
        while (at < offsets.length && offsets[at]! < batch.baseOffset) {
          this.taker.archive(offsets[at++]!);
        }
        const end = batch.baseOffset + batch.count;
        if (at === offsets.length || offsets[at]! >= end) continue;
        const fits = size + batch.bytes.length <= bytesMax;
        if (!fits && !(isFirst && size === 0)) {
          this.#putBack(offsets.slice(at));
          return size;
        }
        size += batch.bytes.length;
        this.batches.push(batch);
        while (at < offsets.length && offsets[at]! < end) at++;
      }
      if (at === before) this.taker.archive(offsets[at++]!);
    }
    return size;
  }

  /** Empty when there is nothing at that offset; null when it cannot be read now. */
  async #readFrom(offset: number): Promise<StoredBatch[] | null> {
    try {
      return await this.share.partition.readBatches(offset, READ_BYTES);
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error;
      if (error.code === 'offset-out-of-range' || error.code === 'damaged') return [];
      this.errorCode = wireCode(error);
      this.batches = [];
      this.#putBack(this.#offsets());
      return null;
    }
  }

  /** A lock may have ended meanwhile. */
  #offsets(): number[] {
    const { held } = this.taker;
    return [...this.acquired.keys()].filter((offset) => held.has(offset)).sort((a, b) => a - b);
  }

  #putBack(offsets: readonly number[]): void {
    for (const offset of offsets)
      if (this.taker.held.has(offset)) this.taker.release(offset, false);
  }
}

export class ShareFetchCall {
  readonly parts: SharePart[];
  readonly #call: Call<typeof shareFetch>;
  readonly #room: Room;
  readonly #limits: ShareFetchLimits;
  readonly #bytesMax: number;
  readonly #done: () => void;
  #records = 0;
  #recordsMax: number;
  #bytes = 0;
  #timer: Timer | null = null;
  /** When it answers with what it has. */
  #endMs = 0;
  #soon = false;
  #begun = false;
  #ended = false;

  /** @param done told once, when all that is to be sent is there */
  constructor(
    takers: readonly Taker[],
    limits: ShareFetchLimits,
    call: Call<typeof shareFetch>,
    room: Room,
    done: () => void,
  ) {
    this.#call = call;
    this.#room = room;
    this.#limits = limits;
    this.#recordsMax = limits.maxRecords;
    // What its quota gives at once: a client that takes more at a time would wait for long.
    const most = call.session.throttle.most(call as unknown as Call, 'deliver-bytes');
    const { fetchBytesMax } = room.options;
    this.#bytesMax = Math.min(Math.max(0, limits.maxBytes), fetchBytesMax, Math.floor(most));
    this.#done = done;
    this.parts = takers.map((taker) => new SharePart(taker, this));
  }

  get wants(): boolean {
    if (this.#ended) return false;
    if (this.#records === 0) return true;
    return this.#records < this.#recordsMax && this.#bytes < this.#bytesMax;
  }

  /** Bytes of the batches that go out. */
  get size(): number {
    let size = 0;
    for (const { batches } of this.parts) for (const { bytes } of batches) size += bytes.length;
    return size;
  }

  begin(): void {
    const { maxWaitMs } = this.#limits;
    this.#call.hurry = () => this.finish();
    this.#call.onClosed = () => this.finish();
    for (const part of this.parts) part.taker.start(part);
    this.#begun = true;
    if (this.#ended) return;
    const enough = this.#bytes >= this.#limits.minBytes && this.#records > 0;
    const reads = this.parts.some(({ share }) => share.queue.loading);
    const waitMs = Math.max(maxWaitMs, reads ? READ_MS : 0);
    if (this.parts.length === 0 || enough || waitMs <= 0) {
      this.finishSoon();
      return;
    }
    // No longer than an idle connection may last.
    this.#wait(Math.min(waitMs, this.#room.options.idleTimeout));
    if (this.#records > 0) this.#gather();
  }

  took(bytes: number, part: SharePart, offset: number): void {
    this.#records++;
    this.#bytes += bytes;
    const { maxRecords, shareAcquireMode } = this.#limits;
    // A batch in two parts would be sent twice.
    if (this.#records === maxRecords && shareAcquireMode !== STRICT) {
      this.#recordsMax += part.behind(offset);
    }
    if (!this.#begun) return;
    const enough = this.#bytes >= this.#limits.minBytes || !this.wants;
    if (enough || part.share.isCrowded) this.finishSoon();
    else if (this.#records === 1) this.#gather();
  }

  /** Waits for more than it has: not so long that locks could end, or others behind it wait. */
  #gather(): void {
    let leftMs = this.#endMs - this.#room.host.clock.monotonicMs();
    for (const { acquired, share } of this.parts) {
      if (acquired.size === 0) continue;
      leftMs = Math.min(leftMs, share.lockMs / 2);
      if (share.isCrowded) leftMs = 0;
    }
    this.#timer?.cancel();
    this.#timer = null;
    if (leftMs <= 0) this.finishSoon();
    else this.#wait(leftMs);
  }

  /** Sends what there is. */
  finish(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#timer?.cancel();
    for (const part of this.parts) part.taker.stop(part);
    this.#read().then(this.#done, (error: unknown) => this.#call.session.crash(error));
  }

  /** What comes in the same turn goes with it. */
  finishSoon(): void {
    if (this.#soon) return;
    this.#soon = true;
    this.#room.host.timers.soon(() => this.finish());
  }

  #wait(ms: number): void {
    this.#endMs = this.#room.host.clock.monotonicMs() + ms;
    this.#timer = this.#room.host.timers.after(ms, () => this.finish());
  }

  async #read(): Promise<void> {
    let left = this.#bytesMax;
    let isFirst = true;
    for (const part of this.parts) {
      if (part.acquired.size === 0) continue;
      const size = await part.read(left, isFirst);
      left = Math.max(0, left - size);
      if (size > 0) isFirst = false;
    }
  }
}
