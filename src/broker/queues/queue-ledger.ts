/**
 * What happens to the messages of one queue, counted, and noted for the next entry when the queue
 * is durable.
 */
import { type ByteSink, QueueSteps } from './queue-codec.ts';
import type { Lane } from './queue-lane.ts';
import { ENDED, type Ended, type QueueState } from './queue-state.ts';

export class QueueLedger {
  readonly #state: QueueState;
  /** Tells that there is something to save; null: nothing of this queue is saved. */
  readonly #changed: (() => void) | null;
  readonly #counted: (how: Ended, count: number) => void;
  #steps: QueueSteps | null = null;
  /** `changed` was told, and `write` not called since. */
  #dirty = false;

  constructor(
    state: QueueState,
    changed: (() => void) | null,
    counted: (how: Ended, count: number) => void,
  ) {
    this.#state = state;
    this.#changed = changed;
    this.#counted = counted;
  }

  /** @param finished how many of the positions were not finished before */
  ended(
    lane: Lane,
    from: number,
    positions: number,
    how: Ended,
    finished: number,
    bytes: number,
  ): void {
    this.#state.ended[how]! += finished;
    if (how !== ENDED.acked) this.#counted(how, finished);
    if (this.#changed === null) return;
    this.#made().finish(lane.number, from, positions, how, bytes);
    this.changed();
  }

  /** Drops everything that is ready in a lane. @returns how much that was */
  purge(lane: Lane): number {
    let count = 0;
    lane.purge((from, positions, finished, bytes) => {
      count += finished;
      this.ended(lane, from, positions, ENDED.dropped, finished, bytes);
    });
    return count;
  }

  attempts(lane: Lane, local: number, count: number): void {
    lane.state.attempts.set(local, count);
    if (this.#changed !== null) this.#made().attempts(lane.number, local, count);
    this.changed();
  }

  delayed(lane: Lane, local: number, bytes: number): void {
    if (this.#changed !== null) this.#made().delay(lane.number, local, bytes);
    this.changed();
  }

  cameBack(lane: Lane, local: number, bytes: number): void {
    if (this.#changed !== null) this.#made().undelay(lane.number, local, bytes);
    this.changed();
  }

  /** There is something to save. */
  changed(): void {
    if (this.#changed === null || this.#dirty) return;
    this.#dirty = true;
    this.#changed();
  }

  /** Writes what was noted since the last call. */
  write(sink: ByteSink, queueId: number, lanes: readonly Lane[]): void {
    this.#dirty = false;
    const steps = this.#made();
    for (const lane of lanes) {
      const { deliveredTo } = lane.state;
      if (deliveredTo === lane.deliveredSaved) continue;
      lane.deliveredSaved = deliveredTo;
      steps.delivered(lane.number, deliveredTo);
    }
    steps.write(sink, queueId);
  }

  #made(): QueueSteps {
    this.#steps ??= new QueueSteps();
    return this.#steps;
  }
}
