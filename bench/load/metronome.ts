/**
 * The moments of a load at a fixed rate. A timer of the event loop is only good to a millisecond,
 * and a loop that turns until the moment has come keeps one of the machine's cores, which a server
 * with helper threads then waits for. So a thread of its own sleeps to each step and says when.
 */

import { once } from 'node:events';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';

interface Steps {
  /** When the first step is, in ns of `process.hrtime`, which all threads of a process share. */
  readonly firstNs: bigint;
  readonly stepMs: number;
  /** Becomes 1 when the metronome stops. */
  readonly stopped: Int32Array;
}

const MS_NS = 1_000_000;
/** What a new thread has until the first step. */
const LEAD_MS = 20;

export class Metronome {
  readonly #worker: Worker;
  readonly #stopped: Int32Array;
  /** The first step, in ms of `performance.now`. */
  readonly startMs: number;

  private constructor(worker: Worker, stopped: Int32Array, startMs: number) {
    this.#worker = worker;
    this.#stopped = stopped;
    this.startMs = startMs;
  }

  static async start(stepMs: number): Promise<Metronome> {
    const stopped = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
    const worker = new Worker(new URL(import.meta.url));
    await once(worker, 'online');
    // In this order the thread never says so before the moment has come by the other clock.
    const startMs = performance.now() + LEAD_MS;
    const firstNs = process.hrtime.bigint() + BigInt(LEAD_MS * MS_NS);
    worker.postMessage({ firstNs, stepMs, stopped } satisfies Steps);
    return new Metronome(worker, stopped, startMs);
  }

  /** Ends at the step that falls on this moment, or at once when it has passed. */
  async reached(atMs: number): Promise<void> {
    while (performance.now() < atMs) await once(this.#worker, 'message');
  }

  async stop(): Promise<void> {
    Atomics.store(this.#stopped, 0, 1);
    Atomics.notify(this.#stopped, 0);
    await once(this.#worker, 'exit');
  }
}

function beat({ firstNs, stepMs, stopped }: Steps): void {
  for (let step = 0; ; step++) {
    const atNs = firstNs + BigInt(Math.round(step * stepMs * MS_NS));
    while (true) {
      const leftMs = Number(atNs - process.hrtime.bigint()) / MS_NS;
      if (leftMs <= 0) break;
      if (Atomics.wait(stopped, 0, 0, leftMs) === 'not-equal') return;
    }
    if (Atomics.load(stopped, 0) === 1) return;
    parentPort!.postMessage(null);
  }
}

// This file is also what the thread runs.
if (!isMainThread) parentPort!.once('message', beat);
