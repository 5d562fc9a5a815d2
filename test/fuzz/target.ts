/**
 * What a fuzz target is: a decoder (or a whole room behind one) that is given any bytes, and what
 * must hold for it. A target throws when something does not hold; an error that the decoder may
 * answer with is no finding.
 */
import assert from 'node:assert/strict';
import { ProtocolError } from '#kit';
import type { Dice } from './dice.ts';

export interface Target {
  readonly name: string;
  /** Words of the format: mutations put them in. */
  readonly words: readonly Buffer[];
  /** Inputs to begin with; those of the corpus come to them. */
  seeds(): Iterable<Buffer>;
  /** One input. Throws what was found. */
  run(input: Buffer): void | Promise<void>;
  /** Puts checksums and lengths right again, so that mutations reach what lies behind them. */
  repair?(input: Buffer, dice: Dice): Buffer;
  readonly inputBytesMax?: number;
  /** Memory that one input may allocate: a base, and so much per byte of the input. */
  readonly allocation?: { readonly base: number; readonly perByte: number };
  /** Processor time of one input, where another bound than that of the run holds. */
  readonly cpuMsMax?: number;
  /** Relative cost of a run: a heavy target gets fewer in the short tier. */
  readonly cost?: number;
  /** Ends what the target keeps between inputs. */
  close?(): Promise<void>;
}

/** The value, or null when the bytes were refused as they may be. */
export function refusable<T>(
  read: () => T,
  mayThrow: (error: unknown) => boolean = (error) => error instanceof ProtocolError,
): T | null {
  try {
    return read();
  } catch (error) {
    if (!mayThrow(error)) throw error;
    return null;
  }
}

/** Where a stream is cut, decided by its own bytes: the same input is always cut alike. */
export function chunksOf(bytes: Buffer, salt: number): Buffer[] {
  let state = (bytes.length * 0x9e3779b1 + salt) | 0;
  for (const byte of bytes.subarray(0, 64)) state = (Math.imul(state, 31) + byte) | 0;
  const chunks: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    const roll = (state >>> 16) & 0xff;
    const size = roll < 128 ? 1 : roll < 200 ? 1 + (roll & 7) : 1 + (state >>> 24);
    // A copy from the pool: its byteOffset is not zero, and nobody else writes to it.
    chunks.push(Buffer.from(bytes.subarray(at, at + size)));
    at += size;
  }
  return chunks;
}

/** What came out of a stream must not depend on how it was cut. */
export function sameForAllCuts<T>(bytes: Buffer, read: (chunks: readonly Buffer[]) => T): T {
  const whole = read([Buffer.from(bytes)]);
  for (const salt of [1, 2]) {
    assert.deepStrictEqual(read(chunksOf(bytes, salt)), whole, 'the same for other chunks');
  }
  return whole;
}
