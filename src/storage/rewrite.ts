/**
 * Level two: neighbouring segments become one, without what was trimmed or removed. Frees disk
 * although files are shared, and keeps small segments from piling up. Offsets never change.
 */
import { readBodies } from './body-reader.ts';
import type { EngineCore } from './engine.ts';
import {
  baseOf,
  bodyAtOf,
  bodyBytesOf,
  endOf,
  isDamagedRow,
  logOf,
  ROW_BYTES,
} from './row-codec.ts';
import type { Segment } from './segment.ts';
import { runBodiesAt, runLog } from './segment-codec.ts';
import type { SegmentStore } from './segment-store.ts';
import { type SegmentWriter, writeSegment } from './segment-writer.ts';

/** This many small neighbours are merged at once. */
const MERGE_MIN = 4;
/** A segment below this part of the largest size is small. */
const SMALL_SHARE = 1 / 8;
const FETCH_BYTES = 2 ** 20;

/** Bytes of a segment that some log still needs. */
export function liveBytes(core: EngineCore, segment: Segment): number {
  let bytes = 0;
  for (let run = 0; run < segment.runCount; run++) {
    const log = core.logs.get(runLog(segment.directory, run));
    if (log !== undefined) bytes += segment.liveBytes(run, log.startOffset);
  }
  return bytes;
}

/** Which neighbours should become one; null when all is well. `live` goes with `segments`. */
export function planRewrite(
  core: EngineCore,
  segments: readonly Segment[],
  live: readonly number[],
): Segment[] | null {
  const { segmentLiveShare, segmentBytesMax } = core.limits;
  for (let first = 0; first < segments.length; first++) {
    const wasteful = (at: number): boolean =>
      live[at]! < segments[at]!.contentBytes * segmentLiveShare && live[at]! > 0;
    const small = (at: number): boolean => live[at]! <= segmentBytesMax * SMALL_SHARE;
    if (!wasteful(first) && !small(first)) continue;
    let bytes = 0;
    let end = first;
    while (end < segments.length && (wasteful(end) || small(end))) {
      if (end > first && bytes + live[end]! > segmentBytesMax) break;
      bytes += live[end++]!;
    }
    if (wasteful(first) || end - first >= MERGE_MIN) return segments.slice(first, end);
  }
  return null;
}

export async function rewrite(
  core: EngineCore,
  store: SegmentStore,
  sources: readonly Segment[],
): Promise<Segment> {
  const [from, to] = [sources[0]!.name.from, sources.at(-1)!.name.to];
  const version = Math.max(...sources.map(({ name }) => name.version)) + 1;
  const { lastSequence } = sources.at(-1)!;
  return writeSegment(core, { from, to, version }, lastSequence, async (writer) => {
    for (const id of logsOf(sources)) {
      const log = core.logs.get(id);
      if (log === undefined) continue;
      for (const source of sources) {
        const run = source.runOf(id);
        if (run >= 0) await copyRun(core, store, writer, source, run, log.startOffset);
      }
      if (!writer.runHasBatches) continue;
      await writer.endRun(id, log.startOffset, false);
    }
  });
}

/** The logs of all sources, ascending, each once. */
function logsOf(sources: readonly Segment[]): Float64Array {
  const ids = new Set<number>();
  for (const { directory, runCount } of sources) {
    for (let run = 0; run < runCount; run++) ids.add(runLog(directory, run));
  }
  return Float64Array.from(ids).sort();
}

async function copyRun(
  core: EngineCore,
  store: SegmentStore,
  writer: SegmentWriter,
  source: Segment,
  run: number,
  start: number,
): Promise<void> {
  const bodiesAt = runBodiesAt(source.directory, run);
  for await (const rows of store.blocks(source, run)) {
    for (let at = 0; at < rows.length; ) {
      if (endOf(rows, at) <= start) {
        at += ROW_BYTES;
        continue;
      }
      const end = pieceEnd(rows, at);
      await copyPiece(core, store, writer, source, rows.subarray(at, end), bodiesAt);
      at = end;
    }
  }
}

function pieceEnd(rows: Buffer, at: number): number {
  let bytes = 0;
  while (at < rows.length && bytes < FETCH_BYTES) {
    bytes += bodyBytesOf(rows, at);
    at += ROW_BYTES;
  }
  return at;
}

async function copyPiece(
  core: EngineCore,
  store: SegmentStore,
  writer: SegmentWriter,
  source: Segment,
  rows: Buffer,
  bodiesAt: number,
): Promise<void> {
  const positions: number[] = [];
  for (let at = 0; at < rows.length; at += ROW_BYTES) positions.push(bodiesAt + bodyAtOf(rows, at));
  for (let at = 0; at < rows.length; ) {
    const rest = rows.subarray(at);
    const { batches, damaged } = await store.use(source, (bytes) =>
      readBodies(bytes, rest, positions.slice(at / ROW_BYTES)),
    );
    for (const batch of batches) {
      await writer.add(rows, at, batch.bytes);
      at += ROW_BYTES;
    }
    if (damaged === null) continue;
    if (!isDamagedRow(rows, at)) {
      const range = { logId: logOf(rows, at), from: baseOf(rows, at), to: endOf(rows, at) };
      core.damage.report({ ...range, file: source.path, reason: 'checksum' });
    }
    await writer.add(rows, at, null);
    at += ROW_BYTES;
  }
}
