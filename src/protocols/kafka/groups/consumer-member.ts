/**
 * One member of a consumer group (KIP-848): what it reads, where it is on the way to what it is
 * meant to have, and its timers. A member that speaks the classic protocol has a `classic` side.
 */
import type { Timer } from '#kit';
import { type Assignment, NO_PARTITIONS } from './assignment.ts';
import type { GroupProtocol } from './member.ts';
import type { MemberState } from './reconcile.ts';

/** Epoch of a static member that went, and will be back within its session. */
export const AWAY_EPOCH = -2;

interface ClassicSide {
  readonly sessionTimeoutMs: number;
  readonly protocols: readonly GroupProtocol[];
}

/** What of a member is stored. */
export interface MemberFacts {
  readonly id: string;
  readonly instanceId: string | null;
  readonly rackId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly rebalanceTimeoutMs: number;
  readonly topicNames: readonly string[];
  readonly pattern: string | null;
  /** Names that the pattern stands for, as far as the member may know them. */
  readonly matched: readonly string[];
  readonly assignor: string | null;
  readonly epoch: number;
  readonly previousEpoch: number;
  readonly state: MemberState;
  readonly assigned: Assignment;
  readonly revoking: Assignment;
  readonly target: Assignment;
  readonly classic: ClassicSide | null;
}

export const NEW_MEMBER: Omit<MemberFacts, 'id' | 'instanceId'> = {
  rackId: null,
  clientId: '',
  clientHost: '',
  rebalanceTimeoutMs: 0,
  topicNames: [],
  pattern: null,
  matched: [],
  assignor: null,
  epoch: 0,
  previousEpoch: 0,
  state: 'stable',
  assigned: NO_PARTITIONS,
  revoking: NO_PARTITIONS,
  target: NO_PARTITIONS,
  classic: null,
};

/** `session` is for good; the others run while the client owes something. */
export type MemberTimer = 'session' | 'rebalance' | 'join' | 'sync';

export class ConsumerMember {
  facts: MemberFacts;
  /** Monotonic time of the last sign of life. */
  seenMs = 0;
  /** Version of the patterns' matches that `matched` was taken from; -1: must be looked up. */
  matchedVersion = -1;
  readonly #timers = new Map<MemberTimer, Timer>();

  constructor(facts: MemberFacts) {
    this.facts = facts;
  }

  get id(): string {
    return this.facts.id;
  }

  isReconciledTo(epoch: number): boolean {
    return this.facts.state === 'stable' && this.facts.epoch === epoch;
  }

  hasTimer(name: MemberTimer): boolean {
    return this.#timers.has(name);
  }

  setTimer(name: MemberTimer, timer: Timer): void {
    this.#timers.get(name)?.cancel();
    this.#timers.set(name, timer);
  }

  stopTimer(name: MemberTimer): void {
    this.#timers.get(name)?.cancel();
    this.#timers.delete(name);
  }

  stop(): void {
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
  }
}
