/**
 * A classic consumer group: the life of `GroupCoordinator` as clients know it (Kafka protocol
 * guide, "Group Membership API"; KIP-345 static members, KIP-394 ids first, KIP-814). Each finished
 * generation is handed out to be stored, and comes back after a restart with its members (K62). It
 * knows no bytes, no connection and no offset: `coordinator.ts` joins these.
 */
import type { Clock, Timer, Timers } from '#kit';
import { KAFKA } from '../error-codes.ts';
import { joinResult, syncResult } from './group-answers.ts';
import {
  type Answer,
  type GroupProtocol,
  type JoinRequest,
  type JoinResult,
  Member,
  NOTHING,
  refusedJoin,
  refusedSync,
  type SyncRequest,
  type SyncResult,
} from './member.ts';
import { winningProtocol } from './protocol-vote.ts';
import type { StoredGroup } from './stored-group.ts';

export type GroupState = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable' | 'Dead';

export interface GroupHost {
  readonly clock: Clock;
  readonly timers: Timers;
  newMemberId(prefix: string): string;
  /** Time that the first rebalance of an empty group waits for more members. */
  readonly initialRebalanceDelayMs: number;
  readonly membersMax: number;
  /** The last member went. */
  emptied(group: Group): void;
  /** Stores the generation that is complete now, or could not; the group goes on either way. */
  save(group: Group, done: () => void): void;
}

export class Group {
  readonly type = 'classic';
  readonly id: string;
  state: GroupState = 'Empty';
  generation = 0;
  protocolType: string | null = null;
  protocolName: string | null = null;
  leaderId: string | null = null;
  readonly members = new Map<string, Member>();
  readonly #host: GroupHost;
  /** Member id of each `group.instance.id`. */
  readonly #instances = new Map<string, string>();
  /** Ids that were given to clients which have not joined with them yet. */
  readonly #promised = new Map<string, Timer>();
  #rebalanceTimer: Timer | null = null;
  /** While the first rebalance waits for more members: how long it may go on; otherwise null. */
  #gathering: { leftMs: number; newcomer: boolean } | null = null;

  constructor(id: string, host: GroupHost) {
    this.id = id;
    this.#host = host;
  }

  /**
   * As it was stored: its members have their session timeout to be heard of, and go on without a
   * rebalance when they are.
   */
  restore({ generation, protocolType, protocolName, leaderId, members }: StoredGroup): void {
    this.generation = generation;
    this.protocolType = protocolType;
    this.protocolName = protocolName;
    this.leaderId = leaderId;
    for (const { id, instanceId, assignment, ...said } of members) {
      const member = new Member(id, instanceId);
      member.update(said);
      member.assignment = assignment;
      member.synced = true;
      this.members.set(id, member);
      if (instanceId !== null) this.#instances.set(instanceId, id);
      this.#seen(member);
      this.#arm(member, member.sessionTimeoutMs);
    }
    if (members.length > 0) this.state = 'Stable';
  }

  /** Nothing would be lost if the group were forgotten. */
  get idle(): boolean {
    return this.state === 'Empty' && this.members.size === 0 && this.#promised.size === 0;
  }

  join(request: JoinRequest, answer: Answer<JoinResult>): void {
    const fault = this.#protocolsFault(request.protocolType, request.protocols);
    if (fault !== KAFKA.NONE) answer(refusedJoin(fault, request.memberId));
    else if (request.memberId === '') this.#joinNew(request, answer);
    else this.#rejoin(request, answer);
  }

  /** Answers at once or, for followers, when the leader has brought the assignments. */
  sync(request: SyncRequest, answer: Answer<SyncResult>): void {
    const fault = this.#syncFault(request);
    if (fault !== KAFKA.NONE) {
      answer(refusedSync(fault));
      return;
    }
    const member = this.members.get(request.memberId)!;
    this.#seen(member);
    member.synced = true;
    if (this.state === 'Stable') {
      this.#stopWaitingForSyncs();
      answer(syncResult(this, member));
      return;
    }
    member.awaitingSync?.(refusedSync(KAFKA.REBALANCE_IN_PROGRESS));
    member.awaitingSync = answer;
    if (member.id === this.leaderId) this.#assign(request.assignments);
  }

  /** @returns an error code */
  heartbeat(memberId: string, instanceId: string | null, generation: number): number {
    const fault = this.memberFault(memberId, instanceId);
    if (fault !== KAFKA.NONE) return fault;
    if (generation !== this.generation) return KAFKA.ILLEGAL_GENERATION;
    this.#seen(this.members.get(memberId)!);
    return this.state === 'PreparingRebalance' ? KAFKA.REBALANCE_IN_PROGRESS : KAFKA.NONE;
  }

