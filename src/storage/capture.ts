/** What a checkpoint says, taken from memory in one synchronous stretch. */
import type { Checkpoint, ProducerSnapshot } from './checkpoint-codec.ts';
import type { EngineCore } from './engine.ts';
import type { Shard } from './shard.ts';

type Positions = Pick<Checkpoint, 'writer' | 'reorganisedThrough' | 'replayFrom' | 'segments'>;

/** The state of this moment, as far as it is committed: what is in flight is left to replay. */
export function captureCheckpoint(core: EngineCore, positions: Positions): Checkpoint {
  const { logs, committer, options, limits } = core;
  const nowMs = options.clock.nowMs();
  const uncommitted = committer.uncommitted();
  const heads = new Float64Array(logs.size * 3);
  const producers: ProducerSnapshot[] = [];
  let at = 0;
  for (const log of logs.values()) {
    if (log.endOffset === 0 || log.durability === 'memory') continue;
    const end = uncommitted.get(log) ?? log.endOffset;
    heads[at++] = log.id;
    // An `async` log may be trimmed beyond what is on disk yet.
    heads[at++] = Math.min(log.startOffset, end);
    heads[at++] = end;
    log.idempotence?.expire(nowMs - limits.producerExpiryMs);
    addProducers(log, end, producers);
  }
  return {
    ...positions,
    sequence: committer.committedSequence,
    timeMs: nowMs,
    logs: heads.subarray(0, at),
    producers,
  };
}

/** The producers of a log, without batches that are not committed. */
function addProducers(log: Shard, end: number, into: ProducerSnapshot[]): void {
  if (log.idempotence === null) return;
  for (const [id, { epoch, lastTimeMs, batches }] of log.idempotence.byId) {
    const committed = batches.filter((batch) => batch.baseOffset < end);
    into.push({ log: log.id, id, epoch, lastTimeMs, batches: committed });
  }
}
