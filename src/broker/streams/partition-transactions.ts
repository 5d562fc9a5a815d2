/** The open transactions of one partition, and how far it is delivered to other protocols. */

export interface OpenTransaction {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly firstOffset: number;
  /** When its first record was appended. */
  readonly sinceMs: number;
}

export class PartitionTransactions {
  /** First offset of an open transaction; Infinity when there is none. */
  firstOpen = Number.POSITIVE_INFINITY;
  /** Messages before it were delivered. */
  delivered: number;
  /** Not all of it came as batches of producers: messages with addresses of their own. */
  mixed = false;
  /** Its place is stored, because a crash now must not lose deliveries. */
  saved = false;
  /** Being read from the log. */
  reading = false;
  /** Where it could not be read, which was said; -1 when it could. */
  unreadFrom = -1;
  untail: (() => void) | null = null;
  readonly #byProducer = new Map<number, OpenTransaction>();
  /** Each until its marker is on disk; in the order of their offsets. */
  readonly #byOffset = new Map<number, OpenTransaction>();

  constructor(delivered: number) {
    this.delivered = delivered;
  }

  /** Those without a marker. */
  list(): Iterable<OpenTransaction> {
    return this.#byProducer.values();
  }

  find(producerId: number): OpenTransaction | undefined {
    return this.#byProducer.get(producerId);
  }

  add(transaction: OpenTransaction): void {
    this.#byProducer.set(transaction.producerId, transaction);
    this.#byOffset.set(transaction.firstOffset, transaction);
    this.firstOpen = Math.min(this.firstOpen, transaction.firstOffset);
  }

  /** Its marker was appended: what the producer writes now is another transaction. */
  mark(producerId: number): void {
    this.#byProducer.delete(producerId);
  }

  /** Its marker is on disk. */
  remove({ firstOffset }: OpenTransaction): void {
    this.#byOffset.delete(firstOffset);
    const next = this.#byOffset.keys().next();
    this.firstOpen = next.done === true ? Number.POSITIVE_INFINITY : next.value;
  }

  /** The stored row of an open transaction says that nothing before it waits to be delivered. */
  get isCovered(): boolean {
    // Those without a marker have a row; the first of them lies first.
    for (const { firstOffset } of this.#byProducer.values()) return firstOffset <= this.delivered;
    return false;
  }

  /** First offset of those open beside this one. */
  firstBeside({ firstOffset }: OpenTransaction): number {
    for (const offset of this.#byOffset.keys()) if (offset !== firstOffset) return offset;
    return Number.POSITIVE_INFINITY;
  }
}
