/**
 * `Files` whose background work can be held and let go: what reorganisation, checkpoints and the
 * removal of files ask of the disk. Commits, and the zeros for them, always pass. For benchmarks
 * that compare the engine with and without its background in turns of a second. A step that is held
 * is one that is under way for the engine: it takes undisturbed commits for some beside the
 * background, and so gives way later than it would. That makes the comparison harder, not easier.
 */
import { type Files, type OpenFile, realFiles } from '#storage';

/** What commits write to; all other files belong to the background. */
const WAL = /\/wal-[^/]*$/;

export class Gate {
  #isHeld = false;
  #waiting: (() => void)[] = [];

  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
    for (const go of this.#waiting.splice(0)) go();
  }

  /** Resolves at once when nothing is held, else when it is let go. */
  async pass(): Promise<void> {
    while (this.#isHeld) await new Promise<void>((go) => this.#waiting.push(go));
  }
}

export function gatedFiles(gate: Gate): Files {
  return {
    ...realFiles,
    async open(path, create) {
      return gatedFile(await realFiles.open(path, create), gate, WAL.test(path));
    },
    async openReader(path) {
      const file = await (realFiles.openReader?.(path) ?? realFiles.open(path, false));
      return gatedFile(file, gate, false);
    },
    async rename(from, to) {
      if (!WAL.test(from) || !WAL.test(to)) await gate.pass();
      return realFiles.rename(from, to);
    },
    async remove(path) {
      await gate.pass();
      return realFiles.remove(path);
    },
  };
}

/** Nobody but the background reads in such a benchmark, and nobody else makes files shorter. */
function gatedFile(file: OpenFile, gate: Gate, isWal: boolean): OpenFile {
  return {
    write: async (chunks, position) => {
      if (!isWal) await gate.pass();
      return file.write(chunks, position);
    },
    sync: async () => {
      if (!isWal) await gate.pass();
      return file.sync();
    },
    writeThrough: (chunks, position) => file.writeThrough(chunks, position),
    read: async (target, position) => {
      await gate.pass();
      return file.read(target, position);
    },
    readSync: (target, position) => file.readSync(target, position),
    size: () => file.size(),
    truncate: async (size) => {
      await gate.pass();
      return file.truncate(size);
    },
    close: () => file.close(),
  };
}
