/**
 * Start: checkpoint, segments, then what write-ahead files hold beyond them.
 */
import type { Checkpoint } from './checkpoint-codec.ts';
import { CHECKPOINT_NAMES, loadCheckpoint, takeCleanMark } from './checkpoint-files.ts';
import type { EngineCore } from './engine.ts';
import { findGaps } from './gaps.ts';
import type { DamagedRange } from './log-engine.ts';
import { ProducerTable } from './producers.ts';
import { Replay } from './replay.ts';
import { appendTimeOf, baseOf, ROW_BYTES, readFacts } from './row-codec.ts';
import type { Segment } from './segment.ts';
import { runEnd, runIsRemoved, runLog, runLogStart, runRowCount } from './segment-codec.ts';
import { loadSegments } from './segment-load.ts';
import { generationOf, WalFile } from './wal-file.ts';

export interface Recovered {
  readonly fresh: boolean;
  readonly writer: number;
  readonly nextSequence: number;
  readonly nextGeneration: number;
  readonly reorganisedThrough: number;
  readonly replayFrom: number;
  readonly segments: Segment[];
  /** Write-ahead files with live entries, oldest first. */
  readonly finished: WalFile[];
  /** Whole write-ahead files without any. */
  readonly reusable: WalFile[];
  readonly entriesReplayed: number;
  readonly tornBytes: number;
  readonly damaged: DamagedRange[];
}

export async function recover(core: EngineCore): Promise<Recovered> {
  const { files, directory, log } = core.options;
  const cleanAfter = await takeCleanMark(files, directory);
  const { checkpoint, damaged: badCopies } = await loadCheckpoint(files, directory);
  const generations = (await files.list(directory)).map(generationOf).filter((found) => found >= 0);
  const fresh = checkpoint === null && generations.length === 0 && badCopies.length === 0;
  const damaged: DamagedRange[] = badCopies.map((name) => damagedCheckpoint(directory, name));
  if (checkpoint === null && !fresh && badCopies.length === 0) {
    damaged.push(damagedCheckpoint(directory, CHECKPOINT_NAMES[0]));
  }
  for (const range of damaged) core.damage.report(range);
  const wanted = checkpoint?.segments ?? null;
  const loaded = await loadSegments(core, wanted);
  damaged.push(...loaded.damaged);
  const { segments } = loaded;
  if (checkpoint !== null) restore(core, checkpoint);
  else await rebuild(core, segments);
  attach(core, segments);
  const lastSegment = segments.at(-1);
  const through = checkpoint?.reorganisedThrough ?? lastSegment?.name.to ?? 0;
  const replayFrom = checkpoint?.replayFrom ?? (lastSegment?.lastSequence ?? 0) + 1;
  const opened = await openWals(core, generations);
  const live = opened.filter((wal) => wal.generation > through);
  const replay = new Replay(
    {
      ...core,
      checkpointed: checkpoint?.sequence ?? 0,
      blind: checkpoint === null && !fresh && lastSegment === undefined,
      headless: checkpoint === null && !fresh,
      cleanAfter,
    },
    replayFrom,
  );
  await replay.run(live);
  if (replay.tornBytes > 0) log.warn('a torn tail was cut', { bytes: replay.tornBytes });
  damaged.push(...replay.damaged);
  if (checkpoint === null) closeTrimmed(core);
  // Looking at every log costs time: only when something is known to be missing.
  if (damaged.length > 0) damaged.push(...findGaps(core));
  // A killed process leaves writes in the system's cache. What is served from now on must survive
  // a loss of power as well.
  for (const wal of live) await wal.file.sync();
  const { finished, reusable } = await sortWals(core, opened, live);
  return {
    fresh,
    writer: (checkpoint?.writer ?? 0) + 1,
    nextSequence: replay.expected,
    nextGeneration: Math.max(through, 0, ...generations) + 1,
    reorganisedThrough: through,
    replayFrom,
    segments,
    finished,
    reusable,
    entriesReplayed: replay.entries,
    tornBytes: replay.tornBytes,
    damaged,
  };
}

