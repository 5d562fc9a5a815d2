/** A growing big-endian byte writer for handshakes and pre-encoded frames; never on a hot path. */

export class ByteWriter {
  readonly #parts: Buffer[] = [];

  u8(value: number): this {
    this.#parts.push(Buffer.from([value & 0xff]));
    return this;
  }

  i16(value: number): this {
    const bytes = Buffer.alloc(2);
    bytes.writeInt16BE(value);
    this.#parts.push(bytes);
    return this;
  }

  i32(value: number): this {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32BE(value);
    this.#parts.push(bytes);
    return this;
  }

  i64(value: number): this {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64BE(BigInt(value));
    this.#parts.push(bytes);
    return this;
  }

  /** Zigzag varint as in Kafka records. */
  zigzag(value: number): this {
    let left = value < 0 ? -2 * value - 1 : 2 * value;
    const bytes: number[] = [];
    while (left > 0x7f) {
      bytes.push((left & 0x7f) | 0x80);
      left = Math.floor(left / 128);
    }
    bytes.push(left);
    this.#parts.push(Buffer.from(bytes));
    return this;
  }

  /** Text behind a 16-bit length (Kafka). */
  text16(value: string): this {
    const body = Buffer.from(value);
    return this.i16(body.length).raw(body);
  }

  /** Text behind an 8-bit length (AMQP short string). */
  text8(value: string): this {
    const body = Buffer.from(value);
    return this.u8(body.length).raw(body);
  }

  raw(bytes: Uint8Array): this {
    this.#parts.push(Buffer.from(bytes));
    return this;
  }

  done(): Buffer {
    return Buffer.concat(this.#parts);
  }
}
