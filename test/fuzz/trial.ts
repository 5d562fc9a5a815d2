/** One run of one input, and whether it stayed within its means. */
import { getHeapStatistics } from 'node:v8';
import type { Target } from './target.ts';

/** What a decoder may allocate for an input; fuzzed inputs are small. */
const ALLOCATION = { base: 2 << 20, perByte: 4096 };
/** Attempts before a slow run counts: the machine may have been busy, a slow decoder always is. */
const SLOW_ATTEMPTS = 3;

export interface Means {
  /** Longest stretch of processor time for one input; `Infinity` leaves it unmeasured. */
  readonly cpuMsMax: number;
}

/** Raised for an input that ran well but took too much. */
export class Excess extends Error {}

/** Errors that came from callbacks after a target had returned. */
const stray: unknown[] = [];
let watching = false;
let trying = false;

function watch(): void {
  if (watching) return;
  watching = true;
  process.on('uncaughtException', keep);
  process.on('unhandledRejection', keep);
}

function keep(error: unknown): void {
  // Between the trials it is a mistake of the fuzzer itself.
  if (!trying) throw error;
  stray.push(error);
}

/** Null when all was well, else what was found. */
export async function tryInput(target: Target, input: Buffer, means: Means): Promise<Error | null> {
  watch();
  trying = true;
  try {
    for (let attempt = 1; ; attempt++) {
      const found = await once(target, Buffer.from(input), means);
      const again = found instanceof Excess && attempt < SLOW_ATTEMPTS;
      if (!again) return found;
    }
  } finally {
    trying = false;
  }
}

async function once(target: Target, input: Buffer, means: Means): Promise<Error | null> {
  const heap = getHeapStatistics();
  const cpu = process.threadCpuUsage();
  try {
    const running = target.run(input);
    if (running !== undefined) await running;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
  const used = process.threadCpuUsage(cpu);
  const after = getHeapStatistics();
  const first = stray.shift();
  stray.length = 0;
  if (first !== undefined) return first instanceof Error ? first : new Error(String(first));
  const cpuMs = (used.user + used.system) / 1000;
  if (cpuMs > (target.cpuMsMax ?? means.cpuMsMax))
    return new Excess(`took ${Math.round(cpuMs)} ms of processor time`);
  const { base, perByte } = target.allocation ?? ALLOCATION;
  const outside = Math.max(0, after.external_memory - heap.external_memory);
  const bytes = after.total_allocated_bytes - heap.total_allocated_bytes + outside;
  const most = base + perByte * input.length;
  if (bytes > most) return new Excess(`allocated ${bytes} bytes for ${input.length}`);
  return null;
}
