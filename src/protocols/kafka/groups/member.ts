/** One member of a classic group: what it said of itself, and the answers it waits for. */
import type { Timer } from '#kit';

export interface GroupProtocol {
  readonly name: string;
  /** Never opened by the group: assignors are the clients' business (K61). */
  readonly metadata: Buffer;
}

/** What a group keeps of what a member said of itself. */
export interface SaidByMember {
  readonly clientId: string;
  readonly clientHost: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly protocols: readonly GroupProtocol[];
}

export interface JoinRequest extends SaidByMember {
  readonly memberId: string;
  readonly groupInstanceId: string | null;
  readonly protocolType: string;
  /** The client can be told its member id before it joins (JoinGroup version 4, KIP-394). */
  readonly idFirst: boolean;
  /** The client understands `skipAssignment` (JoinGroup version 9, KIP-814). */
  readonly canSkipAssignment: boolean;
  /** Told the id under which the client became a member, before it is answered. */
  entered?(memberId: string): void;
}

interface JoinedMember {
  readonly memberId: string;
  readonly groupInstanceId: string | null;
  readonly metadata: Buffer;
}

export interface JoinResult {
  readonly errorCode: number;
  readonly generationId: number;
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  readonly leader: string;
  readonly skipAssignment: boolean;
  readonly memberId: string;
  /** For the leader only: everybody with the metadata of the chosen protocol. */
  readonly members: readonly JoinedMember[];
}

export interface SyncRequest {
  readonly memberId: string;
  readonly groupInstanceId: string | null;
  readonly generationId: number;
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  readonly assignments: readonly { readonly memberId: string; readonly assignment: Buffer }[];
}

export interface SyncResult {
  readonly errorCode: number;
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  readonly assignment: Buffer;
}

export type Answer<Result> = (result: Result) => void;

export const NOTHING = Buffer.alloc(0);

export class Member {
  id: string;
  readonly instanceId: string | null;
  clientId = '';
  clientHost = '';
  sessionTimeoutMs = 0;
  rebalanceTimeoutMs = 0;
  protocols: readonly GroupProtocol[] = [];
  assignment: Buffer = NOTHING;
  awaitingJoin: Answer<JoinResult> | null = null;
  awaitingSync: Answer<SyncResult> | null = null;
  /** Has asked for its assignment in this generation. */
  synced = false;
  /** Monotonic time of the last sign of life. */
  seenMs = 0;
  timer: Timer | null = null;

  constructor(id: string, instanceId: string | null) {
    this.id = id;
    this.instanceId = instanceId;
  }

  /** Takes what a JoinGroup says; copies the metadata out of the request's frame. */
  update(request: SaidByMember): void {
    this.clientId = request.clientId;
    this.clientHost = request.clientHost;
    this.sessionTimeoutMs = request.sessionTimeoutMs;
    this.rebalanceTimeoutMs = request.rebalanceTimeoutMs;
    this.protocols = request.protocols.map(({ name, metadata }) => ({
      name,
      metadata: Buffer.from(metadata),
    }));
  }

  /** Same protocols, in the same order, with the same metadata? */
  matches(protocols: readonly GroupProtocol[]): boolean {
    return (
      protocols.length === this.protocols.length &&
      protocols.every(({ name, metadata }, index) => {
        const mine = this.protocols[index]!;
        return mine.name === name && mine.metadata.equals(metadata);
      })
    );
  }

  supports(protocolName: string): boolean {
    return this.protocols.some(({ name }) => name === protocolName);
  }

  metadata(protocolName: string): Buffer {
    return this.protocols.find(({ name }) => name === protocolName)?.metadata ?? NOTHING;
  }
}

const NO_GENERATION = -1;

export function refusedJoin(errorCode: number, memberId: string): JoinResult {
  return {
    errorCode,
    generationId: NO_GENERATION,
    protocolType: null,
    protocolName: null,
    leader: '',
    skipAssignment: false,
    memberId,
    members: [],
  };
}

export function refusedSync(errorCode: number): SyncResult {
  return { errorCode, protocolType: null, protocolName: null, assignment: NOTHING };
}
