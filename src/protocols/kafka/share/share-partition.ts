/**
 * One partition as one share group reads it: a queue over the partition, whose leases are the
 * acquisition locks. Fetches that wait stand in line, and the first one gets records until it has
 * enough, so that members get stretches and not every other record.
 */
import type { Attachment, Delivery, Partition, Queue, QueueConsumer } from '#broker';

/** What a taker gives records to. */
export interface ShareTake {
  /** It can take more. */
  readonly wants: boolean;
  took(delivery: Delivery): void;
  /** Another fetch of the same member has come: this one is over. */
  replaced(): void;
  /** Others wait behind it: what it has goes out, however little that is. */
  hurry(): void;
}

interface ShareTerms {
  /** How long a member may keep a record. */
  readonly lockMs: number;
  /** Records of transactions that are open or aborted are delivered as well. */
  readonly isUncommitted: boolean;
}

export class SharePartition {
  readonly queue: Queue;
  readonly partition: Partition;
  readonly locksMax: number;
  readonly #terms: () => ShareTerms;
  readonly #line: Taker[] = [];

  constructor(queue: Queue, partition: Partition, locksMax: number, terms: () => ShareTerms) {
    this.queue = queue;
    this.partition = partition;
    this.locksMax = locksMax;
    this.#terms = terms;
  }

  get lockMs(): number {
    return this.#terms().lockMs;
  }

  /** First offset that is not finished. */
  get startOffset(): number {
    return Math.max(this.queue.cursor!.state.acks.floor, this.partition.startOffset);
  }

  /** Records that are not finished. */
  get lag(): number {
    const { acks } = this.queue.cursor!.state;
    const { startOffset } = this;
    const finished = startOffset > acks.floor ? acks.countFrom(startOffset) : acks.aboveCount;
    return Math.max(0, this.queue.cursor!.end - startOffset - finished);
  }

  isFirst(taker: Taker): boolean {
    return this.#line[0] === taker;
  }

  /** More than one fetch waits. */
  get isCrowded(): boolean {
    return this.#line.length > 1;
  }

  enter(taker: Taker): void {
    this.#readAsTold();
    if (this.#line.push(taker) === 1) taker.wake();
    else this.#line[0]!.hurry();
  }

  leave(taker: Taker): void {
    const at = this.#line.indexOf(taker);
    if (at < 0) return;
    this.#line.splice(at, 1);
    if (at === 0) this.wake();
  }

  /** There may be room for the first in line. */
  wake(): void {
    this.#line[0]?.wake();
  }

  #readAsTold(): void {
    const cursor = this.queue.cursor!;
    // What was read of open transactions cannot be read the other way while they are open.
    const { isUncommitted } = this.#terms();
    cursor.unstable = isUncommitted || cursor.next > this.partition.stableOffset;
  }
}

/** One member at one partition, and what it has in hand of it. */
export class Taker implements QueueConsumer {
  readonly share: SharePartition;
  /** Offsets that it has acquired and not finished. */
  readonly held = new Set<number>();
  readonly #attachment: Attachment;
  readonly #leaseMs: number;
  #take: ShareTake | null = null;

  constructor(share: SharePartition) {
    this.share = share;
    this.#leaseMs = share.lockMs;
    this.#attachment = share.queue.attach(this, { leaseMs: this.#leaseMs });
  }

  /** Records go there, until `stop`. */
  start(take: ShareTake): void {
    this.#take?.replaced();
    this.#take = take;
    this.share.enter(this);
  }

  stop(take: ShareTake): void {
    if (this.#take !== take) return;
    this.#take = null;
    this.share.leave(this);
  }

  wake(): void {
    this.#attachment.wake();
  }

  hurry(): void {
    this.#take?.hurry();
  }

  ready(): boolean {
    const { share } = this;
    if (this.#take?.wants !== true || !share.isFirst(this)) return false;
    return share.queue.unackedCount < share.locksMax;
  }

  deliver(delivery: Delivery): void {
    const { position } = delivery;
    const { lockMs, queue } = this.share;
    if (lockMs !== this.#leaseMs) queue.extend(position, lockMs, this.#attachment);
    this.held.add(position);
    this.#take!.took(delivery);
  }

  lost({ position }: Delivery): void {
    this.held.delete(position);
    this.share.wake();
  }

  accept(offset: number): void {
    this.held.delete(offset);
    this.share.queue.ack(offset, this.#attachment);
  }

  /** Gives a record up for ever. */
  archive(offset: number): void {
    this.held.delete(offset);
    this.share.queue.drop(offset, this.#attachment);
  }

  /** @param counted false: it was not looked at, so this was no delivery */
  release(offset: number, counted: boolean): void {
    this.held.delete(offset);
    this.share.queue.requeue(offset, { delayMs: 0, counted }, this.#attachment);
  }

  renew(offset: number): void {
    this.share.queue.extend(offset, this.share.lockMs, this.#attachment);
  }

  /** The member goes: what it has in hand goes back, as if it had not been delivered. */
  end(): void {
    this.#take?.replaced();
    for (const offset of [...this.held]) this.release(offset, false);
    this.#attachment.detach();
    this.share.wake();
  }
}
