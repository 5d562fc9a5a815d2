/**
 * Keeps a window of pre-encoded frames in flight and measures what completes. The frames of a ring
 * have one length and lie back to back, so any run of them is one write without a copy.
 */

import type { RecordableHistogram } from 'node:perf_hooks';
import type { LoadResult, LoadSpec, Moment } from './spec.ts';
import type { Wire } from './wire.ts';

/** Where a pump writes. */
export type Outlet = Pick<Wire, 'send'>;

export interface Ring {
  readonly bytes: Buffer;
  readonly frameBytes: number;
  readonly frames: number;
}

/** Builds a ring by asking for each frame once. All frames must have the same length. */
export function ringOf(frames: number, frameAt: (index: number) => Buffer): Ring {
  const first = frameAt(0);
  const bytes = Buffer.allocUnsafeSlow(first.length * frames);
  for (let i = 0; i < frames; i++) {
    const frame = frameAt(i);
    if (frame.length !== first.length) throw new Error('frames of a ring differ in length');
    frame.copy(bytes, i * first.length);
  }
  return { bytes, frameBytes: first.length, frames };
}

/**
 * About 1 MiB in flight: enough to hide a turn of the event loop, below every broker's limit; more
 * where frames are large.
 */
export function flowWindow(frameBytes: number): number {
  const least = Math.max(4, Math.min(2_048, Math.floor((8 << 20) / frameBytes)));
  return Math.max(least, Math.min(32_768, Math.floor((1 << 20) / frameBytes)));
}

/** Frames of a ring whose payloads differ, without filling the memory with large ones. */
export function ringFrames(payloadBytes: number): number {
  return Math.max(8, Math.min(1_024, Math.floor((64 << 20) / payloadBytes)));
}

/** Frames of one write at most: a broker reads about 64 KiB at a time. */
const WRITE_BYTES = 1 << 16;

/** What can be measured: one pump, or several as one. */
export interface Load {
  readonly sent: number;
  readonly done: number;
  readonly lost: number;
  start(): void;
  stop(): void;
  /** Gives up on what is in flight, so that a broker that drops does not end the run. */
  writeOff(): void;
}

/** Connections that take turns, one write each: one window over all of them. */
export class Rounds implements Outlet {
  readonly #outlets: readonly Outlet[];
  #turn = 0;

  constructor(outlets: readonly Outlet[]) {
    this.#outlets = outlets;
  }

  send(bytes: Uint8Array): void {
    this.#outlets[this.#turn]!.send(bytes);
    this.#turn = (this.#turn + 1) % this.#outlets.length;
  }
}

/** Pumps that run side by side, each with its own window. */
export class Flows implements Load {
  readonly #pumps: readonly Load[];

  constructor(pumps: readonly Load[]) {
    this.#pumps = pumps;
  }

  get sent(): number {
    return this.#sum((pump) => pump.sent);
  }

  get done(): number {
    return this.#sum((pump) => pump.done);
  }

  get lost(): number {
    return this.#sum((pump) => pump.lost);
  }

