/** Where slots have several owners: what of one message is committed by two of them. */
import type { LogEngine } from '#storage';
import type { Partition } from '../streams/partition.ts';
import type { Queue } from './queue.ts';

/** True when a message and the queue's reference to it cannot share a commit. */
export function storedApart(engine: LogEngine, queue: Queue, partition: Partition): boolean {
  if (!queue.durable) return false;
  if (!engine.sameOwner(queue.id, partition.log.id)) return true;
  // References are stored in their order: one that waits for another owner holds up the next ones.
  for (const lane of queue.lanes.references) {
    if (lane.sources.anyApart && lane.unsealed) return true;
  }
  return false;
}
