/**
 * Recovery of a data folder in which anything may have happened to the files: bits, sectors, sizes,
 * files that are missing or that lie under another's name. The start must end well or with an error
 * of the catalogue; what is served afterwards is what was stored, at its own offset.
 */
import assert from 'node:assert/strict';
import { BrokerError, crc32c } from '#kit';
import { type LogEngine, type ShardLog, VirtualFiles } from '#storage';
import {
  appended,
  dataBatch,
  factsOf,
  openTestEngine,
  seededRandom,
} from '../../../src/storage/storage.fixture.ts';
import type { Target } from '../target.ts';

const DIRECTORY = 'data';
const LOGS = [2, 3, 1026, 2050, 4098];
const ROUNDS = 40;
const OP_BYTES = 8;
const READS_MAX = 4000;
const SECTOR = 512;
/** Sizes of the records that end in their own checksum: header, trailer, row, run, segment end. */
const SEALED = [64, 32, 80, 96, 64];

interface Base {
  readonly files: VirtualFiles;
  /** What was stored: log, offset, bytes. */
  readonly stored: ReadonlyMap<number, ReadonlyMap<number, Buffer>>;
}

let bases: Promise<readonly Base[]> | null = null;

/** One disk after a clean stop, one as a crash leaves it, one with segments. */
async function makeBases(): Promise<Base[]> {
  const made: Base[] = [];
  for (const kind of ['clean', 'killed', 'reorganised'] as const) {
    const files = new VirtualFiles({ random: seededRandom(7) });
    const stored = new Map<number, Map<number, Buffer>>(LOGS.map((id) => [id, new Map()]));
    const engine = await openTestEngine({ files, directory: DIRECTORY });
    await fill(engine, stored, kind === 'reorganised' ? 4 * ROUNDS : ROUNDS);
    if (kind === 'reorganised') await engine.checkpoint();
    if (kind === 'killed') {
      made.push({ files: files.clone(), stored });
      await engine.close();
    } else {
      await engine.close();
      made.push({ files, stored });
    }
  }
  return made;
}

async function fill(
  engine: LogEngine,
  stored: Map<number, Map<number, Buffer>>,
  rounds: number,
): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const writes = LOGS.map(async (id, index) => {
      const log = engine.open(id, 'fsync');
      const batch = dataBatch(`log ${id} round ${round} `, (round * 37 + index * 91) % 700);
      const over = { count: 1 + (round % 3), maxTimestampMs: 1000 + round };
      const offset = await appended(log, batch, over);
      stored.get(id)!.set(offset, Buffer.from(batch));
    });
    await Promise.all(writes);
    if (round === ROUNDS / 2) engine.open(LOGS[1]!, 'fsync').trim(20);
  }
}

interface Op {
  readonly what: number;
  readonly file: number;
  readonly at: number;
  readonly value: number;
}

function opsOf(input: Buffer): Op[] {
  const ops: Op[] = [];
  for (let at = 1; at + OP_BYTES <= input.length && ops.length < 12; at += OP_BYTES) {
    ops.push({
      what: input[at]!,
      file: input[at + 1]!,
      at: input.readUInt32BE(at + 2),
      value: input.readUInt16BE(at + 6),
    });
  }
  return ops;
}

/** @returns true when a record was changed and its checksum put right: nobody can notice that */
async function damage(files: VirtualFiles, { what, file, at, value }: Op): Promise<boolean> {
  const paths = files.paths.filter((path) => !path.endsWith('LOCK'));
  const path = paths[file % paths.length];
  if (path === undefined) return false;
  const size = files.sizeOf(path);
  const place = size === 0 ? 0 : at % size;
  const open = await files.open(path, false);
  const put = (bytes: Buffer, from: number) => open.writeThrough([bytes], from);
  let forged = false;
  if (what % 9 === 0 && size > 0) files.flip(path, place, value % 8);
  if (what % 9 === 1) await put(Buffer.of(value & 255), place);
  if (what % 9 === 2) await put(Buffer.alloc(SECTOR), place - (place % SECTOR));
  if (what % 9 === 3) await open.truncate(place);
  if (what % 9 === 4) await open.truncate(size + (value % 5000));
  if (what % 9 === 5) {
    const from = SECTOR * Math.floor((value * SECTOR) / SECTOR);
    const bytes = files.bytesOf(path).subarray(from % Math.max(1, size));
    await put(Buffer.from(bytes.subarray(0, SECTOR)), place - (place % SECTOR));
  }
  if (what % 9 === 7) forged = await forge(files, path, place, value, put);
  await open.close();
  if (what % 9 === 6) await files.remove(path);
  if (what % 9 === 8) await files.rename(path, paths[value % paths.length]!);
  return forged;
}

