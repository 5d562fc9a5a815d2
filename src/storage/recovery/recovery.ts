/**
 * Start: checkpoint, segments, then what write-ahead files hold beyond them.
 */

import { ProducerTable } from '../commit/producers.ts';
import { generationOf, WalFile } from '../commit/wal-file.ts';
import type { EngineCore } from '../engine.ts';
import type { Files } from '../files/files.ts';
import type { DamagedRange } from '../log-engine.ts';
import type { Standing } from '../segments/job-writer.ts';
import type { Segment } from '../segments/segment.ts';
import { LANE } from '../segments/segment-codec.ts';
import { type LoadedSegments, loadSegments } from '../segments/segment-load.ts';
import { type Checkpoint, LOG_FIELDS } from './checkpoint-codec.ts';
import { CHECKPOINT_NAMES, loadCheckpoint, takeCleanMark } from './checkpoint-files.ts';
import { findGaps } from './gaps.ts';
import { rebuild } from './rebuild.ts';
import { Replay } from './replay.ts';

export interface Recovered {
  /** True when a copy of the checkpoint was missing or damaged: it is to be written again. */
  readonly needsCheckpoint: boolean;
  readonly writer: number;
  readonly nextSequence: number;
  readonly nextGeneration: number;
  readonly nextSegment: number;
  readonly nextJob: number;
  readonly standing: Standing;
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
  const generations = await generationsIn(files, directory);
  const fresh = checkpoint === null && generations.length === 0 && badCopies.length === 0;
  const damaged: DamagedRange[] = badCopies.map((name) => damagedCheckpoint(directory, name));
  if (checkpoint === null && !fresh && badCopies.length === 0) {
    damaged.push(damagedCheckpoint(directory, CHECKPOINT_NAMES[0]));
  }
  for (const range of damaged) core.damage.report(range);
  const loaded = await loadSegments(core, checkpoint);
  if (loaded.returned > 0) generations.push(...(await generationsIn(files, directory)));
  damaged.push(...loaded.damaged);
  const { segments } = loaded;
  core.runs.change([], segments);
  const ages = checkpoint === null ? none : restore(core, checkpoint);
  if (checkpoint === null) await rebuild(core, loaded.damaged.length === 0);
  const standing = checkpoint ?? standingOf(segments);
  const opened = await openWals(core, generations);
  const live = opened.filter((wal) => wal.generation > standing.generation);
  const headless = checkpoint === null && !fresh;
  const replay = new Replay(
    {
      ...core,
      ages,
      checkpointed: checkpoint?.sequence ?? 0,
      known: checkpoint?.known ?? 0,
      blind: headless && segments.length === 0,
      headless,
      cleanAfter,
    },
    standing.replayFrom,
  );
  await replay.run(live);
  if (replay.tornBytes > 0) log.warn('a torn tail was cut', { bytes: replay.tornBytes });
  damaged.push(...replay.damaged);
  if (checkpoint === null) closeTrimmed(core);
  // Looking at every log costs time: only when something is known to be missing.
  if (damaged.length > 0) damaged.push(...(await findGaps(core)));
  // A killed process leaves writes in the system's cache. What is served from now on must survive
  // a loss of power as well.
  for (const wal of live) await wal.file.sync();
  const { finished, reusable } = await sortWals(core, opened, live);
  return {
    needsCheckpoint: checkpoint === null || badCopies.length > 0,
    ...{ standing, segments, finished, reusable, damaged },
    ...nextIds(checkpoint, loaded),
    writer: (checkpoint?.writer ?? 0) + 1,
    nextSequence: replay.expected,
    nextGeneration: Math.max(standing.generation, 0, ...generations) + 1,
    entriesReplayed: replay.entries,
    tornBytes: replay.tornBytes,
  };
}

const none: ReadonlyMap<number, number> = new Map();

/** Makes the logs; for those that were captured late, the last entry that they hold. */
function restore(core: EngineCore, checkpoint: Checkpoint): ReadonlyMap<number, number> {
  const ages = new Map<number, number>();
  for (const { sequence, logs, producers } of checkpoint.parts) {
    for (let at = 0; at < logs.length; at += LOG_FIELDS) {
      const id = logs[at]!;
      const log = core.logs.get(id) ?? core.makeLog(id);
      log.startOffset = logs[at + 1]!;
      log.endOffset = logs[at + 2]!;
      log.highWatermark = log.endOffset;
      log.bytes = logs[at + 3]!;
      log.batches = logs[at + 4]!;
      if (sequence > checkpoint.sequence) ages.set(id, sequence);
    }
    for (const { log: id, id: producerId, epoch, lastTimeMs, batches } of producers) {
      const log = core.logs.get(id);
      if (log === undefined) continue;
      log.idempotence ??= new ProducerTable();
      log.idempotence.byId.set(producerId, { epoch, lastTimeMs, batches: [...batches] });
    }
  }
  return ages;
}

/** Where the engine stood, told by the segments alone. */
function standingOf(segments: readonly Segment[]): Standing {
  let [generation, replayFrom] = [0, 1];
  const done: [number, number] = [0, 0];
  for (const { facts } of segments) {
    generation = Math.max(generation, facts.generation);
    replayFrom = Math.max(replayFrom, facts.replayFrom);
    done[facts.lane === LANE.levelOne ? 0 : 1] = Math.max(
      done[facts.lane === LANE.levelOne ? 0 : 1],
      facts.job,
    );
    done[0] = Math.max(done[0], facts.done[0]);
    done[1] = Math.max(done[1], facts.done[1]);
  }
  return { generation, replayFrom, done };
}

function nextIds(checkpoint: Checkpoint | null, loaded: LoadedSegments) {
  return {
    nextSegment: Math.max(checkpoint?.nextSegment ?? 1, loaded.lastSegment + 1),
    nextJob: Math.max(checkpoint?.nextJob ?? 1, loaded.lastJob + 1),
  };
}

/** Logs that were trimmed beyond all that is left of them end where they start. */
function closeTrimmed(core: EngineCore): void {
  for (const log of core.logs.values()) {
    log.endOffset = Math.max(log.endOffset, log.startOffset);
    log.highWatermark = log.endOffset;
  }
}

async function generationsIn(files: Files, directory: string): Promise<number[]> {
  const names = await files.list(directory);
  return names.map(generationOf).filter((found) => found >= 0);
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
