/**
 * What a checkpoint says of the logs, taken from memory some logs at a time, with other work in
 * between. How parts of different moments make one consistent state:
 *
 * - Each part holds what was committed at its moment, and names the last entry s that was. Replay
 *   takes an entry for a log only when it is younger than the part that holds the log; for the
 *   older ones it only learns where their batches lie. So no entry counts twice, and none is left
 *   out, whichever moments the parts are from.
 * - Positions (segments in use, where replay begins) are taken at the beginning: a file that is
 *   reorganised meanwhile is still there, and is replayed.
 * - A log that is made meanwhile is met at the end or not at all: then all of its entries are
 *   younger than the beginning, and replay makes it anew. A log that is removed meanwhile may be
 *   missing: replay makes it from its younger entries and then meets its removal. One whose removal
 *   is not committed yet is still captured: the removal may never happen.
 */

import type { EngineCore } from '../engine.ts';
import type { Shard } from '../shard.ts';
import { type CheckpointPart, LOG_FIELDS, type ProducerSnapshot } from './checkpoint-codec.ts';

/** Logs that are captured in one stretch. */
const PART_LOGS = 1_024;

/** Gives the parts, each of its own moment; let others work before asking for the next one. */
export function* captureParts(core: EngineCore): Generator<CheckpointPart> {
  const logs = core.logs.values();
  let left = core.logs.size;
  while (left > 0) {
    const some: Shard[] = [];
    while (some.length < PART_LOGS && left > 0) {
      const { value, done } = logs.next();
      if (done === true) {
        left = 0;
        break;
      }
      some.push(value);
      left--;
    }
    if (some.length > 0) yield captureSome(core, some);
  }
  yield captureSome(core, [...core.committer.removing]);
}

/** The state of this moment, as far as it is committed: what is in flight is left to replay. */
function captureSome(core: EngineCore, some: readonly Shard[]): CheckpointPart {
  const { committer, options, limits } = core;
  const nowMs = options.clock.nowMs();
  const uncommitted = committer.uncommitted();
  const heads = new Float64Array(some.length * LOG_FIELDS);
  const producers: ProducerSnapshot[] = [];
  let at = 0;
  for (const log of some) {
    if (log.endOffset === 0 || log.durability === 'memory') continue;
    const waiting = uncommitted.get(log);
    const end = waiting?.from ?? log.endOffset;
    heads[at++] = log.id;
    // An `async` log may be trimmed beyond what is on disk yet.
    heads[at++] = Math.min(log.startOffset, end);
    heads[at++] = end;
    heads[at++] = Math.max(0, log.bytes - (waiting?.bytes ?? 0));
    heads[at++] = Math.max(0, log.batches - (waiting?.batches ?? 0));
    log.idempotence?.expire(nowMs - limits.producerExpiryMs);
    addProducers(log, end, producers);
  }
  return { sequence: committer.committedSequence, logs: heads.subarray(0, at), producers };
}

/** The producers of a log, without batches that are not committed. */
function addProducers(log: Shard, end: number, into: ProducerSnapshot[]): void {
  if (log.idempotence === null) return;
  for (const [id, { epoch, lastTimeMs, batches }] of log.idempotence.byId) {
    const committed = batches.filter((batch) => batch.baseOffset < end);
    into.push({ log: log.id, id, epoch, lastTimeMs, batches: committed });
  }
}
