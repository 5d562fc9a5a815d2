/** The "authorized operations" bit fields of KIP-430, from the broker's rights. */
import type { Action, Stream } from '#broker';
import type { Room } from './room.ts';
import type { Session } from './session.ts';

const OPERATION = {
  READ: 3,
  WRITE: 4,
  CREATE: 5,
  DELETE: 6,
  ALTER: 7,
  DESCRIBE: 8,
  CLUSTER_ACTION: 9,
  DESCRIBE_CONFIGS: 10,
  ALTER_CONFIGS: 11,
  IDEMPOTENT_WRITE: 12,
} as const;

/** The rights that anybody has on a topic of the server's own state. */
export const DESCRIBE_ONLY = (1 << OPERATION.DESCRIBE) | (1 << OPERATION.DESCRIBE_CONFIGS);

const TOPIC_RIGHTS: readonly (readonly [Action, readonly (keyof typeof OPERATION)[]])[] = [
  ['subscribe', ['READ']],
  ['publish', ['WRITE']],
  ['create', ['CREATE']],
  ['remove', ['DELETE']],
  ['alter', ['ALTER']],
  ['describe', ['DESCRIBE']],
  ['describe-settings', ['DESCRIBE_CONFIGS']],
  ['alter-settings', ['ALTER_CONFIGS']],
];

export function topicOperations(room: Room, session: Session, stream: Stream): number {
  let bits = 0;
  for (const [action, operations] of TOPIC_RIGHTS) {
    if (!room.topics.may(session.principal!, action, stream)) continue;
    for (const operation of operations) bits |= 1 << OPERATION[operation];
  }
  return bits;
}

export function groupOperations(room: Room, session: Session, group: string): number {
  let bits = 0;
  if (room.mayUseGroup(session, 'subscribe', group)) bits |= 1 << OPERATION.READ;
  if (room.mayUseGroup(session, 'describe', group)) bits |= 1 << OPERATION.DESCRIBE;
  if (room.mayUseGroup(session, 'remove', group)) bits |= 1 << OPERATION.DELETE;
  if (room.mayUseGroup(session, 'describe-settings', group))
    bits |= 1 << OPERATION.DESCRIBE_CONFIGS;
  if (room.mayUseGroup(session, 'alter-settings', group)) bits |= 1 << OPERATION.ALTER_CONFIGS;
  return bits;
}

const CLUSTER_RIGHTS: readonly (readonly [Action, keyof typeof OPERATION])[] = [
  ['alter', 'ALTER'],
  ['administer', 'CLUSTER_ACTION'],
  ['alter-settings', 'ALTER_CONFIGS'],
  ['describe-settings', 'DESCRIBE_CONFIGS'],
];

export function clusterOperations(room: Room, session: Session): number {
  let bits =
    (1 << OPERATION.DESCRIBE) | (1 << OPERATION.CREATE) | (1 << OPERATION.IDEMPOTENT_WRITE);
  for (const [action, operation] of CLUSTER_RIGHTS) {
    if (room.mayOnCluster(session, action)) bits |= 1 << OPERATION[operation];
  }
  return bits;
}
