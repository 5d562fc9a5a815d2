/**
 * Both copies of the checkpoint are lost: the segments tell what they can of the logs. Heads and
 * starts from the directories, producers from all index rows.
 */

import { appendTimeOf, baseOf, ROW_BYTES, readFacts } from '../commit/row-codec.ts';
import type { EngineCore } from '../engine.ts';
import { deadBytesOf, type LogRun } from '../segments/segment.ts';

/** @param whole no segment is known to be missing */
export async function rebuild(core: EngineCore, whole: boolean): Promise<void> {
  const { runs, store, logs } = core;
  const removed = new Set<number>();
  for (const segment of runs.segments) {
    for await (const some of store.directory.all(segment)) {
      for (const run of some) note(core, run, removed);
    }
  }
  // The id of a removed log is not used again.
  for (const id of removed) logs.delete(id);
  for (const log of logs.values()) {
    const standing = await runs.of(log.id);
    // What was trimmed may be gone although the trim itself was lost.
    const first = standing.find(({ endOffset }) => endOffset > log.startOffset)?.firstOffset ?? 0;
    if (whole) log.startOffset = Math.max(log.startOffset, first);
    for (const run of standing) await count(core, run);
  }
}

function note(core: EngineCore, run: LogRun, removed: Set<number>): void {
  if (run.removed) {
    removed.add(run.log);
    return;
  }
  const log = core.logs.get(run.log) ?? core.makeLog(run.log);
  log.startOffset = Math.max(log.startOffset, run.logStart);
  // A mark may be ahead of batches that are still in write-ahead files.
  if (run.rowCount === 0) return;
  log.endOffset = Math.max(log.endOffset, run.endOffset);
  log.highWatermark = log.endOffset;
}

/** Adds what a run has to the sums and the producers of its log. */
async function count(core: EngineCore, run: LogRun): Promise<void> {
  const log = core.logs.get(run.log)!;
  if (run.endOffset > log.startOffset) {
    const dead = deadBytesOf(run, log.startOffset);
    log.bytes += Math.max(0, run.bodyBytes - dead);
    log.batches += run.rowCount;
  }
  for await (const rows of core.store.blocks(run)) {
    for (let at = 0; at < rows.length; at += ROW_BYTES) {
      log.remember(readFacts(rows, at), baseOf(rows, at), appendTimeOf(rows, at));
    }
  }
}
