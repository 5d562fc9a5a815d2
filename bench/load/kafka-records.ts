/** Values of the records in fetched batches, found where they lie: one call for each. */

const RECORDS_AT = 61;

/** A varint of Kafka and where it ends; reused, because records come by the million. */
const cursor = { at: 0 };

function zigzag(bytes: Buffer): number {
  let value = 0;
  let factor = 1;
  for (;;) {
    const byte = bytes[cursor.at++]!;
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) break;
    factor *= 128;
  }
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

/**
 * Calls back with the place of each record's value in whole batches of `bytes[from, end)`, from
 * offset `position` on, and answers the offset after the last one.
 */
export function walkValues(
  bytes: Buffer,
  from: number,
  end: number,
  position: number,
  onValue: (bytes: Buffer, start: number, end: number) => void,
): number {
  let at = from;
  while (end - at >= RECORDS_AT) {
    const next = at + 12 + bytes.readInt32BE(at + 8);
    if (next > end) break;
    const base = bytes.readInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4);
    const count = bytes.readInt32BE(at + 57);
    cursor.at = at + RECORDS_AT;
    for (let n = 0; n < count; n++) {
      const recordEnd = zigzag(bytes) + cursor.at;
      cursor.at++;
      zigzag(bytes);
      const offset = base + zigzag(bytes);
      const keyBytes = zigzag(bytes);
      if (keyBytes > 0) cursor.at += keyBytes;
      const valueBytes = zigzag(bytes);
      if (offset >= position) onValue(bytes, cursor.at, cursor.at + valueBytes);
      cursor.at = recordEnd;
    }
    position = base + bytes.readInt32BE(at + 23) + 1;
    at = next;
  }
  return position;
}
