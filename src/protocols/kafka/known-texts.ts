/**
 * Texts that came before: topic names and the like stand in every request. A known one is compared
 * byte by byte and given out as the same string, whose hash is known too; others are decoded. One
 * table for the room, as good as its last use of each place.
 */

/** Longer texts are decoded. */
export const KNOWN_BYTES_MAX = 64;
const PLACES = 1024;

interface Source {
  readonly bytes: Buffer;
  decode(at: number, size: number, field: string): string;
}

export class KnownTexts {
  readonly #texts: (string | undefined)[] = new Array<string | undefined>(PLACES).fill(undefined);
  readonly #bytes = Buffer.alloc(PLACES * KNOWN_BYTES_MAX);
  readonly #sizes = new Uint8Array(PLACES);

  /** The text at these bytes; throws what `decode` throws. */
  read(source: Source, at: number, size: number, field: string): string {
    const { bytes } = source;
    let hash = size;
    for (let index = 0; index < size; index++)
      hash = (Math.imul(hash, 31) + bytes[at + index]!) | 0;
    const place = (hash ^ (hash >>> 15)) & (PLACES - 1);
    const from = place * KNOWN_BYTES_MAX;
    if (this.#sizes[place] === size && this.#equal(bytes, at, from, size)) {
      return this.#texts[place]!;
    }
    const text = source.decode(at, size, field);
    this.#texts[place] = text;
    this.#sizes[place] = size;
    bytes.copy(this.#bytes, from, at, at + size);
    return text;
  }

  #equal(bytes: Buffer, at: number, from: number, size: number): boolean {
    const known = this.#bytes;
    for (let index = 0; index < size; index++) {
      if (known[from + index] !== bytes[at + index]) return false;
    }
    return true;
  }
}
