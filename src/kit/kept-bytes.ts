/**
 * Bytes that stay. A small Buffer is a piece of a larger pool, or of what was read from a socket or
 * the disk, and keeps the whole of that alive: 64 KiB for a name of 20 bytes.
 */

/** Bytes of their own: a copy, unless they are that already. */
export function keptBytes(bytes: Uint8Array): Buffer {
  if (Buffer.isBuffer(bytes) && bytes.buffer.byteLength === bytes.length) return bytes;
  const kept = Buffer.allocUnsafeSlow(bytes.length);
  kept.set(bytes);
  return kept;
}
