/**
 * What the tests of this room share: batches with valid checksums, engines on virtual or real
 * disks.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Clock,
  crc32c,
  type Log,
  Metrics,
  type Random,
  realClock,
  realTimers,
  silentLog,
  type Timer,
  type Timers,
} from '#kit';
import { BATCH } from './commit/row-codec.ts';
import { openEngine } from './engine.ts';
import type { Files } from './files/files.ts';
import { VirtualFiles } from './files/virtual-files.ts';
import { writeInt64 } from './int64.ts';
import type { EngineLimits } from './limits.ts';
import type { BatchFacts, LogEngine, ShardLog, StoredBatch } from './log-engine.ts';

export function factsOf(over: Partial<BatchFacts> = {}): BatchFacts {
  return {
    kind: 'data',
    count: 1,
    maxTimestampMs: 1_000,
    serverPacked: true,
    origin: 1,
    principal: 0,
    producerId: -1,
    producerEpoch: -1,
    baseSequence: -1,
    attributes: 0,
    ...over,
  };
}

/**
 * Bytes in the form of a RecordBatch v2; the records are `text`, which storage does not look at.
 */
export function dataBatch(text: string | Buffer, padding = 0): Buffer {
  const payload = typeof text === 'string' ? Buffer.from(text) : text;
  const bytes = Buffer.alloc(BATCH.headerBytes + payload.length + padding);
  writeInt64(bytes, 0, 77);
  bytes.writeInt32BE(bytes.length - 12, BATCH.length);
  bytes.writeInt32BE(5, BATCH.leaderEpoch);
  bytes[BATCH.magic] = 2;
  payload.copy(bytes, BATCH.headerBytes);
  bytes.writeUInt32BE(crc32c(bytes.subarray(BATCH.covered)), BATCH.crc);
  return bytes;
}

export function textOf(batch: StoredBatch): string {
  const end = batch.bytes.indexOf(0, BATCH.headerBytes);
  return batch.bytes.toString('utf8', BATCH.headerBytes, end < 0 ? undefined : end);
}

/** A small deterministic generator (mulberry32). */
export function seededRandom(seed: number): Random {
  const next = (): number => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    next,
    bytes: (count) => Buffer.from(Array.from({ length: count }, () => Math.floor(next() * 256))),
  };
}

/** Time that passes only when a test says so. */
export class VirtualTime implements Clock, Timers {
  #nowMs = 1_000_000;
  #soon: (() => void)[] = [];
  #pending: { atMs: number; call: () => void }[] = [];

  nowMs(): number {
    return Math.floor(this.#nowMs);
  }

  nowNs(): bigint {
    return BigInt(this.nowMs()) * 1_000_000n;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, call: () => void): Timer {
    const entry = { atMs: this.#nowMs + delayMs, call };
    this.#pending.push(entry);
    return {
      cancel: () => {
        this.#pending = this.#pending.filter((other) => other !== entry);
      },
    };
  }

  soon(call: () => void): void {
    this.#soon.push(call);
  }

  /** Ends turns of the loop until nothing more happens at this time. */
  async settle(): Promise<void> {
    do {
      const calls = this.#soon.splice(0);
      for (const call of calls) call();
      await new Promise((resolve) => setImmediate(resolve));
    } while (this.#soon.length > 0);
  }

  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await this.settle();
    for (;;) {
      const due = this.#pending.filter((entry) => entry.atMs <= untilMs);
      if (due.length === 0) break;
      this.#nowMs = Math.max(this.#nowMs, Math.min(...due.map((entry) => entry.atMs)));
      const now = due.filter((entry) => entry.atMs <= this.#nowMs);
      this.#pending = this.#pending.filter((entry) => !now.includes(entry));
      for (const { call } of now) call();
      await this.settle();
    }
    this.#nowMs = untilMs;
  }

  /** Lets time pass until the promise is settled; at most `limitMs`. */
  async until<T>(promise: Promise<T>, limitMs = 3_000): Promise<T> {
    let done = false;
    const watched = promise.finally(() => {
      done = true;
    });
    watched.catch(() => {});
    await this.settle();
    for (let passed = 0; !done && passed < limitMs; passed++) await this.advance(1);
    if (!done) throw new Error(`not settled within ${limitMs} ms of virtual time`);
    return watched;
  }

  /** Forgets everything that waits: the process is dead. */
  kill(): void {
    this.#soon = [];
    this.#pending = [];
  }
}

/** Small files and short pauses, so that tests reach every state quickly. */
export const SMALL_LIMITS: Partial<EngineLimits> = {
  walFileBytes: 65_536,
  entryBytesMax: 32_768,
  entryBytesSoft: 16_384,
  inFlightBytesMax: 131_072,
  cacheBytes: 16_384,
  reserveBytes: 0,
  asyncIntervalMs: 5,
  idleMarkMs: 5,
  fullRetryMs: 5,
  fullRetryMsMax: 20,
  sweepDelayMs: 5,
  segmentBytesMax: 65_536,
  adoptedStretchBytes: 512,
  backgroundBytesPerSecond: 64 * 2 ** 20,
  reorganiseDelayMs: 0,
  walKeptMs: 20,
};

export interface EngineSetup {
  readonly files: Files;
  readonly directory?: string;
  readonly limits?: Partial<EngineLimits>;
  readonly log?: Log;
  readonly metrics?: Metrics;
  readonly time?: VirtualTime;
}

export function openTestEngine(setup: EngineSetup): Promise<LogEngine> {
  return openEngine({
    directory: setup.directory ?? 'data',
    files: setup.files instanceof VirtualFiles ? setup.files.mount() : setup.files,
    clock: setup.time ?? realClock,
    timers: setup.time ?? realTimers,
    random: seededRandom(1),
    log: setup.log ?? silentLog,
    metrics: setup.metrics ?? new Metrics(),
    limits: { ...SMALL_LIMITS, ...setup.limits },
  });
}

export function temporaryDirectory(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'storage-test-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Appends and waits for the acknowledgement; the base offset. */
export function appended(log: ShardLog, bytes: Buffer, over: Partial<BatchFacts> = {}) {
  return new Promise<number>((resolve, reject) => {
    const { baseOffset } = log.append(bytes, factsOf(over), (error) =>
      error === null ? resolve(baseOffset) : reject(error),
    );
  });
}

/** Every batch from `from` to the high watermark. */
export async function readAll(log: ShardLog, from = log.startOffset, bytesMax = 10_000) {
  const batches: StoredBatch[] = [];
  for (let offset = from; offset < log.highWatermark; ) {
    const some = await log.read(offset, bytesMax);
    if (some.length === 0) throw new Error(`nothing at ${offset} below the high watermark`);
    batches.push(...some);
    const last = some.at(-1)!;
    offset = last.baseOffset + last.count;
  }
  return batches;
}
