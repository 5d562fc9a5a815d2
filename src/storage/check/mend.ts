/**
 * Puts right in a file what a check knows how to put right. Write-ahead files are mended in place,
 * one record at a time, each of which was set aside before; every other file is made anew beside
 * the old one, which it then replaces.
 */
import { crc32c } from '#kit';
import { generationOf } from '../commit/wal-file.ts';
import type { Files, OpenFile } from '../files/files.ts';
import {
  decodeSeal,
  encodeSeal,
  isRemoteName,
  SEAL_BYTES,
  TAIL_PREFIX,
} from '../objects/tier-codec.ts';
import type { Finding } from './check-report.ts';

type Patch = NonNullable<Finding['patch']>;

/** Ends names that the directory store takes for unfinished: a crash leaves nothing else behind. */
const PART_SUFFIX = '.mend.part';
const COPY_BYTES = 2 ** 20;

export async function mendFile(
  files: Files,
  directory: string,
  name: string,
  patches: readonly Patch[],
): Promise<void> {
  const path = `${directory}/${name}`;
  if (generationOf(name) >= 0) return inPlace(files, path, patches);
  const [only] = patches;
  // A mark that cannot be trusted goes; without it a start only looks closer.
  if (only?.bytes.length === 0) return files.remove(path);
  if (name.startsWith('checkpoint-')) return anew(files, path, (write) => write(only!.bytes));
  if (isRemoteName(name) && (await isInBucket(files, directory, name))) return files.remove(path);
  const file = await files.open(path, false);
  try {
    await anew(files, path, (write) => copy(file, name, patches, write));
  } finally {
    await file.close();
  }
}

async function inPlace(files: Files, path: string, patches: readonly Patch[]): Promise<void> {
  const file = await files.open(path, false);
  try {
    for (const { position, bytes } of patches) await file.writeThrough([bytes], position);
  } finally {
    await file.close();
  }
}

async function anew(
  files: Files,
  path: string,
  fill: (write: (piece: Buffer) => Promise<void>) => Promise<void>,
): Promise<void> {
  const part = path + PART_SUFFIX;
  await files.remove(part);
  const file = await files.open(part, true);
  let position = 0;
  try {
    await fill(async (piece) => {
      await file.write([piece], position);
      position += piece.length;
    });
    await file.sync();
  } finally {
    await file.close();
  }
  await files.rename(part, path);
}

/** The file with its patches; what seals an object for the bucket fits to it again. */
async function copy(
  file: OpenFile,
  name: string,
  patches: readonly Patch[],
  write: (piece: Buffer) => Promise<void>,
): Promise<void> {
  const size = await file.size();
  const end = await patched(file, patches, Math.max(0, size - SEAL_BYTES), SEAL_BYTES);
  const seal = isRemoteName(name) ? decodeSeal(Buffer.from(end)) : null;
  const content = seal === null ? size : size - SEAL_BYTES;
  let contentCrc = 0;
  for (let at = 0; at < content; at += COPY_BYTES) {
    const piece = await patched(file, patches, at, Math.min(COPY_BYTES, content - at));
    contentCrc = crc32c(piece, contentCrc);
    await write(piece);
  }
  if (seal !== null) await write(encodeSeal({ ...seal, contentCrc }));
}

async function patched(
  file: OpenFile,
  patches: readonly Patch[],
  from: number,
  length: number,
): Promise<Buffer> {
  const target = Buffer.alloc(length);
  await file.read(target, from);
  for (const { position, bytes } of patches) {
    const first = Math.max(position, from);
    const end = Math.min(position + bytes.length, from + length);
    if (first < end) bytes.copy(target, first - from, first - position, end - position);
  }
  return target;
}

/** Then the local copy can go: the bucket's is whole, and is read instead. */
async function isInBucket(files: Files, directory: string, name: string): Promise<boolean> {
  const names = await files.list(directory);
  return names.some((other) => other.startsWith(`${TAIL_PREFIX}${name}.`));
}
