/**
 * A consumer group of KIP-848: the server decides who reads what. Whatever changes who should read
 * what makes a new group epoch; a new epoch makes a new target assignment; each member is led to
 * it, heartbeat by heartbeat (`reconcile.ts`). What clients say comes in by `consumer-heartbeat.ts`
 * and `classic-membership.ts`. It knows no bytes and no connection.
 */
import { createHash } from 'node:crypto';
import type { Clock, Timers } from '#kit';
import { type Assignment, isSame, NO_PARTITIONS } from './assignment.ts';
import { ASSIGNORS, DEFAULT_ASSIGNOR } from './assignors.ts';
import {
  AWAY_EPOCH,
  ConsumerMember,
  type MemberFacts,
  type MemberTimer,
} from './consumer-member.ts';
import type { Answer, JoinRequest, JoinResult } from './member.ts';
import { Owners } from './owners.ts';
import { reconcile } from './reconcile.ts';

export interface GroupTopic {
  readonly topicId: string;
  readonly partitions: number;
}

/** What groups know of topics. */
export interface GroupTopics {
  /** Grows when a topic comes, goes or gets more partitions. */
  readonly version: number;
  find(name: string): GroupTopic | undefined;
  nameOf(topicId: string): string | undefined;
  idOf(name: string): string | undefined;
}

export interface ConsumerGroupHost {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly topics: GroupTopics;
  readonly consumerMembersMax: number;
  newMemberId(prefix: string): string;
  sessionTimeoutMs(groupId: string): number;
  heartbeatIntervalMs(groupId: string): number;
  /** Stores what changed, or could not; the group goes on either way. */
  saveConsumers(group: ConsumerGroup, done: () => void): void;
  /**
   * A member went: the group may be empty, or have classic members only.
   * @returns whether it is a classic group now, and this one has ended
   */
  memberWent(group: ConsumerGroup): boolean;
  /** JoinGroup, after the group became a classic one. */
  joinAgain(groupId: string, request: JoinRequest, answer: Answer<JoinResult>): void;
}

type ConsumerGroupState = 'Empty' | 'Assigning' | 'Reconciling' | 'Stable' | 'Dead';

export interface StoredConsumerGroup {
  readonly epoch: number;
  readonly assignmentEpoch: number;
  readonly fingerprint: string;
}

export class ConsumerGroup {
  readonly type = 'consumer';
  readonly id: string;
  readonly host: ConsumerGroupHost;
  epoch = 0;
  assignmentEpoch = 0;
  /** Stands for the topics that are read and their sizes, as of the last epoch. */
  fingerprint = '';
  readonly members = new Map<string, ConsumerMember>();
  /** Members that changed or went since the last save, and whether the group itself did. */
  readonly changedMembers = new Set<string>();
  changed = false;
  readonly #instances = new Map<string, ConsumerMember>();
  readonly #owners = new Owners();
  /** Partitions of the topics that are read; null until they were looked up. */
  #partitions: ReadonlyMap<string, number> | null = null;
  #topicsVersion = -1;
  #saves = 0;
  #ended = false;

  constructor(id: string, host: ConsumerGroupHost) {
    this.id = id;
    this.host = host;
  }

  /** As it was stored, or as a classic group left it: members have a session to be heard of. */
  restore(stored: StoredConsumerGroup, members: Iterable<MemberFacts>): void {
    this.epoch = stored.epoch;
    this.assignmentEpoch = stored.assignmentEpoch;
    this.fingerprint = stored.fingerprint;
    for (const facts of members) {
      const member = this.enter(facts);
      this.changedMembers.delete(member.id);
      this.watchSession(member);
      if (facts.state === 'unrevoked' && facts.classic === null) this.#watchRevocation(member);
    }
  }

