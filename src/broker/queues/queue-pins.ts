/**
 * Which offsets of a partition queues still need: what retention must keep. One heap per partition,
 * by the first offset that each queue was known to need; these only grow, so the heap is put right
 * from its top, and an answer costs the logarithm of the queues that have moved on.
 */
import type { Partition } from '../streams/partition.ts';
import type { Queue } from './queue.ts';

interface Pin {
  readonly queue: Queue;
  offset: number;
}

/** Pins of queues that are gone: not more than of those that are there, and these. */
const GONE_MAX = 16;

class Heap {
  pins: Pin[] = [];
  /** With so many, those of queues that are gone are taken out. */
  sweepAt = GONE_MAX;
}

export class QueuePins {
  readonly #heaps = new Map<Partition, Heap>();

  /** The queue needs something of the partition from now on. */
  add(partition: Partition, queue: Queue): void {
    let heap = this.#heaps.get(partition);
    if (heap === undefined) {
      heap = new Heap();
      this.#heaps.set(partition, heap);
    }
    if (heap.pins.length >= heap.sweepAt) sweep(heap);
    // Whatever it needs is not below 0: the first look puts it right.
    heap.pins.push({ queue, offset: 0 });
    up(heap.pins, heap.pins.length - 1);
  }

  /** Pins of a partition that are remembered. */
  count(partition: Partition): number {
    return this.#heaps.get(partition)?.pins.length ?? 0;
  }

  forget(partition: Partition): void {
    this.#heaps.delete(partition);
  }

  /** First offset of a partition that a queue still needs, or Infinity. */
  first(partition: Partition): number {
    const heap = this.#heaps.get(partition)?.pins;
    while (heap !== undefined && heap.length > 0) {
      const top = heap[0]!;
      const { queue } = top;
      const actual = queue.removed ? Number.POSITIVE_INFINITY : queue.firstOffset(partition);
      if (actual === Number.POSITIVE_INFINITY) {
        pop(heap);
        for (const lane of queue.lanes.references) lane.unpin(partition);
        continue;
      }
      if (actual <= top.offset) return actual;
      top.offset = actual;
      down(heap, 0);
    }
    this.#heaps.delete(partition);
    return Number.POSITIVE_INFINITY;
  }
}

/** Takes out the pins of queues that are gone. */
function sweep(heap: Heap): void {
  const kept = heap.pins.filter(({ queue }) => !queue.removed);
  kept.sort((a, b) => a.offset - b.offset);
  heap.pins = kept;
  heap.sweepAt = 2 * kept.length + GONE_MAX;
}

function pop(heap: Pin[]): void {
  const last = heap.pop()!;
  if (heap.length === 0) return;
  heap[0] = last;
  down(heap, 0);
}

function up(heap: Pin[], index: number): void {
  const pin = heap[index]!;
  while (index > 0) {
    const above = (index - 1) >>> 1;
    if (heap[above]!.offset <= pin.offset) break;
    heap[index] = heap[above]!;
    index = above;
  }
  heap[index] = pin;
}

function down(heap: Pin[], index: number): void {
  const pin = heap[index]!;
  while (true) {
    let below = index * 2 + 1;
    if (below >= heap.length) break;
    if (below + 1 < heap.length && heap[below + 1]!.offset < heap[below]!.offset) below++;
    if (heap[below]!.offset >= pin.offset) break;
    heap[index] = heap[below]!;
    index = below;
  }
  heap[index] = pin;
}
