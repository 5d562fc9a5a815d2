/** References to messages that are not committed yet: the disk may be too full for them. */
import type { Partition } from '../streams/partition.ts';

interface RecentReference {
  readonly partition: Partition;
  readonly offset: number;
  /** -1: it waits in a line, for many. */
  readonly row: number;
  readonly key: string;
}

export class RecentReferences {
  #references: RecentReference[] = [];

  get isEmpty(): boolean {
    return this.#references.length === 0;
  }

  add(partition: Partition, offset: number, row: number, key: string): void {
    if (offset >= partition.highWatermark) this.#references.push({ partition, offset, row, key });
  }

  committed(partition: Partition): void {
    const { highWatermark } = partition;
    this.#references = this.#references.filter((reference) => {
      return reference.partition !== partition || reference.offset >= highWatermark;
    });
  }

  /** The append of these offsets failed. @returns references to them, the last first */
  failed(partition: Partition, fromOffset: number): readonly RecentReference[] {
    const isFailed = (reference: RecentReference): boolean =>
      reference.partition === partition && reference.offset >= fromOffset;
    const failed = this.#references.filter(isFailed).reverse();
    this.#references = this.#references.filter((reference) => !isFailed(reference));
    return failed;
  }
}