  get state(): ConsumerGroupState {
    if (this.#ended) return 'Dead';
    if (this.members.size === 0) return 'Empty';
    if (this.epoch > this.assignmentEpoch) return 'Assigning';
    for (const member of this.members.values()) {
      if (!member.isReconciledTo(this.assignmentEpoch)) return 'Reconciling';
    }
    return 'Stable';
  }

  get protocolType(): string {
    return 'consumer';
  }

  get idle(): boolean {
    return this.members.size === 0;
  }

  /** What most members that name one want. */
  get assignor(): string {
    const votes = new Map<string, number>();
    let winner = DEFAULT_ASSIGNOR;
    for (const { facts } of this.members.values()) {
      if (facts.assignor === null) continue;
      const count = (votes.get(facts.assignor) ?? 0) + 1;
      votes.set(facts.assignor, count);
      if (count > (winner === facts.assignor ? 0 : (votes.get(winner) ?? 0)))
        winner = facts.assignor;
    }
    return winner;
  }

  instance(instanceId: string): ConsumerMember | undefined {
    return this.#instances.get(instanceId);
  }

  /** Does somebody read this topic? */
  reads(topic: string): boolean {
    for (const { facts } of this.members.values()) {
      if (facts.topicNames.includes(topic) || facts.matched.includes(topic)) return true;
    }
    return false;
  }

  allAreClassic(): boolean {
    for (const { facts } of this.members.values()) if (facts.classic === null) return false;
    return true;
  }

  // ---- members ------------------------------------------------------------------------------

  enter(facts: MemberFacts): ConsumerMember {
    // A client that now calls itself an instance: what it had under this id is free.
    const old = this.members.get(facts.id);
    if (old !== undefined) this.#drop(old);
    const member = new ConsumerMember(facts);
    this.members.set(facts.id, member);
    if (facts.instanceId !== null) this.#instances.set(facts.instanceId, member);
    this.#owners.add(facts.id, facts.assigned);
    this.#owners.add(facts.id, facts.revoking);
    this.changedMembers.add(facts.id);
    this.seen(member);
    return member;
  }

  /** A static member came back: it takes its old place under a new id. */
  replace(old: ConsumerMember, id: string): ConsumerMember {
    this.#drop(old);
    return this.enter({
      ...old.facts,
      ...{ id, epoch: 0, previousEpoch: 0, state: 'stable', revoking: NO_PARTITIONS },
    });
  }

  /** The client began anew and has nothing. */
  reset(member: ConsumerMember): void {
    this.#owners.remove(member.id, member.facts.assigned);
    this.#owners.remove(member.id, member.facts.revoking);
    const nothing = { assigned: NO_PARTITIONS, revoking: NO_PARTITIONS };
    this.update(member, { ...nothing, epoch: 0, previousEpoch: 0, state: 'stable' });
    member.stopTimer('rebalance');
  }

  /** A static member goes and will be back: nobody gets what it has until its session ends. */
  leaveForNow(member: ConsumerMember): void {
    this.#owners.remove(member.id, member.facts.revoking);
    member.stopTimer('rebalance');
    this.update(member, { epoch: AWAY_EPOCH, state: 'stable', revoking: NO_PARTITIONS });
  }

  remove(member: ConsumerMember): void {
    this.#drop(member);
    // Perhaps nobody reads some topic any more.
    this.#topicsVersion = -1;
    this.#newEpoch();
    this.host.memberWent(this);
  }

  update(member: ConsumerMember, changes: Partial<MemberFacts>): void {
    member.facts = { ...member.facts, ...changes };
    this.changedMembers.add(member.id);
  }

  #drop(member: ConsumerMember): void {
    member.stop();
    const { id, instanceId, assigned, revoking } = member.facts;
    this.members.delete(id);
    if (instanceId !== null) this.#instances.delete(instanceId);
    this.#owners.remove(id, assigned);
    this.#owners.remove(id, revoking);
    this.changedMembers.add(id);
  }

  // ---- epochs -------------------------------------------------------------------------------

  /**
   * Goes on with a member: looks whether its subscription or the topics ask for a new assignment,
   * and leads it one step further.
   * @param owned what its client says it has; null when it says nothing
   */
  advance(member: ConsumerMember, owned: Assignment | null, subscribed: boolean): void {
    if (subscribed || this.host.topics.version !== this.#topicsVersion) {
      const matters = this.#lookUpTopics() || subscribed;
      if (matters && this.epoch === this.assignmentEpoch) this.#newEpoch();
    }
    if (this.epoch > this.assignmentEpoch) this.#assign();
    this.#lead(member, owned);
  }

  /** Are partitions that it is meant to have with others still? */
  waitsForOthers(member: ConsumerMember): boolean {
    for (const [topicId, partitions] of member.facts.target) {
      for (const partition of partitions) {
        const owner = this.#owners.of(topicId, partition);
        if (owner !== undefined && owner !== member.id) return true;
      }
    }
    return false;
  }

