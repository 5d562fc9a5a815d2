/**
 * Level one of reorganisation: a full write-ahead file, in which the logs are mixed, becomes a
 * segment, in which each log lies in one piece. What was trimmed meanwhile is left out.
 */
import { readBodies } from './body-reader.ts';
import type { EngineCore } from './engine.ts';
import {
  attributesOf,
  baseOf,
  CONTROL,
  endOf,
  KIND,
  kindOf,
  logOf,
  ROW_BYTES,
} from './row-codec.ts';
import type { Segment } from './segment.ts';
import { type SegmentWriter, writeSegment } from './segment-writer.ts';
import type { WalFile } from './wal-file.ts';

/** Batches that are fetched from the write-ahead file at a time. */
const FETCH_ROWS = 256;

export async function reorganise(core: EngineCore, wal: WalFile): Promise<Segment> {
  const plan = planRuns(core, wal);
  const name = { from: wal.generation, to: wal.generation, version: 0 };
  return writeSegment(core, name, wal.lastSequence, async (writer) => {
    for (const id of [...plan.keys()].sort((a, b) => a - b)) {
      await copyRun(core, wal, writer, plan.get(id)!);
      const log = core.logs.get(id);
      await writer.endRun(id, log?.startOffset ?? 0, log === undefined);
    }
  });
}

/** For each log that the file mentions, its live rows in offset order. */
function planRuns(core: EngineCore, wal: WalFile): Map<number, number[]> {
  const { rows } = core;
  const runs = new Map<number, number[]>();
  for (let row = wal.firstRow; row < wal.endRow; row++) {
    const [bytes, at] = [rows.rowsOf(row), rows.at(row)];
    const id = logOf(bytes, at);
    if (kindOf(bytes, at) === KIND.control) {
      // Trims and removals leave a mark even when the file holds no batch of the log.
      if (attributesOf(bytes, at) !== CONTROL.head && !runs.has(id)) runs.set(id, []);
      continue;
    }
    const known = runs.get(id) ?? [];
    if (known.length === 0) runs.set(id, known);
    const log = core.logs.get(id);
    if (log === undefined || endOf(bytes, at) <= log.startOffset) continue;
    // Of two batches that claim the same offsets (damage) the first one counts.
    const last = known.at(-1);
    if (last === undefined || rows.end(last) <= rows.base(row)) known.push(row);
  }
  return runs;
}

async function copyRun(core: EngineCore, wal: WalFile, writer: SegmentWriter, run: number[]) {
  for (let first = 0; first < run.length; ) {
    const held = core.rows.held(run[first]!);
    if (held !== null) {
      const row = run[first++]!;
      await writer.add(core.rows.rowsOf(row), core.rows.at(row), held.bytes);
      continue;
    }
    let last = first + 1;
    while (last < run.length && last - first < FETCH_ROWS && core.rows.held(run[last]!) === null) {
      last++;
    }
    await copyFromFile(core, wal, writer, run.slice(first, last));
    first = last;
  }
}

async function copyFromFile(core: EngineCore, wal: WalFile, writer: SegmentWriter, run: number[]) {
  const { rows } = core;
  const encoded = Buffer.concat(run.map((row) => rows.slices(row, 1)[0]!));
  const positions = run.map((row) => rows.position(row));
  for (let done = 0; done < run.length; ) {
    const rest = encoded.subarray(done * ROW_BYTES);
    const { batches, damaged } = await readBodies(wal, rest, positions.slice(done));
    for (const batch of batches) {
      await writer.add(encoded, done * ROW_BYTES, batch.bytes);
      done++;
    }
    if (damaged === null) continue;
    const at = done * ROW_BYTES;
    const range = { logId: logOf(encoded, at), from: baseOf(encoded, at), to: endOf(encoded, at) };
    core.damage.report({ ...range, file: wal.path, reason: 'checksum' });
    await writer.add(encoded, at, null);
    done++;
  }
}
