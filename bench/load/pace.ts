/**
 * A load at a fixed rate. Each message carries the moment at which it was due; what is measured is
 * the time from then to its arrival, so that a message which had to wait behind a stalled one, or
 * could not even be sent in time, counts with all of its wait (no coordinated omission).
 */

import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import type { Outlet } from './pump.ts';
import { announce, resultOf, sleep } from './pump.ts';
import type { LatencyUs, LoadResult, LoadSpec } from './spec.ts';

/** The moment, in ms of the monotonic clock, as the first bytes of a payload. */
export const STAMP_BYTES = 8;
/** Messages that are due together: a finer step would measure the timer of the generator. */
const STEP_MS = 1;
const LAST_WAIT_MS = 1_000;

export function latencyOf(histogram: RecordableHistogram): LatencyUs {
  const us = (percentile: number) => histogram.percentile(percentile) / 1e3;
  return { p50: us(50), p99: us(99), p999: us(99.9), max: histogram.max / 1e3 };
}

export class Pace {
  readonly #spec: LoadSpec;
  readonly #outlet: Outlet;
  readonly #frame: Buffer;
  readonly #stampAt: number;
  readonly #histogram = createHistogram({ lowest: 1, highest: 60e9, figures: 3 });
  #measuring = false;
  #sent = 0;
  #arrived = 0;

  /** @param stampAt where in the frame the payload begins */
  constructor(spec: LoadSpec, outlet: Outlet, frame: Buffer, stampAt: number) {
    if (spec.payloadBytes < STAMP_BYTES) throw new Error('no room for the moment in the payload');
    this.#spec = spec;
    this.#outlet = outlet;
    this.#frame = frame;
    this.#stampAt = stampAt;
  }

  /** A message has come; its payload begins at `at`. */
  arrived(bytes: Buffer, at: number): void {
    const dueMs = bytes.readDoubleBE(at);
    if (!this.#measuring) return;
    this.#arrived++;
    this.#histogram.record(Math.max(1, Math.round((performance.now() - dueMs) * 1e6)));
  }

  async run(): Promise<LoadResult> {
    const { warmMs, runMs } = this.#spec;
    const startMs = performance.now();
    await this.#sendUntil(startMs, startMs + warmMs);
    announce('begin');
    this.#measuring = true;
    this.#sent = 0;
    const cpuBefore = process.cpuUsage();
    await this.#sendUntil(startMs + warmMs, startMs + warmMs + runMs);
    const cpu = process.cpuUsage(cpuBefore);
    const seconds = (performance.now() - startMs - warmMs) / 1000;
    announce('end');
    const lastMs = performance.now() + LAST_WAIT_MS;
    while (this.#arrived < this.#sent && performance.now() < lastMs) await sleep(STEP_MS);
    const lost = Math.max(0, this.#sent - this.#arrived);
    const loadCpu = (cpu.user + cpu.system) / 1e6 / seconds;
    const result = resultOf(this.#spec, this.#arrived, seconds, loadCpu, lost);
    return { ...result, latency: latencyOf(this.#histogram) };
  }

  async #sendUntil(fromMs: number, untilMs: number): Promise<void> {
    const perStep = (this.#spec.perSecond * STEP_MS) / 1000;
    let due = 0;
    for (let dueMs = fromMs; dueMs < untilMs; dueMs += STEP_MS) {
      await reached(dueMs);
      due += perStep;
      const count = Math.floor(due);
      due -= count;
      if (count > 0) this.#send(count, dueMs);
    }
  }

  #send(count: number, dueMs: number): void {
    const { length } = this.#frame;
    const bytes = Buffer.allocUnsafe(count * length);
    for (let n = 0; n < count; n++) {
      this.#frame.copy(bytes, n * length);
      bytes.writeDoubleBE(dueMs, n * length + this.#stampAt);
    }
    this.#sent += count;
    this.#outlet.send(bytes);
  }
}

/** Turns of the event loop until the moment has come: timers are only good to a millisecond. */
async function reached(atMs: number): Promise<void> {
  while (performance.now() < atMs) await new Promise((resolve) => setImmediate(resolve));
}