  #newEpoch(): void {
    this.epoch++;
    this.changed = true;
  }

  /** @returns whether they are others than before, or of another size */
  #lookUpTopics(): boolean {
    const partitions = new Map<string, number>();
    const seen = new Set<string>();
    for (const { facts } of this.members.values()) {
      for (const names of [facts.topicNames, facts.matched]) {
        for (const name of names) {
          if (seen.has(name)) continue;
          seen.add(name);
          const topic = this.host.topics.find(name);
          if (topic !== undefined) partitions.set(topic.topicId, topic.partitions);
        }
      }
    }
    this.#partitions = partitions;
    this.#topicsVersion = this.host.topics.version;
    const text = [...partitions].map(([id, count]) => `${id} ${count}`).sort();
    const fingerprint = createHash('sha1').update(text.join()).digest('base64');
    if (fingerprint === this.fingerprint) return false;
    this.fingerprint = fingerprint;
    this.changed = true;
    return true;
  }

  #assign(): void {
    if (this.#partitions === null) this.#lookUpTopics();
    const members = [...this.members.values()].map(({ facts }) => ({
      id: facts.id,
      instanceId: facts.instanceId,
      topicIds: this.#topicIds(facts),
      before: facts.target,
    }));
    const targets = ASSIGNORS[this.assignor]!(members, this.#partitions!);
    for (const member of this.members.values()) {
      const target = targets.get(member.id)!;
      if (!isSame(target, member.facts.target)) this.update(member, { target });
    }
    this.assignmentEpoch = this.epoch;
    this.changed = true;
  }

  #topicIds(facts: MemberFacts): Set<string> {
    const ids = new Set<string>();
    for (const names of [facts.topicNames, facts.matched]) {
      for (const name of names) {
        const topicId = this.host.topics.idOf(name);
        if (topicId !== undefined && this.#partitions!.has(topicId)) ids.add(topicId);
      }
    }
    return ids;
  }

  #lead(member: ConsumerMember, owned: Assignment | null): void {
    const { facts } = member;
    const step = reconcile(facts, {
      ...{ epoch: this.assignmentEpoch, target: facts.target, owned },
      isTaken: (topicId, partition) => {
        const owner = this.#owners.of(topicId, partition);
        return owner !== undefined && owner !== facts.id;
      },
    });
    if (step === null) return;
    const waits = step.epoch === facts.epoch && step.state === 'unreleased';
    if (waits && facts.state === step.state && isSame(step.assigned, facts.assigned)) return;
    this.#owners.remove(facts.id, facts.assigned);
    this.#owners.remove(facts.id, facts.revoking);
    this.#owners.add(facts.id, step.assigned);
    this.#owners.add(facts.id, step.revoking);
    this.update(member, { ...step, previousEpoch: facts.epoch });
    if (step.state === 'unrevoked' && facts.classic === null) this.#watchRevocation(member);
    else member.stopTimer('rebalance');
  }

  // ---- time ---------------------------------------------------------------------------------

  seen(member: ConsumerMember): void {
    member.seenMs = this.host.clock.monotonicMs();
  }

  /** One timer per member, which a heartbeat does not touch: it looks when it fires. */
  watchSession(member: ConsumerMember): void {
    const limitMs = this.sessionTimeoutMs(member);
    const silentMs = this.host.clock.monotonicMs() - member.seenMs;
    if (silentMs >= limitMs) this.expel(member);
    else this.within(member, 'session', limitMs - silentMs, () => this.watchSession(member));
  }

  sessionTimeoutMs({ facts }: ConsumerMember): number {
    return facts.classic?.sessionTimeoutMs ?? this.host.sessionTimeoutMs(this.id);
  }

  within(member: ConsumerMember, name: MemberTimer, ms: number, call: () => void): void {
    const fire = (): void => {
      member.stopTimer(name);
      call();
    };
    member.setTimer(name, this.host.timers.after(ms, fire));
  }

  /** Who does not give up in time what it was told to loses everything. */
  #watchRevocation(member: ConsumerMember): void {
    this.within(member, 'rebalance', member.facts.rebalanceTimeoutMs, () => this.expel(member));
  }

  expel(member: ConsumerMember): void {
    if (this.members.get(member.id) !== member) return;
    this.remove(member);
    this.save(() => {});
  }

  /** Ends all timers: the group is deleted or becomes another one, or the server stops. */
  end(): void {
    this.#ended = true;
    for (const member of this.members.values()) member.stop();
    this.members.clear();
  }

  // ---- storing ------------------------------------------------------------------------------

  /** Tells when all that was changed so far is stored: nobody works with what may be forgotten. */
  save(done: () => void): void {
    if (!this.changed && this.changedMembers.size === 0 && this.#saves === 0) {
      done();
      return;
    }
    this.#saves++;
    this.host.saveConsumers(this, () => {
      this.#saves--;
      done();
    });
    this.changed = false;
    this.changedMembers.clear();
  }
}
