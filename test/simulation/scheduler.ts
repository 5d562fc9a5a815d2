/**
 * Virtual time: a queue of events, run one after the other. Between two events all promises that
 * can go on do so, in their own fixed order, so a run is the same each time.
 */
import type { Clock, Timer, Timers } from '#kit';

/** Monday, 1 June 2026, 00:00 UTC. */
const START_MS = 1_780_272_000_000;
/** As Node: no timer is faster. */
const TIMER_MS_MIN = 1;
/** Events at one moment; more means that something turns in a circle. */
const EVENTS_PER_MOMENT_MAX = 200_000;

export interface Event {
  readonly atMs: number;
  readonly order: number;
  call: (() => void) | null;
}

export class Scheduler {
  nowMs = 0;
  events = 0;
  #heap: Event[] = [];
  #order = 0;
  #sameMoment = 0;
  #stopped = false;

  /** Calls after a delay; events of the same moment run in the order in which they were made. */
  after(delayMs: number, call: () => void): Event {
    return this.at(this.nowMs + Math.max(0, delayMs), call);
  }

  /** At an exact moment: what is asked for the same one happens in the order of asking. */
  at(atMs: number, call: () => void): Event {
    const event = { atMs, order: ++this.#order, call };
    this.#push(event);
    return event;
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.after(delayMs, resolve));
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Runs until `stop`, or until nothing is left to happen. Rejects with what an event throws. */
  run(): Promise<void> {
    return new Promise((resolve, reject) => {
      const step = (): void => {
        const event = this.#stopped ? undefined : this.#pop();
        if (event === undefined) {
          resolve();
          return;
        }
        try {
          this.#perform(event);
        } catch (error) {
          reject(error);
          return;
        }
        // The next turn of the real loop: every promise that can go on has gone on by then.
        setImmediate(step);
      };
      setImmediate(step);
    });
  }

  #perform(event: Event): void {
    this.#sameMoment = event.atMs > this.nowMs ? 0 : this.#sameMoment + 1;
    if (this.#sameMoment > EVENTS_PER_MOMENT_MAX) throw new Error('virtual time stands still');
    this.nowMs = event.atMs;
    if (event.call === null) return;
    this.events++;
    event.call();
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): Event | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || last === first) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** The wall clock can jump; the monotonic one cannot. */
export class VirtualClock implements Clock {
  skewMs = 0;
  /** The furthest ahead that it was. */
  mostSkewMs = 0;
  readonly #scheduler: Scheduler;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  nowMs(): number {
    return Math.floor(START_MS + this.#scheduler.nowMs + this.skewMs);
  }

  nowNs(): bigint {
    return BigInt(this.nowMs()) * 1_000_000n + BigInt(Math.floor((this.monotonicMs() % 1) * 1e6));
  }

  monotonicMs(): number {
    return this.#scheduler.nowMs;
  }
}

/** The timers of one process. They die with it. */
export class LifeTimers implements Timers {
  alive = true;
  readonly #scheduler: Scheduler;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  after(delayMs: number, call: () => void): Timer {
    const event = this.#schedule(Math.max(TIMER_MS_MIN, delayMs), call);
    return {
      cancel: () => {
        event.call = null;
      },
    };
  }

  soon(call: () => void): void {
    this.#schedule(0, call);
  }

  #schedule(delayMs: number, call: () => void): Event {
    return this.#scheduler.after(delayMs, () => {
      if (this.alive) call();
    });
  }
}
