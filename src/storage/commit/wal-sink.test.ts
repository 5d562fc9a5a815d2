import { Metrics, realTimers, silentLog } from '#kit';
import type { Files, OpenFile } from '../files/files.ts';
import { realFiles } from '../files/real-files.ts';
import { VirtualFiles } from '../files/virtual-files.ts';
import { DEFAULT_LIMITS } from '../limits.ts';
import { factsOf, SMALL_LIMITS, seededRandom, temporaryDirectory } from '../storage.fixture.ts';
import { Entry } from './entry.ts';
import { bodiesAt } from './entry-codec.ts';
import { makeInstruments } from './instruments.ts';
import { RecentRows } from './recent-rows.ts';
import { bodyAtOf, bodyBytesOf, ROW_BYTES, writeRow } from './row-codec.ts';
import { Wal } from './wal.ts';
import { generationOf, WalFile } from './wal-file.ts';
import { entryAt, faultOf, makeWindow, ScannedFile } from './wal-scan.ts';
import { type SinkUnderTest, walSinkContract } from './wal-sink.contract.ts';

/** A disk whose writes can be made to fail, and whose space can be made to run out. */
interface Switches {
  failing: boolean;
  full: boolean;
}

function withSwitches(files: Files, switches: Switches): Files {
  return {
    ...{ list: files.list.bind(files), ensureDirectory: files.ensureDirectory.bind(files) },
    ...{ rename: files.rename.bind(files), remove: files.remove.bind(files) },
    lock: files.lock.bind(files),
    open: async (path, create) => switched(await files.open(path, create), switches),
    space: async (directory) => {
      const { free, total } = await files.space(directory);
      return { free: switches.full ? 0 : free, total };
    },
  };
}

function switched(file: OpenFile, switches: Switches): OpenFile {
  const { writeThrough } = file;
  file.writeThrough = async (chunks, position) => {
    if (switches.failing) throw Object.assign(new Error('EIO'), { code: 'EIO' });
    return writeThrough.call(file, chunks, position);
  };
  return file;
}

/** Entries over the state log 1, as the committer makes them. */
class Sealer {
  readonly rows = new RecentRows(0);
  #sequence = 0;
  #offset = 0;

  seal(bodies: readonly string[]): Entry {
    const entry = new Entry(this.rows.next);
    for (const text of bodies) {
      const body = Buffer.from(text);
      const row = this.rows.add();
      const facts = factsOf({ kind: 'state' });
      const [to, at] = [this.rows.rowsOf(row), this.rows.at(row)];
      writeRow(to, at, 1, this.#offset++, entry.bodyBytes, body, facts, 0);
      entry.addControl();
      entry.bodies.push(body);
      entry.bodyBytes += body.length;
    }
    entry.sequence = ++this.#sequence;
    return entry;
  }
}

async function localSink(
  files: Files,
  directory: string,
  crash: () => void,
  remove: () => void,
): Promise<SinkUnderTest> {
  const switches: Switches = { failing: false, full: false };
  const sealer = new Sealer();
  let listeners: ((full: boolean) => void)[] = [];
  await files.ensureDirectory(directory);
  const wal = new Wal({
    files: withSwitches(files, switches),
    directory,
    limits: { ...DEFAULT_LIMITS, ...SMALL_LIMITS, fullRetryMs: 1, fullRetryMsMax: 1 },
    timers: realTimers,
    rows: sealer.rows,
    log: silentLog,
    instruments: makeInstruments(new Metrics()),
    nowMs: () => 0,
    onFinished: () => {},
    onSpace: (full) => {
      for (const listener of listeners.splice(0)) listener(full);
    },
    onFailed: () => {},
  });
  await wal.start(1, [], []);
  const close = async (): Promise<void> => {
    await wal.close();
    crash();
  };
  let closing: Promise<void> | null = null;
  return {
    sink: wal,
    seal: (...bodies) => sealer.seal(bodies),
    failWrites: () => {
      switches.failing = true;
    },
    setFull: (full) => {
      switches.full = full;
    },
    space: () =>
      new Promise((resolve) => {
        listeners = [...listeners, resolve];
      }),
    recovered: async () => {
      closing ??= close();
      await closing;
      return scan(files, directory);
    },
    end: async () => {
      closing ??= close();
      await closing;
      remove();
    },
  };
}

/** Reads the entries as a start would: file after file, each up to the first that is not whole. */
async function scan(files: Files, directory: string): Promise<string[][]> {
  const found: string[][] = [];
  for (const name of await files.list(directory)) {
    const path = `${directory}/${name}`;
    const file = await files.open(path, false);
    const size = await file.size();
    const wal = new WalFile(generationOf(name), path, file, size, size);
    const scanned = new ScannedFile(wal, makeWindow());
    for (let position = 0; ; ) {
      const entry = await entryAt(scanned, position);
      if (entry === null || entry.header.sequence !== found.length + 1) break;
      if ((await faultOf(scanned, entry)) !== null) break;
      const view = await scanned.view(position, entry.header.entryBytes);
      const bodies = view.subarray(bodiesAt(entry.header.rowCount));
      found.push(textsOf(entry.rows, bodies));
      position += entry.header.entryBytes;
    }
    await file.close();
  }
  return found;
}

function textsOf(rows: Buffer, bodies: Buffer): string[] {
  const texts: string[] = [];
  for (let at = 0; at < rows.length; at += ROW_BYTES) {
    const from = bodyAtOf(rows, at);
    texts.push(bodies.toString('utf8', from, from + bodyBytesOf(rows, at)));
  }
  return texts;
}

walSinkContract('write-ahead files on real files', () => {
  const { path, remove } = temporaryDirectory();
  return localSink(realFiles, path, () => {}, remove);
});

walSinkContract('write-ahead files on virtual files', () => {
  const disk = new VirtualFiles({ random: seededRandom(1) });
  const crash = (): void => disk.crash();
  return localSink(disk, 'disk', crash, () => {});
});
