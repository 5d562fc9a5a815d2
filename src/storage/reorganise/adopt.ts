/**
 * Whether a full write-ahead file becomes a segment as it is. Where each log's batches already lie
 * in long stretches there is nothing to gain from copying them: an index after the last entry makes
 * the file a segment, under another name. What lies in it in small pieces is copied out.
 *
 * The name tells the generation. Until a checkpoint knows the segment it is a write-ahead file that
 * has another name, and a start gives it the old one back (`segment-load.ts`): so a crash at any
 * point leaves either the one or the other.
 */
import type { RecentRows } from '../commit/recent-rows.ts';
import type { WalFile } from '../commit/wal-file.ts';
import type { EngineCore } from '../engine.ts';
import { isLong } from '../segments/job-writer.ts';
import { segmentName } from '../segments/segment-codec.ts';
import type { SegmentSink } from '../segments/segment-sink.ts';
import type { Adoption } from '../segments/segment-writer.ts';
import type { Turns } from '../turns.ts';

/** So much of what was written must stay in use, or the disk would pay for it. */
const USED_SHARE = 3 / 4;
/** A file that ended earlier is soon copied, and would be a short segment. */
const FILLED_SHARE = 1 / 4;
/** Between batches of one stretch there is at most the rest of an entry. */
const STRETCH_GAP_MAX = 1_024;

/** The live rows of a log in a file, in offset order. */
export interface LogRows {
  readonly rows: number[];
  bytes: number;
}

/** The logs whose batches stay where they are; none when the file is to be copied. */
export async function chooseAdopted(
  core: EngineCore,
  wal: WalFile,
  logs: ReadonlyMap<number, LogRows>,
  turns: Turns,
): Promise<ReadonlySet<number>> {
  const chosen = new Set<number>();
  const { objects, limits } = core;
  // A copy gives a file back to write into: on a full disk that matters more.
  const isOpen = objects.take !== undefined && !core.wal.full;
  if (!isOpen || wal.written < limits.walFileBytes * FILLED_SHARE) return chosen;
  let bytes = 0;
  for (const [id, found] of logs) {
    if (turns.over()) await turns.next();
    if (!isLong(limits, found.bytes) || core.logs.get(id)?.upkeep.remote === true) continue;
    const stretches = await countStretches(core.rows, found.rows, turns);
    if (found.bytes < stretches * limits.adoptedStretchBytes) continue;
    chosen.add(id);
    bytes += found.bytes;
  }
  if (bytes < wal.written * USED_SHARE) chosen.clear();
  return chosen;
}

async function countStretches(rows: RecentRows, found: readonly number[], turns: Turns) {
  let [count, end] = [0, Number.NEGATIVE_INFINITY];
  for (const row of found) {
    const position = rows.position(row);
    if (position - end > STRETCH_GAP_MAX) count++;
    end = position + rows.bodyBytes(row);
    if (turns.over()) await turns.next();
  }
  return count;
}

/** Writes after the last entry of a file, and makes it the segment of this number. */
export function adoptionOf(core: EngineCore, wal: WalFile, id: number): Adoption {
  const { objects } = core;
  const name = segmentName({ id, remote: false, generation: wal.generation });
  let position = wal.written;
  const sink: SegmentSink = {
    async write(chunks) {
      await wal.file.write(chunks, position);
      for (const { length } of chunks) position += length;
    },
    async finish() {
      await wal.file.truncate(position);
      await wal.file.sync();
      await objects.take!(wal.path, name);
    },
    // What lies behind the last entry means nothing.
    async abandon() {},
  };
  return { sink, bytes: wal.written };
}
