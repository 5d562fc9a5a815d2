/**
 * Damaged bytes are never deleted: they are copied to `damaged/` in the data directory, each piece
 * with a small JSON file that says where it came from. What lies there is known: a later check
 * calls it a gap, not damage.
 */
import { crc32c } from '#kit';
import type { Files } from '../files/files.ts';
import type { DamagedRange } from '../log-engine.ts';
import type { StorageProblem } from './check-report.ts';

const FOLDER = 'damaged';
const COPY_BYTES = 2 ** 20;

interface Aside {
  readonly crc: number;
}

export class SetAside {
  readonly #files: Files;
  readonly #directory: string;
  readonly #folder: string;
  /** Checksums of the pieces that lie there, by name. */
  readonly #known = new Map<string, number>();

  private constructor(files: Files, directory: string) {
    this.#files = files;
    this.#directory = directory;
    this.#folder = `${directory}/${FOLDER}`;
  }

  static async open(files: Files, directory: string): Promise<SetAside> {
    const aside = new SetAside(files, directory);
    for (const name of await files.list(aside.#folder)) {
      if (!name.endsWith('.json')) continue;
      const text = (await readWhole(files, `${aside.#folder}/${name}`)).toString('utf8');
      aside.#known.set(name.slice(0, -'.json'.length), crcIn(text));
    }
    return aside;
  }

  /** True when these very bytes were set aside before. */
  async has(problem: StorageProblem): Promise<boolean> {
    const known = this.#known.get(pieceName(problem));
    return known !== undefined && known === (await this.#crcOf(problem));
  }

  hasRange(range: DamagedRange): boolean {
    return this.#known.has(rangeName(range));
  }

  /** Copies the bytes of a problem; durable when it has resolved. */
  async add(problem: StorageProblem, atMs: number): Promise<string> {
    const name = pieceName(problem);
    await this.#files.ensureDirectory(this.#folder);
    const { file, position, bytes } = problem;
    let crc = 0;
    await this.#put(`${name}.bin`, async (write) => {
      await this.#pieces(file, position, bytes, async (piece) => {
        crc = crc32c(piece, crc);
        await write(piece);
      });
    });
    await this.#describe(name, { ...problem, crc, setAside: new Date(atMs).toISOString() });
    this.#known.set(name, crc);
    return `${FOLDER}/${name}.bin`;
  }

  /** Notes offsets that nothing holds: there are no bytes to keep. */
  async addRange(range: DamagedRange, atMs: number): Promise<void> {
    await this.#files.ensureDirectory(this.#folder);
    await this.#describe(rangeName(range), { ...range, noted: new Date(atMs).toISOString() });
    this.#known.set(rangeName(range), 0);
  }

  #describe(name: string, what: Readonly<Record<string, unknown>>): Promise<void> {
    const text = Buffer.from(`${JSON.stringify(what, null, 2)}\n`);
    return this.#put(`${name}.json`, (write) => write(text));
  }

  async #put(name: string, fill: (write: (piece: Buffer) => Promise<void>) => Promise<void>) {
    const path = `${this.#folder}/${name}`;
    const part = `${path}.part`;
    await this.#files.remove(part);
    const file = await this.#files.open(part, true);
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
    await this.#files.rename(part, path);
  }

  async #crcOf({ file, position, bytes }: StorageProblem): Promise<number> {
    let crc = 0;
    await this.#pieces(file, position, bytes, async (piece) => {
      crc = crc32c(piece, crc);
    });
    return crc;
  }

  async #pieces(
    name: string,
    position: number,
    bytes: number,
    take: (piece: Buffer) => Promise<void>,
  ): Promise<void> {
    const file = await this.#files.open(`${this.#directory}/${name}`, false);
    try {
      for (let at = 0; at < bytes; at += COPY_BYTES) {
        const piece = Buffer.allocUnsafeSlow(Math.min(COPY_BYTES, bytes - at));
        const count = await file.read(piece, position + at);
        await take(piece.subarray(0, count));
        if (count < piece.length) return;
      }
    } finally {
      await file.close();
    }
  }
}

async function readWhole(files: Files, path: string): Promise<Buffer> {
  const file = await files.open(path, false);
  try {
    const bytes = Buffer.allocUnsafeSlow(await file.size());
    return bytes.subarray(0, await file.read(bytes, 0));
  } finally {
    await file.close();
  }
}

/** -1 when the description is not one: then its piece is not taken for known. */
function crcIn(text: string): number {
  try {
    const { crc = 0 } = JSON.parse(text) as Partial<Aside>;
    return crc;
  } catch {
    return -1;
  }
}

function pieceName({ file, position, bytes }: StorageProblem): string {
  return `${file}@${position}+${bytes}`;
}

function rangeName({ logId, from, to }: DamagedRange): string {
  return `log-${logId}@${from}-${to}`;
}
