/**
 * Short texts in a few large buffers: a million of them are a few objects for the collector. Places
 * of a size are used again for texts of about that size.
 */
const CHUNK_BYTES = 1 << 20;
/** Places begin at multiples of this; a reference counts them. */
const UNIT = 8;
const LENGTH_BYTES = 3;
const TEXT_BYTES_MAX = 1 << 18;

export class ByteArena {
  readonly #chunks: Buffer[] = [];
  /** Units of all chunks that were given out once. */
  #used = 0;
  /** The first free place of a size in units; 0: none. The next one is written in it. */
  readonly #free = new Map<number, number>();

  get bytes(): number {
    return this.#chunks.length * CHUNK_BYTES;
  }

  /** @returns a reference, greater than 0 */
  add(text: string): number {
    const length = Buffer.byteLength(text);
    if (length > TEXT_BYTES_MAX) throw new RangeError(`a text of ${length} bytes`);
    const reference = this.#place(Math.ceil((length + LENGTH_BYTES) / UNIT));
    const chunk = this.#chunkOf(reference);
    const at = atOf(reference);
    chunk.writeUIntBE(length, at, LENGTH_BYTES);
    chunk.write(text, at + LENGTH_BYTES, 'utf8');
    return reference;
  }

  get(reference: number): string {
    const chunk = this.#chunkOf(reference);
    const start = atOf(reference) + LENGTH_BYTES;
    return chunk.toString(
      'utf8',
      start,
      start + chunk.readUIntBE(start - LENGTH_BYTES, LENGTH_BYTES),
    );
  }

  remove(reference: number): void {
    const chunk = this.#chunkOf(reference);
    const at = atOf(reference);
    const units = Math.ceil((chunk.readUIntBE(at, LENGTH_BYTES) + LENGTH_BYTES) / UNIT);
    chunk.writeUInt32BE(this.#free.get(units) ?? 0, at);
    this.#free.set(units, reference);
  }

  #place(units: number): number {
    const free = this.#free.get(units) ?? 0;
    if (free !== 0) {
      this.#free.set(units, this.#chunkOf(free).readUInt32BE(atOf(free)));
      return free;
    }
    const perChunk = CHUNK_BYTES / UNIT;
    // A text does not cross the border of two chunks, and no reference is 0.
    const left = perChunk - (this.#used % perChunk);
    if (this.#used === 0) this.#used = 1;
    else if (left < units) this.#used += left;
    const place = this.#used;
    this.#used += units;
    while (this.#chunks.length * perChunk < this.#used) {
      this.#chunks.push(Buffer.allocUnsafeSlow(CHUNK_BYTES));
    }
    return place;
  }

  #chunkOf(reference: number): Buffer {
    return this.#chunks[Math.floor((reference * UNIT) / CHUNK_BYTES)]!;
  }
}

function atOf(reference: number): number {
  return (reference * UNIT) % CHUNK_BYTES;
}
