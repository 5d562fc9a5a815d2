/** Checks that several APIs make of a topic's partition before they look into it. */
import type { Partition, Principal } from '#broker';
import { KAFKA } from './error-codes.ts';
import type { Room } from './room.ts';
import { LEADER_EPOCH } from './topics.ts';

/** A client that saw another leader than we ever had must refresh its metadata (KIP-320). */
export function leaderEpochFault(currentLeaderEpoch: number): number {
  if (currentLeaderEpoch > LEADER_EPOCH) return KAFKA.UNKNOWN_LEADER_EPOCH;
  return currentLeaderEpoch < -1 ? KAFKA.FENCED_LEADER_EPOCH : KAFKA.NONE;
}

export type Found =
  | { readonly partition: Partition; readonly errorCode: 0 }
  | { readonly partition: null; readonly errorCode: number };

/** The partition, or why this principal does not get it. */
export function findPartition(
  room: Room,
  principal: Principal,
  action: 'describe' | 'subscribe' | 'publish' | 'remove',
  name: string,
  index: number,
): Found {
  const stream = room.topics.byName(name);
  const allowed =
    stream === undefined
      ? room.topics.mayByName(principal, action, name)
      : room.topics.may(principal, action, stream);
  if (!allowed) return { partition: null, errorCode: KAFKA.TOPIC_AUTHORIZATION_FAILED };
  const partition = stream?.partitions[index];
  return partition === undefined
    ? { partition: null, errorCode: KAFKA.UNKNOWN_TOPIC_OR_PARTITION }
    : { partition, errorCode: 0 };
}
