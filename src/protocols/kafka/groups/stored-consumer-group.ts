/**
 * Consumer groups as they are stored: one row for the group and one for each member, so that a
 * heartbeat writes what it changed and no more. What `__consumer_offsets` holds of them in Kafka.
 */
import type { StateTable } from '#broker';
import type { Log } from '#kit';
import { type Assignment, assignmentOf, listOf, type TopicPartitions } from './assignment.ts';
import type { ConsumerGroup, StoredConsumerGroup } from './consumer-group.ts';
import type { MemberFacts } from './consumer-member.ts';

const GROUP_KIND = 'kafka.consumer-group';
const MEMBER_KIND = 'kafka.consumer-member';

interface GroupRow extends StoredConsumerGroup {
  /** When it lost its last member; 0 while it has some. */
  readonly emptiedMs: number;
}

/** Facts with partitions as lists and bytes as base64. */
interface MemberRow extends Omit<MemberFacts, 'assigned' | 'revoking' | 'target' | 'classic'> {
  readonly groupId: string;
  readonly assigned: readonly TopicPartitions[];
  readonly revoking: readonly TopicPartitions[];
  readonly target: readonly TopicPartitions[];
  readonly classic: {
    readonly sessionTimeoutMs: number;
    readonly protocols: readonly (readonly [name: string, metadata: string])[];
  } | null;
}

interface LoadedGroup {
  readonly id: string;
  readonly group: GroupRow;
  readonly members: MemberFacts[];
}

export class ConsumerGroupStore {
  readonly #state: StateTable;
  readonly #log: Log;

  constructor(state: StateTable, log: Log) {
    this.#state = state;
    this.#log = log;
  }

  all(): Iterable<LoadedGroup> {
    const groups = new Map<string, LoadedGroup>();
    for (const [id, bytes] of this.#state.scan(GROUP_KIND)) {
      groups.set(id, { id, group: JSON.parse(bytes.toString()) as GroupRow, members: [] });
    }
    for (const [, bytes] of this.#state.scan(MEMBER_KIND)) {
      const { groupId, ...row } = JSON.parse(bytes.toString()) as MemberRow;
      groups.get(groupId)?.members.push(factsOf(row));
    }
    return groups.values();
  }

  /**
   * Stores the members that changed, and the group when it did.
   * @param done told when all is on disk, or cannot be now
   */
  save(group: ConsumerGroup, emptiedMs: number, done: () => void): void {
    const { id, epoch, assignmentEpoch, fingerprint } = group;
    for (const memberId of group.changedMembers) {
      const key = keyOf(id, memberId);
      const facts = group.members.get(memberId)?.facts;
      if (facts === undefined) this.#state.delete(MEMBER_KIND, key, id);
      else this.#state.put(MEMBER_KIND, key, encode(rowOf(id, facts)), id);
    }
    if (group.changed) {
      const row: GroupRow = { epoch, assignmentEpoch, fingerprint, emptiedMs };
      this.#state.put(GROUP_KIND, id, encode(row));
    }
    this.committed(id, done);
  }

  committed(groupId: string, done: () => void): void {
    this.#state.committed((error) => {
      if (error !== null) {
        const facts = { group: groupId, reason: error.message };
        this.#log.warn('a change of a group is not stored', facts);
      }
      done();
    });
  }

  /** @param memberIds all that it has, or had since it was saved */
  forget(groupId: string, memberIds: Iterable<string>): void {
    this.#state.delete(GROUP_KIND, groupId);
    for (const id of memberIds) this.#state.delete(MEMBER_KIND, keyOf(groupId, id), groupId);
  }
}

/** Ids are any text: the length says where the first one ends. */
function keyOf(groupId: string, memberId: string): string {
  return `${groupId.length} ${groupId}${memberId}`;
}

function encode(row: GroupRow | MemberRow): Buffer {
  return Buffer.from(JSON.stringify(row));
}

function rowOf(groupId: string, facts: MemberFacts): MemberRow {
  const { assigned, revoking, target, classic, ...rest } = facts;
  return {
    ...rest,
    groupId,
    ...{ assigned: listOf(assigned), revoking: listOf(revoking), target: listOf(target) },
    classic:
      classic === null
        ? null
        : {
            sessionTimeoutMs: classic.sessionTimeoutMs,
            protocols: classic.protocols.map(({ name, metadata }) => {
              return [name, metadata.toString('base64')] as const;
            }),
          },
  };
}

function factsOf({ assigned, revoking, target, classic, ...rest }: Omit<MemberRow, 'groupId'>) {
  const parts = (list: readonly TopicPartitions[]): Assignment => assignmentOf(list);
  const facts: MemberFacts = {
    ...rest,
    ...{ assigned: parts(assigned), revoking: parts(revoking), target: parts(target) },
    classic:
      classic === null
        ? null
        : {
            sessionTimeoutMs: classic.sessionTimeoutMs,
            protocols: classic.protocols.map(([name, metadata]) => {
              return { name, metadata: Buffer.from(metadata, 'base64') };
            }),
          },
  };
  return facts;
}
