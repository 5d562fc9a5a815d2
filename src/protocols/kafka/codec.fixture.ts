/** Messages made up from rows by a seeded generator, for tests of the codec. */
import type { Row, Rows } from './rows.ts';

/** A small generator (mulberry32): the same seed gives the same messages. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

type Value = unknown;

export function sample(rows: Rows, version: number, random: () => number): Record<string, Value> {
  const message: Record<string, Value> = {};
  for (const row of rows) {
    if (version < (row.since ?? 0) || version > (row.until ?? 0x7fff)) continue;
    message[row.name] = sampleField(row, version, random);
  }
  return message;
}

function sampleField(row: Row, version: number, random: () => number): Value {
  const nullable = row.nullable !== undefined && version >= row.nullable;
  if (nullable && random() < 0.3) return null;
  if (row.type === 'struct') return sample(row.of, version, random);
  if (row.type !== 'array') return sampleScalar(row.type, random);
  const { of } = row;
  return Array.from({ length: Math.floor(random() * 3) }, () =>
    typeof of === 'string' ? sampleScalar(of, random) : sample(of, version, random),
  );
}

const INTEGERS: Readonly<Record<string, readonly number[]>> = {
  int8: [-128, -1, 0, 1, 127],
  int16: [-32768, -1, 0, 1, 32767],
  int32: [-2147483648, -1, 0, 1, 2147483647],
  int64: [Number.MIN_SAFE_INTEGER, -4294967297, -1, 0, 4294967296, Number.MAX_SAFE_INTEGER],
  uint16: [0, 1, 65535],
  uint32: [0, 1, 4294967295],
  float64: [0, -1.5, 1e300],
};
const TEXTS = ['', 'a', 'topic-1', 'größe', '\u{1f600}', 'x'.repeat(200)];

function sampleScalar(type: string, random: () => number): Value {
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)]!;
  const numbers = INTEGERS[type];
  if (numbers !== undefined) return pick(numbers);
  if (type === 'bool') return random() < 0.5;
  if (type === 'string') return pick(TEXTS);
  if (type === 'uuid') {
    const hex = Array.from({ length: 32 }, () => Math.floor(random() * 16).toString(16)).join('');
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  }
  return Buffer.from(Array.from({ length: pick([0, 1, 5, 700]) }, (_, index) => index & 0xff));
}