function restore(core: EngineCore, checkpoint: Checkpoint): void {
  const { logs, producers } = checkpoint;
  for (let at = 0; at < logs.length; at += 3) {
    const log = core.makeLog(logs[at]!);
    log.startOffset = logs[at + 1]!;
    log.endOffset = logs[at + 2]!;
    log.highWatermark = log.endOffset;
  }
  for (const { log: id, id: producerId, epoch, lastTimeMs, batches } of producers) {
    const log = core.logs.get(id);
    if (log === undefined) continue;
    log.idempotence ??= new ProducerTable();
    log.idempotence.byId.set(producerId, { epoch, lastTimeMs, batches: [...batches] });
  }
}

/** Without a checkpoint the segments tell what they can: heads, and all producers they saw. */
async function rebuild(core: EngineCore, segments: readonly Segment[]): Promise<void> {
  for (const segment of segments) {
    const { directory } = segment;
    for (let run = 0; run < segment.runCount; run++) {
      const id = runLog(directory, run);
      if (runIsRemoved(directory, run)) {
        core.logs.delete(id);
        continue;
      }
      const log = core.logs.get(id) ?? core.makeLog(id);
      log.startOffset = Math.max(log.startOffset, runLogStart(directory, run));
      if (runRowCount(directory, run) === 0) continue;
      log.endOffset = Math.max(log.endOffset, runEnd(directory, run));
      log.highWatermark = log.endOffset;
      for await (const rows of core.store.blocks(segment, run)) {
        for (let at = 0; at < rows.length; at += ROW_BYTES) {
          log.remember(readFacts(rows, at), baseOf(rows, at), appendTimeOf(rows, at));
        }
      }
    }
  }
}

/** Logs that were trimmed beyond all that is left of them end where they start. */
function closeTrimmed(core: EngineCore): void {
  for (const log of core.logs.values()) {
    log.endOffset = Math.max(log.endOffset, log.startOffset);
    log.highWatermark = log.endOffset;
  }
}

/** Tells each log which segments hold its batches. */
function attach(core: EngineCore, segments: readonly Segment[]): void {
  for (const segment of segments) {
    const { directory } = segment;
    for (let run = 0; run < segment.runCount; run++) {
      // Logs that are not known were removed.
      const log = core.logs.get(runLog(directory, run));
      if (log === undefined || runRowCount(directory, run) === 0) continue;
      if (runEnd(directory, run) > log.startOffset) log.addSegment(segment);
    }
  }
}

async function openWals(core: EngineCore, generations: number[]): Promise<WalFile[]> {
  const { files, directory } = core.options;
  const wals: WalFile[] = [];
  for (const name of await files.list(directory)) {
    const generation = generationOf(name);
    if (!generations.includes(generation)) continue;
    const path = `${directory}/${name}`;
    const file = await files.open(path, false);
    const size = await file.size();
    wals.push(new WalFile(generation, path, file, size, size));
  }
  return wals.sort((a, b) => a.generation - b.generation);
}

/** Which files hold something, and which may be written over. */
async function sortWals(core: EngineCore, opened: readonly WalFile[], live: readonly WalFile[]) {
  const { files } = core.options;
  const finished: WalFile[] = [];
  const reusable: WalFile[] = [];
  for (const wal of opened) {
    if (live.includes(wal) && wal.lastSequence >= 0) {
      finished.push(wal);
    } else if (wal.size === core.limits.walFileBytes && reusable.length < 2) {
      wal.written = 0;
      reusable.push(wal);
    } else {
      await wal.file.close();
      await files.remove(wal.path);
    }
  }
  return { finished, reusable };
}

function damagedCheckpoint(directory: string, name: string): DamagedRange {
  const file = `${directory}/${name}`;
  return { logId: -1, from: 0, to: 0, file, reason: 'the checkpoint is damaged or missing' };
}
