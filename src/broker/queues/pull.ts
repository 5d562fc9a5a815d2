/**
 * Asking a queue for messages, instead of being given them: so many, or so many bytes, within a
 * time. What was pulled is in flight until it is finished, or its lease ends.
 */
import type { Timer, Timers } from '#kit';
import type { Queue } from './queue.ts';
import type { Attachment, Delivery, QueueConsumer } from './queue-consumers.ts';

export interface PullRequest {
  readonly messages: number;
  /** No more once so many bytes of values have come; no limit when left out. */
  readonly bytes?: number;
  /** How long to wait for a first message; 0 = not at all. */
  readonly waitMs: number;
  /** Higher ones are served first. */
  readonly priority?: number;
  /** The queue's when left out. */
  readonly leaseMs?: number;
}

/**
 * Resolves with what is there, as soon as there is anything; with nothing when the time is over or
 * the queue is removed. Requests that wait are served in turn.
 */
export function pull(queue: Queue, request: PullRequest, timers: Timers): Promise<Delivery[]> {
  return new Promise((resolve) => new Pull(queue, request, timers, resolve).begin());
}

class Pull implements QueueConsumer {
  readonly #queue: Queue;
  readonly #request: PullRequest;
  readonly #timers: Timers;
  readonly #resolve: (got: Delivery[]) => void;
  readonly #got: Delivery[] = [];
  #bytes = 0;
  #done = false;
  #attachment: Attachment | null = null;
  #timer: Timer | null = null;
  #endRemoved: (() => void) | null = null;

  constructor(
    queue: Queue,
    request: PullRequest,
    timers: Timers,
    resolve: (got: Delivery[]) => void,
  ) {
    this.#queue = queue;
    this.#request = request;
    this.#timers = timers;
    this.#resolve = resolve;
  }

  begin(): void {
    const { messages, waitMs, priority, leaseMs } = this.#request;
    this.#endRemoved = this.#queue.onRemoved(() => this.#end());
    this.#attachment = this.#queue.attach(this, {
      credit: messages,
      ...(priority === undefined ? {} : { priority }),
      ...(leaseMs === undefined ? {} : { leaseMs }),
    });
    // What lies on the disk takes a moment, which is no wait for a new message.
    const nothing = this.#got.length === 0 && this.#queue.readyCount === 0;
    if (this.#done) this.#attachment.detach(true);
    else if (nothing && waitMs === 0) this.#end();
    else this.#timer = this.#timers.after(waitMs === 0 ? READ_MS : waitMs, () => this.#end());
  }

  ready(): boolean {
    const { messages, bytes = Number.POSITIVE_INFINITY } = this.#request;
    return !this.#done && this.#got.length < messages && this.#bytes < bytes;
  }

  deliver(delivery: Delivery): void {
    this.#got.push(delivery);
    this.#bytes += delivery.message.value?.length ?? 0;
    if (!this.ready()) this.#end();
    // What else is there comes in this turn.
    else if (this.#got.length === 1) this.#timers.soon(() => this.#end());
  }

  #end(): void {
    if (this.#done) return;
    this.#done = true;
    this.#timer?.cancel();
    this.#endRemoved?.();
    this.#attachment?.detach(true);
    this.#resolve(this.#got);
  }
}

/** Time that a read may take for a request that does not wait. */
const READ_MS = 1000;
