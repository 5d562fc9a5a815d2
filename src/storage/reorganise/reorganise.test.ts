/**
 * The machine dies at any step of reorganisation: at each call to the disk, with the checkpoints
 * that are there, and with both of them lost. Nothing that was acknowledged may be missing, and
 * nothing is left behind for long.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Files, OpenFile } from '../files/files.ts';
import { VirtualFiles } from '../files/virtual-files.ts';
import type { EngineLimits } from '../limits.ts';
import type { LogEngine } from '../log-engine.ts';
import {
  dataBatch,
  factsOf,
  openTestEngine,
  readAll,
  seededRandom,
  textOf,
  VirtualTime,
} from '../storage.fixture.ts';

const LOGS = [2 ** 40 * 3 + 1, 2 ** 40 * 300 + 1, 2 ** 40 * 301 + 1, 2 ** 40 * 900 + 7];
const REMOVED = 2 ** 40 * 500 + 1;
const ROUNDS = 90;

/** Small batches are copied out of write-ahead files; with large ones the files become segments. */
interface Shape {
  readonly name: string;
  readonly bytes: number;
  readonly limits: Partial<EngineLimits>;
}

const SHAPES: readonly Shape[] = [
  {
    name: 'copied',
    bytes: 900,
    limits: { walFileBytes: 8_192, entryBytesMax: 4_096, segmentBytesMax: 16_384, sweepDelayMs: 3 },
  },
  {
    name: 'adopted',
    bytes: 9_000,
    limits: { walFileBytes: 32_768, entryBytesMax: 16_384, sweepDelayMs: 3 },
  },
];

/** What the writer knows: the end of what was acknowledged, and where each log was trimmed. */
interface Known {
  readonly acked: Map<number, number>;
  readonly trimmed: Map<number, number>;
}

const NEVER = new Promise<never>(() => {});

/** A disk that answers no call any more once `alive`, asked ahead of each change, says no. */
function watched(files: Files, alive: () => boolean): Files {
  const guard =
    <Args extends unknown[], T>(call: (...args: Args) => Promise<T>) =>
    (...args: Args): Promise<T> =>
      alive() ? call(...args) : NEVER;
  return {
    ...files,
    open: async (path, create) => {
      if (create && !alive()) await NEVER;
      const open: OpenFile = await files.open(path, create);
      open.write = guard(open.write.bind(open));
      open.sync = guard(open.sync.bind(open));
      return open;
    },
    rename: guard(files.rename),
    remove: guard(files.remove),
  };
}

/** Writes, trims and removes until everything is merged several times, or the disk has died. */
async function work(time: VirtualTime, engine: LogEngine, large: number, died: () => boolean) {
  const known: Known = { acked: new Map(), trimmed: new Map() };
  for (let n = 0; n < ROUNDS && !died(); n++) {
    for (const [index, id] of LOGS.entries()) {
      const log = engine.open(id, 'fsync');
      const bytes = index === 0 ? large : 150;
      const end = n + 1;
      log.append(dataBatch(`${id}/${n}`, bytes), factsOf(), (error) => {
        if (error === null) known.acked.set(id, end);
      });
    }
    if (n < 20) engine.open(REMOVED, 'fsync').append(dataBatch('gone', 100), factsOf());
    if (n === 40) engine.open(REMOVED, 'fsync').remove();
    if (n % 25 === 24) {
      const log = engine.open(LOGS[1 + (n % 3)]!, 'fsync');
      known.trimmed.set(log.id, n - 10);
      log.trim(n - 10);
    }
    await time.advance(2);
  }
  if (!died()) await time.advance(200);
  return known;
}

async function check(time: VirtualTime, engine: LogEngine, known: Known, at: string) {
  for (const id of LOGS) {
    const log = engine.open(id, 'fsync');
    assert.ok(log.highWatermark >= (known.acked.get(id) ?? 0), `${at}: acknowledged`);
    assert.ok(log.startOffset <= (known.trimmed.get(id) ?? 0), `${at}: not trimmed`);
    const texts = (await time.until(readAll(log))).map(textOf);
    const from = log.startOffset;
    const expected = Array.from(
      { length: log.highWatermark - from },
      (_, n) => `${id}/${n + from}`,
    );
    assert.deepEqual(texts, expected, at);
  }
}

/** What is there and no engine uses: write-ahead files and segments beyond those in use. */
async function leftOver(time: VirtualTime, disk: VirtualFiles, engine: LogEngine) {
  await time.advance(100);
  const bytes = disk.paths
    .filter((path) => path.endsWith('.seg'))
    .reduce((sum, path) => sum + disk.sizeOf(path), 0);
  return bytes - engine.usage().dataBytes;
}

for (const { name, bytes, limits } of SHAPES) {
  for (const lost of [false, true]) {
    const how = lost ? 'both checkpoints lost' : 'the checkpoints intact';
    test(`${name}: a crash at any call to the disk loses nothing, ${how} R31`, async () => {
      const every = Number(process.env['STORAGE_CRASH_EVERY'] ?? 31);
      let names: string[] = [];
      for (let last = lost ? 5 : 1; ; last += every) {
        const time = new VirtualTime();
        const disk = new VirtualFiles({ random: seededRandom(last), timers: time });
        let [calls, dead] = [0, false];
        const files = watched(disk.mount(), () => {
          dead ||= ++calls === last;
          return !dead;
        });
        let known: Known = { acked: new Map(), trimmed: new Map() };
        const opening = openTestEngine({ files, time, limits });
        opening.catch(() => {});
        let first: LogEngine | null = null;
        void opening.then((engine) => {
          first = engine;
        });
        await time.advance(50);
        if (first !== null) known = await work(time, first, bytes, () => dead);
        if (!dead) {
          names = disk.paths.filter((path) => path.endsWith('.seg'));
          break;
        }
        disk.crash();
        time.kill();
        await time.settle();
        time.kill();
        if (lost) for (const name of ['a', 'b']) await disk.remove(`data/checkpoint-${name}`);
        const at = `call ${last}`;
        const again = await time.until(openTestEngine({ files: disk, time, limits }));
        const others = again.report.damaged.filter(({ file }) => !file.includes('checkpoint'));
        assert.deepEqual(others, [], at);
        await check(time, again, known, at);
        assert.equal(await leftOver(time, disk, again), 0, `${at}: nothing is left behind`);
        await check(time, again, known, `${at}, later`);
        await time.until(again.close());
        time.kill();
      }
      assert.ok(names.length > 3, `${names.length} segments at the end`);
      const adopted = names.some((path) => path.includes('raw-'));
      assert.equal(adopted, name === 'adopted');
    });
  }
}