/** Changes a field of a record and seals it anew: only its meaning is wrong then. */
async function forge(
  files: VirtualFiles,
  path: string,
  place: number,
  value: number,
  put: (bytes: Buffer, from: number) => Promise<void>,
): Promise<boolean> {
  const bytes = files.bytesOf(path);
  for (const size of SEALED) {
    // The nearest record at or before the place that is whole now.
    for (let from = place; from >= 0 && from > place - 128; from--) {
      const record = Buffer.from(bytes.subarray(from, from + size));
      if (record.length < size) continue;
      if (crc32c(record.subarray(0, size - 4)) !== record.readUInt32BE(size - 4)) continue;
      record[(value >> 8) % (size - 4)]! ^= value & 255;
      record.writeUInt32BE(crc32c(record.subarray(0, size - 4)), size - 4);
      await put(record, from);
      return true;
    }
  }
  return false;
}

/** Reads a log from its start to its end over all that is damaged. */
async function check(log: ShardLog, stored: ReadonlyMap<number, Buffer> | null): Promise<void> {
  let reads = 0;
  for (let offset = log.startOffset; offset < log.highWatermark; ) {
    assert.ok(++reads < READS_MAX, 'a log is read to its end');
    try {
      const batches = await log.read(offset, 4096);
      assert.ok(batches.length > 0, 'something is served below the high watermark');
      for (const { baseOffset, count, bytes } of batches) {
        if (stored !== null) {
          const original = stored.get(baseOffset);
          assert.ok(original !== undefined, `nothing was stored at ${baseOffset} of ${log.id}`);
          assert.ok(original.subarray(21).equals(bytes.subarray(21)), 'the bytes are the same');
        }
        assert.ok(baseOffset + count > offset, 'reading goes on');
        offset = baseOffset + count;
      }
    } catch (error) {
      if (!(error instanceof BrokerError) || error.code !== 'damaged') throw error;
      const to = Number(error.details['to']);
      assert.ok(to > offset, 'a damaged range leads on');
      offset = to;
    }
  }
}

async function open(files: VirtualFiles): Promise<LogEngine | null> {
  try {
    return await openTestEngine({ files, directory: DIRECTORY });
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error;
    return null;
  }
}

export const recovery: Target = {
  name: 'recovery',
  words: [0, 1, 2, 3, 4, 5, 6, 7, 8].map((what) => Buffer.from([what, 0, 0, 0, 0, 0, 0, 0])),
  *seeds() {
    for (const base of [0, 1, 2]) {
      yield Buffer.of(base);
      for (let what = 0; what < 9; what++) {
        yield Buffer.from([base, what, 3 * what, 0, 0, what * 2, 64, what, 255]);
        yield Buffer.from([base, what, 1, 0, 0, 0, 0, 255, 1, what, 0, 0, 0, 0, 64, 9, 9]);
      }
    }
  },
  async run(input) {
    bases ??= makeBases();
    const all = await bases;
    const base = all[(input[0] ?? 0) % all.length]!;
    const files = base.files.clone();
    let forged = false;
    for (const op of opsOf(input)) forged = (await damage(files, op)) || forged;
    const engine = await open(files);
    if (engine === null) return;
    for (const id of LOGS) {
      const log: ShardLog = engine.open(id, 'fsync');
      await check(log, forged ? null : base.stored.get(id)!);
      const before = log.endOffset;
      const offset = await appended(log, dataBatch('after'), factsOf());
      assert.equal(offset, before, 'the log goes on at its end');
      const back = await log.read(offset, 1);
      assert.equal(back[0]?.baseOffset, offset, 'what is stored after the start is served');
    }
    await engine.close();
    const again = await open(files);
    if (again === null) return;
    for (const id of LOGS) await check(again.open(id, 'fsync'), null);
    await again.close();
  },
  inputBytesMax: 100,
  allocation: { base: 256 << 20, perByte: 1 << 20 },
  cpuMsMax: 2_000,
  cost: 100,
  async close() {
    bases = null;
  },
};
