/**
 * What the tiered store keeps on the local disk beside the bytes of its objects, each a record that
 * ends in its own CRC-32C, so that one flipped bit is put right:
 *
 * ```
 * object `tier-…`           content | seal 64
 * object `remote-tail-<name>.<id>`   seal 64 | the last bytes of the content
 * object `remote-gone-<n>`      seal 64 | lines `name id`: to be deleted in the bucket
 *
 * seal  0 magic u32   4 version u32   8 id, 16 bytes   24 content bytes i64   32 tail bytes i64
 *      40 CRC-32C of the content u32   44 of the tail (of the lines) u32   48 …   56 magic u32
 *      60 CRC-32C u32
 * ```
 * The id makes the object's name in the bucket unique for ever: a delete that comes late, or an
 * upload that a dead process had begun, can never meet an object of the same name that came after.
 */
import { crc32c } from '#kit';
import { readInt64, writeInt64 } from '../int64.ts';
import { isSealed, repairBit, sealRecord } from '../recovery/repair.ts';

export const SEAL_BYTES = 64;
const MAGIC = 0x524d514f; // RMQO
const VERSION = 1;
const ID_BYTES = 16;

/** Segments of logs that are set to `remote` are named so. */
export const REMOTE_PREFIX = 'tier-';

export function isRemoteName(name: string): boolean {
  return name.startsWith(REMOTE_PREFIX);
}

/** Names of the store's own objects begin with this; nobody else sees them. */
export const OWN_PREFIX = 'remote-';
export const TAIL_PREFIX = 'remote-tail-';
export const GONE_PREFIX = 'remote-gone-';

export interface Seal {
  /** 32 hexadecimal digits. */
  readonly id: string;
  readonly contentBytes: number;
  readonly tailBytes: number;
  readonly contentCrc: number;
  readonly tailCrc: number;
}

/** A name in the bucket. */
export interface Doomed {
  readonly name: string;
  readonly id: string;
}

export function encodeSeal(seal: Seal): Buffer {
  const bytes = Buffer.alloc(SEAL_BYTES);
  bytes.writeUInt32BE(MAGIC, 0);
  bytes.writeUInt32BE(VERSION, 4);
  bytes.write(seal.id, 8, ID_BYTES, 'hex');
  writeInt64(bytes, 24, seal.contentBytes);
  writeInt64(bytes, 32, seal.tailBytes);
  bytes.writeUInt32BE(seal.contentCrc, 40);
  bytes.writeUInt32BE(seal.tailCrc, 44);
  bytes.writeUInt32BE(MAGIC, 56);
  sealRecord(bytes);
  return bytes;
}

/**
 * Null when the bytes are no valid seal and cannot be put right; `repaired` when one bit was.
 * Changes `bytes` when it repairs. Never throws on any bytes.
 */
export function decodeSeal(bytes: Buffer): (Seal & { readonly repaired: boolean }) | null {
  if (bytes.length !== SEAL_BYTES) return null;
  const whole = isSealed(bytes);
  if (!whole && !repairBit(bytes)) return null;
  if (bytes.readUInt32BE(0) !== MAGIC || bytes.readUInt32BE(4) !== VERSION) return null;
  return {
    id: bytes.toString('hex', 8, 8 + ID_BYTES),
    contentBytes: readInt64(bytes, 24),
    tailBytes: readInt64(bytes, 32),
    contentCrc: bytes.readUInt32BE(40),
    tailCrc: bytes.readUInt32BE(44),
    repaired: !whole,
  };
}

/** True when these bytes were a seal once, whatever happened to them. */
export function looksLikeSeal(bytes: Buffer): boolean {
  if (bytes.length !== SEAL_BYTES) return false;
  return bytes.readUInt32BE(0) === MAGIC || bytes.readUInt32BE(56) === MAGIC;
}

export function encodeGone(doomed: readonly Doomed[]): Buffer[] {
  const lines = Buffer.from(doomed.map(({ name, id }) => `${name} ${id}\n`).join(''));
  const seal = {
    id: '0'.repeat(2 * ID_BYTES),
    contentBytes: lines.length,
    tailBytes: lines.length,
    contentCrc: crc32c(lines),
    tailCrc: crc32c(lines),
  };
  return [encodeSeal(seal), lines];
}

/** Null when the list is damaged. */
export function decodeGone(bytes: Buffer): Doomed[] | null {
  const seal = decodeSeal(Buffer.from(bytes.subarray(0, SEAL_BYTES)));
  const lines = bytes.subarray(SEAL_BYTES);
  if (seal === null || lines.length !== seal.contentBytes) return null;
  if (crc32c(lines) !== seal.contentCrc) return null;
  const doomed: Doomed[] = [];
  for (const line of lines.toString('utf8').split('\n')) {
    const space = line.lastIndexOf(' ');
    if (space > 0) doomed.push({ name: line.slice(0, space), id: line.slice(space + 1) });
  }
  return doomed;
}

/** Of the local object that says that an object is in the bucket, and holds its tail. */
export function tailName(remote: string): string {
  return TAIL_PREFIX + remote;
}

/** The object's own name, of the name of its tail. */
export function nameOfTail(tail: string): string {
  return tail.slice(TAIL_PREFIX.length, -(2 * ID_BYTES + 1));
}

/** How an object is called in the bucket. */
export function remoteName({ name, id }: Doomed): string {
  return `${name}.${id}`;
}