  /** Takes leave of one member. @returns an error code */
  leave(memberId: string, instanceId: string | null): number {
    if (this.#promised.has(memberId)) {
      this.#dropPromise(memberId);
      this.#completeWhenAllJoined();
      return KAFKA.NONE;
    }
    // An administrator removes static members by instance id alone (KIP-345).
    const byInstance = memberId === '' && instanceId !== null;
    const id = byInstance ? (this.#instances.get(instanceId) ?? '') : memberId;
    const fault = this.memberFault(id, instanceId);
    if (fault !== KAFKA.NONE) return fault;
    this.#remove(this.members.get(id)!);
    return KAFKA.NONE;
  }

  /** May this member commit offsets now? @returns an error code */
  commitFault(memberId: string, instanceId: string | null, generation: number): number {
    if (generation < 0 && this.state === 'Empty') return KAFKA.NONE;
    if (generation >= 0 || memberId !== '' || instanceId !== null) {
      const fault = this.memberFault(memberId, instanceId);
      if (fault !== KAFKA.NONE) return fault;
    } else if (this.state !== 'Empty') return KAFKA.UNKNOWN_MEMBER_ID;
    if (generation !== this.generation) return KAFKA.ILLEGAL_GENERATION;
    if (this.state === 'CompletingRebalance') return KAFKA.REBALANCE_IN_PROGRESS;
    const member = this.members.get(memberId);
    if (member !== undefined) this.#seen(member);
    return KAFKA.NONE;
  }

  /** Is it a member, and not one whose place a newer instance took? @returns an error code */
  memberFault(memberId: string, instanceId: string | null): number {
    if (instanceId !== null) {
      const current = this.#instances.get(instanceId);
      if (current === undefined) return KAFKA.UNKNOWN_MEMBER_ID;
      return current === memberId ? KAFKA.NONE : KAFKA.FENCED_INSTANCE_ID;
    }
    return this.members.has(memberId) ? KAFKA.NONE : KAFKA.UNKNOWN_MEMBER_ID;
  }

  /** Ends all waiting and all timers: the group is deleted, or the server stops. */
  end(errorCode: number): void {
    this.state = 'Dead';
    this.#stopRebalanceTimer();
    for (const timer of this.#promised.values()) timer.cancel();
    this.#promised.clear();
    for (const member of this.members.values()) this.#dismiss(member, errorCode);
    this.members.clear();
    this.#instances.clear();
  }

  // ---- joining ------------------------------------------------------------------------------

  #protocolsFault(protocolType: string, protocols: readonly GroupProtocol[]): number {
    if (protocolType === '' || protocols.length === 0) return KAFKA.INCONSISTENT_GROUP_PROTOCOL;
    if (this.members.size === 0) return KAFKA.NONE;
    const members = [...this.members.values()];
    const shared = protocols.some(({ name }) => members.every((member) => member.supports(name)));
    return shared && protocolType === this.protocolType
      ? KAFKA.NONE
      : KAFKA.INCONSISTENT_GROUP_PROTOCOL;
  }

  #joinNew(request: JoinRequest, answer: Answer<JoinResult>): void {
    const { groupInstanceId } = request;
    const replaced = groupInstanceId === null ? undefined : this.#instances.get(groupInstanceId);
    const id = this.#host.newMemberId(groupInstanceId ?? request.clientId);
    if (replaced !== undefined) {
      this.#replace(this.members.get(replaced)!, id, request, answer);
    } else if (this.members.size + this.#promised.size >= this.#host.membersMax) {
      answer(refusedJoin(KAFKA.GROUP_MAX_SIZE_REACHED, ''));
    } else if (request.idFirst && groupInstanceId === null) {
      const timer = this.#host.timers.after(request.sessionTimeoutMs, () => {
        this.#dropPromise(id);
        this.#completeWhenAllJoined();
        if (this.idle) this.#host.emptied(this);
      });
      this.#promised.set(id, timer);
      answer(refusedJoin(KAFKA.MEMBER_ID_REQUIRED, id));
    } else this.#add(id, request, answer);
  }

  #rejoin(request: JoinRequest, answer: Answer<JoinResult>): void {
    const { memberId, groupInstanceId } = request;
    if (groupInstanceId === null && this.#promised.has(memberId)) {
      this.#dropPromise(memberId);
      this.#add(memberId, request, answer);
      return;
    }
    const fault = this.memberFault(memberId, groupInstanceId);
    if (fault !== KAFKA.NONE) {
      answer(refusedJoin(fault, memberId));
      return;
    }
    const member = this.members.get(memberId)!;
    const same = member.matches(request.protocols);
    const settled =
      (this.state === 'CompletingRebalance' && same) ||
      (this.state === 'Stable' && same && memberId !== this.leaderId);
    if (settled) {
      member.update(request);
      this.#seen(member);
      answer(joinResult(this, member));
      return;
    }
    this.#await(member, request, answer);
    this.rebalance();
  }

  #add(id: string, request: JoinRequest, answer: Answer<JoinResult>): void {
    const member = new Member(id, request.groupInstanceId);
    this.members.set(id, member);
    if (member.instanceId !== null) this.#instances.set(member.instanceId, id);
    if (this.members.size === 1) this.protocolType = request.protocolType;
    this.leaderId ??= id;
    request.entered?.(id);
    this.#await(member, request, answer);
    this.#arm(member, member.sessionTimeoutMs);
    if (this.#gathering !== null) this.#gathering.newcomer = true;
    this.rebalance();
  }

  /** A static member came back without its member id: it takes its old place (KIP-345). */
  #replace(member: Member, id: string, request: JoinRequest, answer: Answer<JoinResult>): void {
    const oldId = member.id;
    const oldLeader = this.leaderId ?? '';
    member.awaitingJoin?.(refusedJoin(KAFKA.FENCED_INSTANCE_ID, oldId));
    member.awaitingJoin = null;
    member.awaitingSync?.(refusedSync(KAFKA.FENCED_INSTANCE_ID));
    member.awaitingSync = null;
    this.members.delete(oldId);
    member.id = id;
    this.members.set(id, member);
    this.#instances.set(member.instanceId!, id);
    if (this.leaderId === oldId) this.leaderId = id;
    member.update(request);
    this.#seen(member);
    if (
      this.state !== 'Stable' ||
      winningProtocol([...this.members.values()]) !== this.protocolName
    ) {
      member.awaitingJoin = answer;
      this.rebalance();
      return;
    }
    // Its assignment still holds, so nobody needs to be disturbed.
    const result = joinResult(this, member);
    const told = request.canSkipAssignment
      ? { ...result, skipAssignment: id === this.leaderId }
      : { ...result, leader: oldLeader, members: [] };
    this.#host.save(this, () => answer(told));
  }

  #await(member: Member, request: JoinRequest, answer: Answer<JoinResult>): void {
    member.awaitingJoin?.(refusedJoin(KAFKA.REBALANCE_IN_PROGRESS, member.id));
    member.update(request);
    member.awaitingJoin = answer;
    this.#seen(member);
  }

  #dropPromise(memberId: string): void {
    this.#promised.get(memberId)?.cancel();
    this.#promised.delete(memberId);
  }

  // ---- rebalance ----------------------------------------------------------------------------

  /** Begins a rebalance, or sees whether the one under way is complete. */
  rebalance(): void {
    if (this.state === 'PreparingRebalance') {
      this.#completeWhenAllJoined();
      return;
    }
    const first = this.state === 'Empty';
    for (const member of this.members.values()) {
      member.awaitingSync?.(refusedSync(KAFKA.REBALANCE_IN_PROGRESS));
      member.awaitingSync = null;
      member.synced = false;
    }
    this.#stopRebalanceTimer();
    this.state = 'PreparingRebalance';
    const delayMs = this.#host.initialRebalanceDelayMs;
    if (first && delayMs > 0) {
      this.#gathering = { leftMs: this.#rebalanceTimeoutMs(), newcomer: false };
      this.#gather(delayMs);
    } else this.#awaitJoins();
  }

  /** Waits for more members, and again while some came, up to the rebalance timeout. */
  #gather(delayMs: number): void {
    const gathering = this.#gathering!;
    const stepMs = Math.min(delayMs, gathering.leftMs);
    gathering.leftMs -= stepMs;
    gathering.newcomer = false;
    this.#rebalanceTimer = this.#host.timers.after(stepMs, () => {
      if (gathering.newcomer && gathering.leftMs > 0) {
        this.#gather(delayMs);
        return;
      }
      this.#gathering = null;
      this.#awaitJoins();
    });
  }

  #awaitJoins(): void {
    this.#rebalanceTimer = this.#host.timers.after(this.#rebalanceTimeoutMs(), () => {
      this.#completeJoin();
    });
    this.#completeWhenAllJoined();
  }

  #completeWhenAllJoined(): void {
    if (this.state !== 'PreparingRebalance' || this.#gathering !== null) return;
    if (this.#promised.size > 0) return;
    for (const member of this.members.values()) if (member.awaitingJoin === null) return;
    this.#completeJoin();
  }

  /** Ends the joining: who is not there loses its place, the others form the next generation. */
  #completeJoin(): void {
    this.#stopRebalanceTimer();
    for (const member of [...this.members.values()]) {
      if (member.awaitingJoin === null && member.instanceId === null) this.#forget(member);
    }
    if (this.members.size > 0 && this.#electLeader() === null) {
      this.#awaitJoins();
      return;
    }
    this.generation++;
    if (this.members.size === 0) {
      this.#becomeEmpty();
      return;
    }
    this.protocolName = winningProtocol([...this.members.values()]);
    this.state = 'CompletingRebalance';
    this.#rebalanceTimer = this.#host.timers.after(this.#rebalanceTimeoutMs(), () => {
      this.#expelUnsynced();
    });
    for (const member of this.members.values()) {
      const answer = member.awaitingJoin;
      member.awaitingJoin = null;
      this.#seen(member);
      answer?.(joinResult(this, member));
    }
  }

  /** The leader must be somebody who joined; it stays as long as it can. */
  #electLeader(): string | null {
    const leader = this.leaderId === null ? undefined : this.members.get(this.leaderId);
    if (leader !== undefined && leader.awaitingJoin !== null) return leader.id;
    for (const member of this.members.values()) {
      if (member.awaitingJoin !== null) {
        this.leaderId = member.id;
        return member.id;
      }
    }
    return null;
  }

  #assign(assignments: SyncRequest['assignments']): void {
    const byMember = new Map(assignments.map((one) => [one.memberId, one.assignment]));
    for (const member of this.members.values()) {
      const assignment = byMember.get(member.id);
      member.assignment = assignment === undefined ? NOTHING : Buffer.from(assignment);
    }
    const { generation } = this;
    // Nobody works with an assignment that a restart would forget.
    this.#host.save(this, () => {
      if (this.state === 'CompletingRebalance' && this.generation === generation) this.#stable();
    });
  }

  #stable(): void {
    this.state = 'Stable';
    for (const member of this.members.values()) {
      const answer = member.awaitingSync;
      member.awaitingSync = null;
      if (answer === null) continue;
      this.#seen(member);
      answer(syncResult(this, member));
    }
    this.#stopWaitingForSyncs();
  }

  #stopWaitingForSyncs(): void {
    for (const member of this.members.values()) if (!member.synced) return;
    this.#stopRebalanceTimer();
  }

  /** Members that joined but did not fetch their assignment within the rebalance timeout. */
  #expelUnsynced(): void {
    this.#rebalanceTimer = null;
    const lost = [...this.members.values()].filter((member) => !member.synced);
    for (const member of lost) this.#forget(member);
    if (lost.length > 0) this.rebalance();
  }

  #syncFault(request: SyncRequest): number {
    const fault = this.memberFault(request.memberId, request.groupInstanceId);
    if (fault !== KAFKA.NONE) return fault;
    if (request.generationId !== this.generation) return KAFKA.ILLEGAL_GENERATION;
    const otherType = request.protocolType !== null && request.protocolType !== this.protocolType;
    const otherName = request.protocolName !== null && request.protocolName !== this.protocolName;
    if (otherType || otherName) return KAFKA.INCONSISTENT_GROUP_PROTOCOL;
    return this.state === 'PreparingRebalance' ? KAFKA.REBALANCE_IN_PROGRESS : KAFKA.NONE;
  }

  // ---- members going ------------------------------------------------------------------------

  #remove(member: Member): void {
    this.#forget(member);
    if (this.state === 'Empty') return;
    this.rebalance();
  }

  #forget(member: Member): void {
    this.members.delete(member.id);
    if (member.instanceId !== null) this.#instances.delete(member.instanceId);
    this.#dismiss(member, KAFKA.UNKNOWN_MEMBER_ID);
    if (this.leaderId === member.id) {
      const [next] = this.members.keys();
      this.leaderId = next ?? null;
    }
  }

  #dismiss(member: Member, errorCode: number): void {
    member.timer?.cancel();
    member.timer = null;
    member.awaitingJoin?.(refusedJoin(errorCode, member.id));
    member.awaitingJoin = null;
    member.awaitingSync?.(refusedSync(errorCode));
    member.awaitingSync = null;
  }

  #becomeEmpty(): void {
    this.state = 'Empty';
    this.protocolName = null;
    this.leaderId = null;
    this.#host.emptied(this);
  }

  /** One timer per member, which a heartbeat does not touch: it looks when it fires. */
  #arm(member: Member, delayMs: number): void {
    member.timer = this.#host.timers.after(delayMs, () => {
      const silentMs = this.#host.clock.monotonicMs() - member.seenMs;
      if (member.awaitingJoin !== null || member.awaitingSync !== null) {
        this.#arm(member, member.sessionTimeoutMs);
      } else if (silentMs < member.sessionTimeoutMs) {
        this.#arm(member, member.sessionTimeoutMs - silentMs);
      } else this.#remove(member);
    });
  }

  #seen(member: Member): void {
    member.seenMs = this.#host.clock.monotonicMs();
  }

  #rebalanceTimeoutMs(): number {
    let longest = 0;
    for (const member of this.members.values()) {
      longest = Math.max(longest, member.rebalanceTimeoutMs);
    }
    return longest;
  }

  #stopRebalanceTimer(): void {
    this.#rebalanceTimer?.cancel();
    this.#rebalanceTimer = null;
    this.#gathering = null;
  }
}
