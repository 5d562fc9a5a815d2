/**
 * Goes through all files of a data directory that no engine has open, and holds every byte that
 * counts against its checksum. Reads only. What counts is what a start would use: write-ahead files
 * that were not reorganised, every segment, both checkpoints, what the tiered store keeps.
 */
import { crc32c } from '#kit';
import { generationOf, WalFile } from '../commit/wal-file.ts';
import type { Files, OpenFile } from '../files/files.ts';
import {
  decodeGone,
  decodeSeal,
  GONE_PREFIX,
  isRemoteName,
  looksLikeSeal,
  SEAL_BYTES,
  TAIL_PREFIX,
} from '../objects/tier-codec.ts';
import { type Checkpoint, decodeCheckpoint } from '../recovery/checkpoint-codec.ts';
import { CHECKPOINT_NAMES } from '../recovery/checkpoint-files.ts';
import { parseSegmentName } from '../segments/segment-codec.ts';
import { type CheckWatch, type Finding, judge, NO_RANGE } from './check-report.ts';
import { checkSegment } from './check-segment.ts';
import { checkWals, type WalCheck } from './check-wal.ts';

const CLEAN_NAME = 'clean';

export interface FilesCheck extends WalCheck {
  readonly files: number;
  /** The newest whole checkpoint; null when there is none. */
  readonly checkpoint: Checkpoint | null;
}

export async function checkFiles(
  files: Files,
  directory: string,
  watch: CheckWatch,
): Promise<FilesCheck> {
  return new FilesChecker(files, directory, watch).run();
}

class FilesChecker {
  readonly #files: Files;
  readonly #directory: string;
  readonly #watch: CheckWatch;
  #count = 0;

  constructor(files: Files, directory: string, watch: CheckWatch) {
    this.#files = files;
    this.#directory = directory;
    this.#watch = watch;
  }

  async run(): Promise<FilesCheck> {
    const names = await this.#files.list(this.#directory);
    const checkpoint = await this.#checkpoints(names);
    const clean = await this.#clean(names);
    const wals = await this.#wals(names, checkpoint, clean);
    for (const name of names) {
      if (isLiveWal(name, checkpoint)) continue;
      if (parseSegmentName(name) !== null) await this.#segment(name);
      else if (name.startsWith(TAIL_PREFIX)) await this.#tail(name);
      else if (name.startsWith(GONE_PREFIX)) await this.#gone(name);
    }
    return { files: this.#count, checkpoint, ...wals };
  }

  async #checkpoints(names: readonly string[]): Promise<Checkpoint | null> {
    let newest: { checkpoint: Checkpoint; bytes: Buffer } | null = null;
    const bad: { name: string; bytes: number }[] = [];
    for (const name of CHECKPOINT_NAMES) {
      if (!names.includes(name)) continue;
      const bytes = await this.#whole(name);
      const checkpoint = decodeCheckpoint(bytes);
      if (checkpoint === null) bad.push({ name, bytes: bytes.length });
      else if (newest === null || checkpoint.sequence > newest.checkpoint.sequence) {
        newest = { checkpoint, bytes };
      }
    }
    for (const { name, bytes } of bad) {
      this.#tell(name, 0, bytes, 'checkpoint', newest === null ? null : newest.bytes);
    }
    return newest?.checkpoint ?? null;
  }

