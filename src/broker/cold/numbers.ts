/** Arrays of numbers that grow by a quarter: a million rows are one object each. */
type Words = Uint32Array<ArrayBuffer>;
type Bytes = Uint8Array<ArrayBuffer>;

const FIRST_ROWS = 256;

/** Rows after growing, for at least so many. */
export function grownRows(rows: number, wanted: number): number {
  return Math.max(FIRST_ROWS, wanted, rows + (rows >>> 2));
}

export function grownWords(words: Words, rows: number): Words {
  const grown = new Uint32Array(rows);
  grown.set(words);
  return grown;
}

export function grownBytes(bytes: Bytes, rows: number): Bytes {
  const grown = new Uint8Array(rows);
  grown.set(bytes);
  return grown;
}

export function grownNumbers(
  numbers: Float64Array<ArrayBuffer>,
  rows: number,
): Float64Array<ArrayBuffer> {
  const grown = new Float64Array(rows);
  grown.set(numbers);
  return grown;
}
