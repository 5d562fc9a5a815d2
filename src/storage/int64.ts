/** 64-bit integers of the disk formats as numbers: every value of ours is a safe integer. */

const HIGH = 2 ** 32;

export function readInt64(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * HIGH + bytes.readUInt32BE(at + 4);
}

/** Values beyond the safe integers (a client's absurd record time) are clamped, not rejected. */
export function writeInt64(bytes: Buffer, at: number, value: number): void {
  if (value > Number.MAX_SAFE_INTEGER) value = Number.MAX_SAFE_INTEGER;
  else if (value < Number.MIN_SAFE_INTEGER) value = Number.MIN_SAFE_INTEGER;
  bytes.writeInt32BE(Math.floor(value / HIGH), at);
  bytes.writeUInt32BE(value >>> 0, at + 4);
}
