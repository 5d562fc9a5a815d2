/**
 * Start: checkpoint, segments, then what write-ahead files hold beyond them.
 */
import type { Checkpoint } from './checkpoint-codec.ts';
import { CHECKPOINT_NAMES, loadCheckpoint, takeCleanMark } from './checkpoint-files.ts';
import type { EngineCore } from './engine.ts';
import type { DamagedRange } from './log-engine.ts';
import { ProducerTable } from './producers.ts';
import { Replay } from './replay.ts';
import { generationOf, WalFile } from './wal-file.ts';

export interface Recovered {
  readonly fresh: boolean;
  readonly writer: number;
  readonly nextSequence: number;
  readonly nextGeneration: number;
  readonly reorganisedThrough: number;
  readonly replayFrom: number;
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
  if (checkpoint !== null) restore(core, checkpoint);
  const through = checkpoint?.reorganisedThrough ?? 0;
  const opened = await openWals(core, generations);
  const live = opened.filter((wal) => wal.generation > through);
  const replay = new Replay(
    {
      ...core,
      checkpointed: checkpoint?.sequence ?? 0,
      blind: checkpoint === null && !fresh,
      cleanAfter,
    },
    checkpoint?.replayFrom ?? 1,
  );
  await replay.run(live);
  if (replay.tornBytes > 0) log.warn('a torn tail was cut', { bytes: replay.tornBytes });
  const { finished, reusable } = await sortWals(core, opened, live);
  return {
    fresh,
    writer: (checkpoint?.writer ?? 0) + 1,
    nextSequence: replay.expected,
    nextGeneration: Math.max(through, 0, ...generations) + 1,
    reorganisedThrough: through,
    replayFrom: checkpoint?.replayFrom ?? 1,
    finished,
    reusable,
    entriesReplayed: replay.entries,
    tornBytes: replay.tornBytes,
    damaged: [...damaged, ...replay.damaged],
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
