/** Random identifiers from a source that is passed in, so that a simulation repeats them. */
import type { Random } from './time.ts';

/** A version 4 UUID in its usual text form (RFC 9562, 5.4). */
export function uuid(random: Random): string {
  const bytes = random.bytes(16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
