/**
 * A load at a fixed rate. Each message carries the moment at which it was due; what is measured is
 * the time from then to its arrival, so that a message which had to wait behind a stalled one, or
 * could not even be sent in time, counts with all of its wait (no coordinated omission).
 */

import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import { Metronome } from './metronome.ts';
import { announce, type Outlet, resultOf, sleep } from './pump.ts';
import type { LatencyUs, LoadResult, LoadSpec } from './spec.ts';

/** The moment, in ms of the monotonic clock, as the first bytes of a payload. */
export const STAMP_BYTES = 8;
/** Messages that are due together: a finer step would measure the timer of the generator. */
const STEP_MS = 1;
/** How long the last message is waited for: whoever is far behind is late, and not lost. */
const LAST_WAIT_MS = 10_000;

/** An HDR histogram of times in nanoseconds: three significant figures up to a minute. */
export function timesHistogram(): RecordableHistogram {
  return createHistogram({ lowest: 1, highest: 60e9, figures: 3 });
}

export function latencyOf(histogram: RecordableHistogram): LatencyUs {
  const us = (percentile: number) => histogram.percentile(percentile) / 1e3;
  const curve = [...histogram.percentiles].map(([at, ns]) => [at, ns / 1e3] as const);
  return { p50: us(50), p99: us(99), p999: us(99.9), max: histogram.max / 1e3, curve };
}

/** Sends as many messages as are due, each with the moment at the start of its payload. */
export type SendDue = (count: number, dueMs: number) => void;

/** Copies of one frame whose payload begins at `stampAt`, in one write. */
export function stamped(outlet: Outlet, frame: Buffer, stampAt: number): SendDue {
  const { length } = frame;
  return (count, dueMs) => {
    const bytes = Buffer.allocUnsafe(count * length);
    for (let n = 0; n < count; n++) {
      frame.copy(bytes, n * length);
      bytes.writeDoubleBE(dueMs, n * length + stampAt);
    }
    outlet.send(bytes);
  };
}

export class Pace {
  readonly #spec: LoadSpec;
  readonly #sendDue: SendDue;
  readonly #histogram = timesHistogram();
  /** When the measured part began; what was due before does not count. */
  #fromMs = Number.POSITIVE_INFINITY;
  #lastDueMs = 0;
  #sent = 0;
  #arrived = 0;

  constructor(spec: LoadSpec, sendDue: SendDue) {
    if (spec.payloadBytes < STAMP_BYTES) throw new Error('no room for the moment in the payload');
    this.#spec = spec;
    this.#sendDue = sendDue;
  }

  /** A message has come; its payload begins at `at`. */
  arrived(bytes: Buffer, at: number): void {
    const dueMs = bytes.readDoubleBE(at);
    if (dueMs < this.#lastDueMs) throw new Error('a message overtook another');
    this.#lastDueMs = dueMs;
    if (dueMs < this.#fromMs) return;
    this.#arrived++;
    this.#histogram.record(Math.max(1, Math.round((performance.now() - dueMs) * 1e6)));
  }

  async run(): Promise<LoadResult> {
    const { warmMs, runMs } = this.#spec;
    const metronome = await Metronome.start(STEP_MS);
    const { startMs } = metronome;
    await this.#sendUntil(metronome, startMs, startMs + warmMs);
    announce('begin');
    this.#fromMs = startMs + warmMs;
    this.#sent = 0;
    const cpuBefore = process.cpuUsage();
    await this.#sendUntil(metronome, startMs + warmMs, startMs + warmMs + runMs);
    const cpu = process.cpuUsage(cpuBefore);
    const seconds = (performance.now() - startMs - warmMs) / 1000;
    announce('end');
    await metronome.stop();
    const lastMs = performance.now() + LAST_WAIT_MS;
    while (this.#arrived < this.#sent && performance.now() < lastMs) await sleep(STEP_MS);
    if (this.#arrived === 0) throw new Error(`nothing arrived in ${LAST_WAIT_MS} ms`);
    const lost = Math.max(0, this.#sent - this.#arrived);
    const loadCpu = (cpu.user + cpu.system) / 1e6 / seconds;
    const result = resultOf(this.#spec, this.#arrived, seconds, loadCpu, lost);
    const latency = latencyOf(this.#histogram);
    if (!this.#spec.verify) return { ...result, latency };
    if (lost > 0) throw new Error(`${lost} of ${this.#sent} did not arrive`);
    return { ...result, latency, verified: `all of ${this.#arrived} in order` };
  }

  async #sendUntil(metronome: Metronome, fromMs: number, untilMs: number): Promise<void> {
    const perStep = (this.#spec.perSecond * STEP_MS) / 1000;
    let due = 0;
    for (let dueMs = fromMs; dueMs < untilMs; dueMs += STEP_MS) {
      await metronome.reached(dueMs);
      due += perStep;
      const count = Math.floor(due);
      due -= count;
      if (count === 0) continue;
      this.#sent += count;
      this.#sendDue(count, dueMs);
    }
  }
}
