/** Compares what publishers repeat: names and properties, mostly a few dozen bytes. */

/** Above so many bytes the call into native code is worth its price. */
const LOOP_BYTES_MAX = 64;

/** True when `known` stands in `buffer` from `at` to before `end`. */
export function sameBytes(known: Buffer, buffer: Buffer, at: number, end: number): boolean {
  const { length } = known;
  if (length !== end - at) return false;
  if (length > LOOP_BYTES_MAX) return known.compare(buffer, at, end) === 0;
  for (let index = 0; index < length; index++) {
    if (known[index] !== buffer[at + index]) return false;
  }
  return true;
}