  /** The sequence that the mark of a stop in order names, or -1. */
  async #clean(names: readonly string[]): Promise<number> {
    if (!names.includes(CLEAN_NAME)) return -1;
    const bytes = await this.#whole(CLEAN_NAME);
    const text = bytes.toString('latin1');
    if (/^\d+\n$/.test(text)) return Number(text);
    this.#tell(CLEAN_NAME, 0, bytes.length, 'mark of a stop in order', Buffer.alloc(0));
    return -1;
  }

  async #wals(
    names: readonly string[],
    checkpoint: Checkpoint | null,
    clean: number,
  ): Promise<WalCheck> {
    const wals: WalFile[] = [];
    const opened: OpenFile[] = [];
    try {
      for (const name of names) {
        const isLive = isLiveWal(name, checkpoint);
        if (isLive || generationOf(name) >= 0) this.#count++;
        if (!isLive) continue;
        const generation = Math.max(generationOf(name), parseSegmentName(name)?.generation ?? 0);
        const path = `${this.#directory}/${name}`;
        const file = await this.#files.open(path, false);
        opened.push(file);
        const size = await file.size();
        wals.push(new WalFile(generation, path, file, size, size));
      }
      wals.sort((a, b) => a.generation - b.generation);
      const committed = Math.max(checkpoint?.known ?? -1, clean);
      const found = await checkWals(wals, checkpoint?.replayFrom ?? -1, committed, this.#watch);
      const last = Math.max(found.lastSequence, checkpoint?.sequence ?? -1);
      if (clean >= 0 && clean !== last) {
        // It says so of an entry that never was, or that is not the last one.
        this.#tell(CLEAN_NAME, 0, `${clean}\n`.length, 'mark of a stop in order', Buffer.alloc(0));
      }
      return found;
    } finally {
      for (const file of opened) await file.close();
    }
  }

  async #segment(name: string): Promise<void> {
    await this.#use(name, async (file, size) => {
      const content = isRemoteName(name) ? await this.#sealed(name, file, size) : size;
      await checkSegment(name, content, (from, length) => read(file, from, length), this.#watch);
    });
  }

  /** Bytes of an object without its seal. */
  async #sealed(name: string, file: OpenFile, size: number): Promise<number> {
    const at = Math.max(0, size - SEAL_BYTES);
    const record = await read(file, at, SEAL_BYTES);
    if (!looksLikeSeal(record)) return size;
    const verdict = judge(record);
    const seal = decodeSeal(Buffer.from(record));
    if (verdict === null && seal !== null && seal.contentBytes === at) return at;
    const mended = Buffer.isBuffer(verdict) && seal?.contentBytes === at ? verdict : null;
    this.#tell(name, at, SEAL_BYTES, 'seal', mended);
    return at;
  }

  async #tail(name: string): Promise<void> {
    const bytes = await this.#whole(name);
    const record = bytes.subarray(0, SEAL_BYTES);
    const seal = decodeSeal(Buffer.from(record));
    if (seal === null) {
      return this.#tell(name, 0, record.length, 'seal: an object of the bucket is not found', null);
    }
    const verdict = judge(record);
    if (Buffer.isBuffer(verdict)) this.#tell(name, 0, SEAL_BYTES, 'seal', verdict);
    const tail = bytes.subarray(SEAL_BYTES);
    if (tail.length === seal.tailBytes && crc32c(tail) === seal.tailCrc) return;
    // The bucket has it as well: it is asked there.
    const what = 'end of an object of the bucket';
    this.#watch.found({
      ...{ file: name, position: SEAL_BYTES, bytes: tail.length, what },
      kind: 'mendable',
      ...NO_RANGE,
      patch: null,
    });
  }

  async #gone(name: string): Promise<void> {
    const bytes = await this.#whole(name);
    if (decodeGone(bytes) !== null) return;
    this.#tell(name, 0, bytes.length, 'list of what the bucket is to delete', null);
  }

  /** @param mended what should stand there; null when that is not known */
  #tell(file: string, position: number, bytes: number, what: string, mended: Buffer | null): void {
    const finding: Finding = {
      ...{ file, position, bytes, what },
      kind: mended === null ? 'damaged' : 'mendable',
      ...NO_RANGE,
      patch: mended === null ? null : { position, bytes: mended },
    };
    this.#watch.found(finding);
  }

  async #whole(name: string): Promise<Buffer> {
    const bytes = await this.#use(name, (file, size) => read(file, 0, size));
    await this.#watch.passed(bytes.length);
    return bytes;
  }

  async #use<T>(name: string, work: (file: OpenFile, size: number) => Promise<T>): Promise<T> {
    this.#count++;
    const file = await this.#files.open(`${this.#directory}/${name}`, false);
    try {
      return await work(file, await file.size());
    } finally {
      await file.close();
    }
  }
}

/**
 * True for a write-ahead file that a start would replay. One that became a segment, and that the
 * checkpoint does not know as such, is one of them.
 */
function isLiveWal(name: string, checkpoint: Checkpoint | null): boolean {
  const generation = generationOf(name);
  if (generation >= 0) return generation > (checkpoint?.generation ?? 0);
  return checkpoint !== null && (parseSegmentName(name)?.generation ?? 0) > checkpoint.generation;
}

async function read(file: OpenFile, from: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(length);
  return bytes.subarray(0, await file.read(bytes, from));
}
