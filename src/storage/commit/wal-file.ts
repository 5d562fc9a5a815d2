/** One write-ahead file: preallocated, written front to back, recycled under a new generation. */
import type { Counter } from '#kit';
import type { OpenFile } from '../files/files.ts';

const NAME = /^wal-(\d{10})\.log$/;
const FILL_BYTES = 2 ** 20;
/** Zeros that are made durable at a time: one large flush would hold up the commits of others. */
const FILL_SYNC_BYTES = 2 * 2 ** 20;

export class WalFile {
  generation: number;
  path: string;
  readonly file: OpenFile;
  size: number;
  /** Bytes that are allocated on disk: entries are written below this only. */
  filled: number;
  /** The step of the preallocation that runs now; never rejects. */
  filling: Promise<void> | null = null;
  written = 0;
  firstRow = 0;
  endRow = 0;
  lastSequence = -1;
  /** It ends before it is full, and does not wait for others to be reorganised. */
  early = false;
  /** Reads under way; the file is not recycled before they end. */
  readers = 0;
  /** Set by close: the preallocation stops. */
  abandoned = false;
  retired: (() => void) | null = null;

  constructor(generation: number, path: string, file: OpenFile, size: number, filled: number) {
    this.generation = generation;
    this.path = path;
    this.file = file;
    this.size = size;
    this.filled = filled;
  }

  get room(): number {
    return this.size - this.written;
  }

  async read(from: number, length: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafeSlow(length);
    return bytes.subarray(0, await this.file.read(bytes, from));
  }

  release(): void {
    this.readers--;
    if (this.readers === 0) this.retired?.();
  }
}

export function walName(generation: number): string {
  return `wal-${String(generation).padStart(10, '0')}.log`;
}

/** The generation in a name, or -1 when it is no write-ahead file. */
export function generationOf(name: string): number {
  const match = NAME.exec(name);
  return match === null ? -1 : Number(match[1]);
}

/**
 * Writes zeros up to the file's size, so that later writes change no metadata and find their space
 * reserved. When the disk fills up on the way the file ends where it is filled, and this rejects.
 * @param rest waits between two steps for as long as the disk shall be free for others
 */
export async function preallocate(
  wal: WalFile,
  written: Counter,
  rest: () => Promise<void> | undefined,
): Promise<void> {
  const zeros = Buffer.alloc(Math.min(FILL_BYTES, wal.size));
  while (wal.filled < wal.size && !wal.abandoned) {
    const piece = zeros.subarray(0, Math.min(zeros.length, wal.size - wal.filled));
    const step = fill(wal, piece, written).then(() => (wal.filled < wal.size ? rest() : undefined));
    wal.filling = step.catch(() => {});
    try {
      await step;
    } catch (error) {
      wal.size = wal.filled;
      wal.filling = null;
      throw error;
    }
  }
  wal.filling = null;
  await wal.file.sync();
}

async function fill(wal: WalFile, zeros: Buffer, written: Counter): Promise<void> {
  await wal.file.write([zeros], wal.filled);
  if ((wal.filled + zeros.length) % FILL_SYNC_BYTES === 0) await wal.file.sync();
  wal.filled += zeros.length;
  written.value += zeros.length;
}