  start(): void {
    for (const pump of this.#pumps) pump.start();
  }

  stop(): void {
    for (const pump of this.#pumps) pump.stop();
  }

  writeOff(): void {
    for (const pump of this.#pumps) pump.writeOff();
  }

  #sum(of: (pump: Load) => number): number {
    return this.#pumps.reduce((all, pump) => all + of(pump), 0);
  }
}

export class Pump implements Load {
  sent = 0;
  done = 0;
  lost = 0;
  #next = 0;
  #running = false;
  #limit = Number.POSITIVE_INFINITY;
  readonly #wire: Outlet;
  readonly #ring: Ring;
  readonly #framesPerWrite: number;
  #window: number;

  constructor(wire: Outlet, ring: Ring, window: number) {
    this.#wire = wire;
    this.#ring = ring;
    this.#window = window;
    this.#framesPerWrite = Math.max(1, Math.floor(WRITE_BYTES / ring.frameBytes));
  }

  /** @param limit frames to send in all; without it the pump runs until `stop` */
  start(limit = Number.POSITIVE_INFINITY): void {
    this.#running = true;
    this.#limit = limit;
    this.fill();
  }

  stop(): void {
    this.#running = false;
  }

  /** While it stands still. */
  set window(frames: number) {
    this.#window = frames;
  }

  /** A scanner calls this once per chunk that it read. */
  completed(messages: number): void {
    this.done += messages;
    this.fill();
  }

  fill(): void {
    const free = this.#window - (this.sent - this.done - this.lost);
    let room = Math.min(free, this.#limit - this.sent);
    while (room > 0 && this.#running) {
      const count = Math.min(room, this.#framesPerWrite, this.#ring.frames - this.#next);
      const from = this.#next * this.#ring.frameBytes;
      this.#wire.send(this.#ring.bytes.subarray(from, from + count * this.#ring.frameBytes));
      this.#next += count;
      if (this.#next === this.#ring.frames) this.#next = 0;
      this.sent += count;
      room -= count;
    }
  }

  writeOff(): void {
    this.lost = this.sent - this.done;
    this.fill();
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Tells the parent process where the measured part begins and ends. */
export function announce(moment: Moment): void {
  process.stdout.write(`${moment}\n`);
}

const STALL_MS = 1_500;

/** In flight while a load of one message at a time warms up. */
const WARM_WINDOW = 100;

/**
 * One message at a time are a thousand in a second, too few to have a server's code compiled: what
 * is wanted is the time of a server that is in use. So all of them warm up with more in flight.
 */
async function warmUp(spec: LoadSpec, pumps: readonly Pump[]): Promise<void> {
  for (const pump of pumps) {
    pump.window = WARM_WINDOW;
    pump.start();
  }
  await sleep(spec.warmMs);
  for (const pump of pumps) pump.stop();
  for (const pump of pumps) await settle(pump);
  for (const pump of pumps) pump.window = spec.window;
}

/** As `measure`, one message at a time; the times of the measured part stay in `times`. */
export async function measureEach(
  spec: LoadSpec,
  pumps: readonly Pump[],
  times: RecordableHistogram,
): Promise<LoadResult> {
  await warmUp(spec, pumps);
  return measure(spec, new Flows(pumps), 1, () => times.reset());
}

/** Warms up, then measures completions between two instants of the monotonic clock. */
export async function measure(
  spec: LoadSpec,
  pump: Load,
  scale = 1,
  onBegin: () => void = () => {},
): Promise<LoadResult> {
  pump.start();
  const watch = watchStall(pump);
  await sleep(spec.warmMs);
  announce('begin');
  onBegin();
  const before = { at: performance.now(), done: pump.done, cpu: process.cpuUsage() };
  await sleep(spec.runMs);
  const seconds = (performance.now() - before.at) / 1000;
  const messages = (pump.done - before.done) * scale;
  const cpu = process.cpuUsage(before.cpu);
  announce('end');
  pump.stop();
  clearInterval(watch);
  return resultOf(spec, messages, seconds, (cpu.user + cpu.system) / 1e6 / seconds, pump.lost);
}

export function resultOf(
  spec: LoadSpec,
  messages: number,
  seconds: number,
  loadCpu: number,
  lost: number,
): LoadResult {
  const perSecond = messages / seconds;
  const megabytesPerSecond = (perSecond * spec.payloadBytes) / 1e6;
  return { messages, seconds, perSecond, megabytesPerSecond, lost, loadCpu };
}

const SETTLE_MS = 2_000;

/** Waits until everything that was sent is answered, or nothing more comes for a while. */
export async function settle(pump: Load): Promise<void> {
  let seen = { done: -1, at: 0 };
  while (pump.sent - pump.done - pump.lost > 0) {
    if (pump.done !== seen.done) seen = { done: pump.done, at: performance.now() };
    else if (performance.now() - seen.at > SETTLE_MS) return;
    await sleep(20);
  }
}

const STORED_STALL_MS = 30_000;

/** Waits until `frames` are answered, for as long as some still come. */
export async function stored(pump: Load, frames: number): Promise<void> {
  let seen = { done: -1, at: 0 };
  while (pump.done < frames) {
    if (pump.done !== seen.done) seen = { done: pump.done, at: performance.now() };
    else if (performance.now() - seen.at > STORED_STALL_MS) {
      throw new Error(`only ${pump.done} of ${frames} were stored`);
    }
    await sleep(20);
  }
}

function watchStall(pump: Load): NodeJS.Timeout {
  let seen = -1;
  return setInterval(() => {
    if (pump.done === seen) pump.writeOff();
    seen = pump.done;
  }, STALL_MS);
}
