/** CRC-32C (Castagnoli), the checksum of record batches and log entries. Native, about 2 GB/s. */
import { crc32c as native } from '@node-rs/crc32';

/** Checksum of `bytes` as an unsigned 32-bit number; `seed` continues an earlier checksum. */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  return native(bytes as Buffer, seed) >>> 0;
}
