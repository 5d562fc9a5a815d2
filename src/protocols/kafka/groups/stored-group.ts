/**
 * A group as it is stored, one row each: the last complete generation with its members and their
 * assignments, or since when it has none (K62). What `__consumer_offsets` holds of groups in Kafka.
 */
import type { StateTable } from '#broker';
import type { Log } from '#kit';
import type { Group } from './group.ts';
import type { SaidByMember } from './member.ts';

const KIND = 'kafka.group';
/** A larger group is not remembered over a restart: its members join again. */
const BYTES_MAX = 4 << 20;

interface StoredMember extends SaidByMember {
  readonly id: string;
  readonly instanceId: string | null;
  readonly assignment: Buffer;
}

export interface StoredGroup {
  readonly generation: number;
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  readonly leaderId: string | null;
  readonly members: readonly StoredMember[];
  /** When it lost its last member; 0 while it has some. */
  readonly emptiedMs: number;
}

/** The same with bytes as base64. */
interface Row extends Omit<StoredGroup, 'members'> {
  readonly members: readonly (Omit<StoredMember, 'assignment' | 'protocols'> & {
    readonly assignment: string;
    readonly protocols: readonly (readonly [name: string, metadata: string])[];
  })[];
}

export class GroupStore {
  readonly #state: StateTable;
  readonly #log: Log;

  constructor(state: StateTable, log: Log) {
    this.#state = state;
    this.#log = log;
  }

  *all(): Generator<readonly [id: string, group: StoredGroup]> {
    for (const [id, bytes] of [...this.#state.scan(KIND)]) yield [id, decode(bytes)];
  }

  /** @param emptiedMs see `StoredGroup` @param done told when it is on disk, or cannot be now */
  save(group: Group, emptiedMs: number, done: () => void): void {
    const bytes = encode(group, emptiedMs);
    if (bytes.length > BYTES_MAX) {
      this.#log.warn('a group is too large to be remembered', { group: group.id });
      this.forget(group.id);
    } else this.#state.put(KIND, group.id, bytes);
    this.#state.committed((error) => {
      if (error !== null) {
        const facts = { group: group.id, reason: error.message };
        this.#log.warn('a generation of a group is not stored', facts);
      }
      done();
    });
  }

  forget(id: string): void {
    this.#state.delete(KIND, id);
  }
}

function encode(group: Group, emptiedMs: number): Buffer {
  const { generation, protocolType, protocolName, leaderId } = group;
  const members = [...group.members.values()].map((member) => {
    const { id, instanceId, clientId, clientHost, sessionTimeoutMs, rebalanceTimeoutMs } = member;
    const protocols = member.protocols.map(({ name, metadata }) => {
      return [name, metadata.toString('base64')] as const;
    });
    const assignment = member.assignment.toString('base64');
    const said = { clientId, clientHost, sessionTimeoutMs, rebalanceTimeoutMs, protocols };
    return { id, instanceId, ...said, assignment };
  });
  const row: Row = { generation, protocolType, protocolName, leaderId, members, emptiedMs };
  return Buffer.from(JSON.stringify(row));
}

function decode(bytes: Buffer): StoredGroup {
  const { members, ...rest } = JSON.parse(bytes.toString()) as Row;
  return {
    ...rest,
    members: members.map(({ assignment, protocols, ...said }) => ({
      ...said,
      assignment: Buffer.from(assignment, 'base64'),
      protocols: protocols.map(([name, metadata]) => {
        return { name, metadata: Buffer.from(metadata, 'base64') };
      }),
    })),
  };
}
