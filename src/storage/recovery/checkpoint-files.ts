/**
 * Where checkpoints lie: two copies of the newest, written one after the other, so that a crash
 * while writing and a damaged file both leave a whole one. And the mark of a clean stop.
 */

import type { Files } from '../files/files.ts';
import { type Checkpoint, checkpointSequence, decodeCheckpoint } from './checkpoint-codec.ts';

export const CHECKPOINT_NAMES = ['checkpoint-a', 'checkpoint-b'] as const;
const NEW_NAME = 'checkpoint.new';
const CLEAN_NAME = 'clean';
/** Written before others get the disk. */
const WRITE_BYTES = 2 ** 17;

export interface LoadedCheckpoint {
  readonly checkpoint: Checkpoint | null;
  /** Copies that are there but damaged. */
  readonly damaged: readonly string[];
}

/** Called after each piece that was written; waits as long as the disk shall rest. */
type Rest = (bytes: number) => Promise<void>;

/**
 * Makes both copies durable. When it has resolved, what the checkpoint replaces may go.
 * @param chunks the encoded checkpoint, in order
 */
export async function saveCheckpoint(
  files: Files,
  directory: string,
  chunks: readonly Buffer[],
  rest: Rest,
): Promise<void> {
  for (const name of CHECKPOINT_NAMES) await replaceFile(files, directory, name, chunks, rest);
}

export async function loadCheckpoint(files: Files, directory: string): Promise<LoadedCheckpoint> {
  let [newest, sequence]: [Buffer | null, number] = [null, -1];
  const damaged: string[] = [];
  const names = await files.list(directory);
  for (const name of CHECKPOINT_NAMES) {
    if (!names.includes(name)) continue;
    const bytes = await readWhole(files, `${directory}/${name}`);
    const found = checkpointSequence(bytes);
    if (found < 0) damaged.push(name);
    else if (found > sequence) [newest, sequence] = [bytes, found];
  }
  // Of two that are the same, mostly, one is read.
  return { checkpoint: newest === null ? null : decodeCheckpoint(newest), damaged };
}

/** Says that the engine stopped in order after the entry `sequence`. */
export async function markClean(files: Files, directory: string, sequence: number) {
  const text = Buffer.from(`${sequence}\n`);
  await replaceFile(files, directory, CLEAN_NAME, [text], () => Promise.resolve());
}

/** Takes the mark away, durably; the sequence it named, or -1. */
export async function takeCleanMark(files: Files, directory: string): Promise<number> {
  const names = await files.list(directory);
  if (!names.includes(CLEAN_NAME)) return -1;
  const text = (await readWhole(files, `${directory}/${CLEAN_NAME}`)).toString('latin1');
  await files.remove(`${directory}/${CLEAN_NAME}`);
  return /^\d+\n$/.test(text) ? Number(text) : -1;
}

async function replaceFile(
  files: Files,
  directory: string,
  name: string,
  chunks: readonly Buffer[],
  rest: Rest,
): Promise<void> {
  const path = `${directory}/${NEW_NAME}`;
  await files.remove(path);
  const file = await files.open(path, true);
  try {
    let position = 0;
    for (let first = 0; first < chunks.length; ) {
      let [end, bytes] = [first, 0];
      while (end < chunks.length && bytes < WRITE_BYTES) bytes += chunks[end++]!.length;
      await file.write(chunks.slice(first, end), position);
      position += bytes;
      if (end < chunks.length) await rest(bytes);
      first = end;
    }
    await file.sync();
  } finally {
    await file.close();
  }
  await files.rename(path, `${directory}/${name}`);
}

async function readWhole(files: Files, path: string): Promise<Buffer> {
  const file = await files.open(path, false);
  try {
    const bytes = Buffer.allocUnsafeSlow(await file.size());
    const count = await file.read(bytes, 0);
    return bytes.subarray(0, count);
  } finally {
    await file.close();
  }
}
