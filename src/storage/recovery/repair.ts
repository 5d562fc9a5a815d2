/**
 * Puts one flipped bit of a small record right. All index structures on disk are fixed-width
 * records that end in their own CRC-32C; at these lengths the checksum tells any two single-bit
 * errors apart, so the flipped bit can be found by trying. Not for message bodies: those are only
 * refused.
 */
import { crc32c } from '#kit';

/** True when the last four bytes are the CRC-32C of those before. */
export function isSealed(record: Buffer): boolean {
  const at = record.length - 4;
  return crc32c(record.subarray(0, at)) === record.readUInt32BE(at);
}

/** Writes the CRC-32C of all before into the last four bytes. */
export function sealRecord(record: Buffer): void {
  const at = record.length - 4;
  record.writeUInt32BE(crc32c(record.subarray(0, at)), at);
}

/** Flips the one wrong bit of `record` back. False, and nothing changed, when more is wrong. */
export function repairBit(record: Buffer): boolean {
  for (let index = 0; index < record.length; index++) {
    for (let bit = 0; bit < 8; bit++) {
      record[index]! ^= 1 << bit;
      if (isSealed(record)) return true;
      record[index]! ^= 1 << bit;
    }
  }
  return false;
}
