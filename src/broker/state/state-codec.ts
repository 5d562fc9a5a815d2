/** Changes of state as they lie in a state log: kind, key, value, each with its length. */
import { type Position, readUnsigned, unsignedSize, writeUnsigned } from '#kit';

export interface StateChange {
  readonly kind: string;
  readonly key: string;
  /** Null: the key is gone. */
  readonly value: Buffer | null;
}

/** A value's length is written as one more; 0 stands for a removed key. */
export function encodeChanges(changes: readonly StateChange[]): Buffer {
  let size = 0;
  for (const { kind, key, value } of changes) {
    const kindSize = Buffer.byteLength(kind);
    const keySize = Buffer.byteLength(key);
    const valueSize = value === null ? 0 : value.length;
    size += unsignedSize(kindSize) + kindSize + unsignedSize(keySize) + keySize;
    size += unsignedSize(value === null ? 0 : valueSize + 1) + valueSize;
  }
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  for (const { kind, key, value } of changes) {
    at = writeUnsigned(bytes, at, Buffer.byteLength(kind));
    at += bytes.write(kind, at);
    at = writeUnsigned(bytes, at, Buffer.byteLength(key));
    at += bytes.write(key, at);
    at = writeUnsigned(bytes, at, value === null ? 0 : value.length + 1);
    if (value !== null) {
      bytes.set(value, at);
      at += value.length;
    }
  }
  return bytes;
}

export function decodeChanges(bytes: Buffer): StateChange[] {
  const changes: StateChange[] = [];
  const position: Position = { at: 0 };
  const take = (size: number): Buffer => {
    // Copied: a small value must not keep its whole batch alive.
    const part = Buffer.from(bytes.subarray(position.at, position.at + size));
    position.at += size;
    return part;
  };
  while (position.at < bytes.length) {
    const kind = take(readUnsigned(bytes, position, 'kind')).toString();
    const key = take(readUnsigned(bytes, position, 'key')).toString();
    const size = readUnsigned(bytes, position, 'value');
    changes.push({ kind, key, value: size === 0 ? null : take(size - 1) });
  }
  return changes;
}
