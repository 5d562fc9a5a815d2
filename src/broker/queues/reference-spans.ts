/**
 * The least offset per partition of stretches of references: what retention must keep for a queue
 * whose references lie on disk. Stretches are few: they double in length as the queue grows, so the
 * answer is exact to a small part of the queue and never too high.
 */
const FIRST_LENGTH = 1024;
const SPANS_MAX = 64;
/** Partitions in all stretches together; beyond it stretches are joined, too. */
const ENTRIES_MAX = 8192;

export interface Span {
  readonly from: number;
  to: number;
  /** By number of the partition. */
  readonly least: Map<number, number>;
}

export class ReferenceSpans {
  #spans: Span[] = [];
  #length = FIRST_LENGTH;
  #entries = 0;

  /** Notes a reference; indexes grow. */
  add(index: number, partition: number, offset: number): void {
    let span = this.#spans[this.#spans.length - 1];
    if (span === undefined || index >= span.from + this.#length) {
      span = { from: index, to: index, least: new Map() };
      this.#spans.push(span);
    }
    span.to = index + 1;
    const known = span.least.get(partition);
    if (known === undefined) {
      span.least.set(partition, offset);
      this.#entries++;
    } else if (offset < known) span.least.set(partition, offset);
    const { length } = this.#spans;
    if (length > SPANS_MAX || (this.#entries > ENTRIES_MAX && length > 2)) this.#join();
  }

  /** Forgets stretches that end at or before `index`. */
  passed(index: number): void {
    const spans = this.#spans;
    let gone = 0;
    for (; gone < spans.length && spans[gone]!.to <= index; gone++) {
      this.#entries -= spans[gone]!.least.size;
    }
    if (gone > 0) spans.splice(0, gone);
    if (spans.length === 0) this.#length = FIRST_LENGTH;
  }

  /**
   * No offset of this partition in the references from `index` on is less; Infinity = there is
   * none.
   */
  least(partition: number, index: number): number {
    for (const span of this.#spans) {
      if (span.to <= index) continue;
      const offset = span.least.get(partition);
      if (offset !== undefined) return offset;
    }
    return Number.POSITIVE_INFINITY;
  }

  all(): readonly Span[] {
    return this.#spans;
  }

  restore(span: Span): void {
    this.#spans.push(span);
    this.#entries += span.least.size;
    while (this.#length < span.to - span.from) this.#length *= 2;
  }

  #join(): void {
    const joined: Span[] = [];
    let entries = 0;
    for (let index = 0; index < this.#spans.length; index += 2) {
      const span = this.#spans[index]!;
      const next = this.#spans[index + 1];
      if (next !== undefined) {
        span.to = next.to;
        for (const [partition, offset] of next.least) {
          const known = span.least.get(partition);
          if (known === undefined || offset < known) span.least.set(partition, offset);
        }
      }
      entries += span.least.size;
      joined.push(span);
    }
    this.#spans = joined;
    this.#entries = entries;
    this.#length *= 2;
  }
}
