/**
 * A share group (KIP-932): who its members are and which partitions each reads. A member has its
 * new partitions with the next heartbeat; nobody must give up anything first, because partitions
 * are shared. What clients say comes in by `share-heartbeat.ts`.
 */
import { createHash } from 'node:crypto';
import type { Clock, Timer, Timers } from '#kit';
import {
  type Assignment,
  assignmentOf,
  isSame,
  listOf,
  NO_PARTITIONS,
  type TopicPartitions,
} from '../groups/assignment.ts';
import type { GroupTopics } from '../groups/consumer-group.ts';
import { assignShares } from './share-assignor.ts';

interface ShareMemberFacts {
  readonly id: string;
  readonly rackId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly topicNames: readonly string[];
  readonly epoch: number;
  readonly previousEpoch: number;
  readonly assigned: Assignment;
  readonly target: Assignment;
}

export class ShareMember {
  facts: ShareMemberFacts;
  /** Monotonic time of the last sign of life. */
  seenMs = 0;
  timer: Timer | null = null;

  constructor(facts: ShareMemberFacts) {
    this.facts = facts;
  }
}

interface StoredMember extends Omit<ShareMemberFacts, 'assigned' | 'target'> {
  readonly assigned: readonly TopicPartitions[];
  readonly target: readonly TopicPartitions[];
}

export interface StoredShareGroup {
  readonly epoch: number;
  readonly assignmentEpoch: number;
  readonly fingerprint: string;
  /** Topics with a place of the group, and in how many partitions. */
  readonly topics: readonly (readonly [topicId: string, partitions: number])[];
  readonly members: readonly StoredMember[];
}

export interface ShareGroupHost {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly topics: GroupTopics;
  sessionTimeoutMs(groupId: string): number;
  /** A member is gone: what it had in hand goes back. */
  memberGone(group: ShareGroup, memberId: string): void;
}

export class ShareGroup {
  readonly id: string;
  readonly host: ShareGroupHost;
  epoch = 0;
  assignmentEpoch = 0;
  readonly members = new Map<string, ShareMember>();
  /** In how many partitions of each topic the group has a place. */
  readonly topics = new Map<string, number>();
  /** Something is to be stored. */
  changed = false;
  /** Changes that are on their way to the disk. */
  saves = 0;
  /** Places that are being looked up. */
  preparing: Promise<void> | null = null;
  #fingerprint = '';
  #partitions: ReadonlyMap<string, number> = new Map();
  #topicsVersion = -1;

  constructor(id: string, host: ShareGroupHost) {
    this.id = id;
    this.host = host;
  }

  get state(): string {
    return this.members.size === 0 ? 'Empty' : 'Stable';
  }

  /** Topics that members read, with their numbers of partitions. */
  get partitions(): ReadonlyMap<string, number> {
    return this.#partitions;
  }

  restore(stored: StoredShareGroup): void {
    this.epoch = stored.epoch;
    this.assignmentEpoch = stored.assignmentEpoch;
    this.#fingerprint = stored.fingerprint;
    for (const [topicId, count] of stored.topics) this.topics.set(topicId, count);
    for (const { assigned, target, ...facts } of stored.members) {
      const lists = { assigned: assignmentOf(assigned), target: assignmentOf(target) };
      this.#put({ ...facts, ...lists });
    }
    this.changed = false;
  }

  stored(): StoredShareGroup {
    const { epoch, assignmentEpoch } = this;
    const members = [...this.members.values()].map(({ facts }) => ({
      ...facts,
      ...{ assigned: listOf(facts.assigned), target: listOf(facts.target) },
    }));
    const topics = [...this.topics];
    return { epoch, assignmentEpoch, fingerprint: this.#fingerprint, topics, members };
  }

  enter(id: string): ShareMember {
    const nothing = { rackId: null, clientId: '', clientHost: '', topicNames: [] };
    const parts = { assigned: NO_PARTITIONS, target: NO_PARTITIONS };
    return this.#put({ id, ...nothing, ...parts, epoch: 0, previousEpoch: 0 });
  }

  update(member: ShareMember, changes: Partial<ShareMemberFacts>): void {
    member.facts = { ...member.facts, ...changes };
    this.changed = true;
  }

  remove(member: ShareMember): void {
    const { id } = member.facts;
    member.timer?.cancel();
    if (!this.members.delete(id)) return;
    this.epoch++;
    this.#topicsVersion = -1;
    this.changed = true;
    this.host.memberGone(this, id);
  }

  /** Looks whether there is something new to assign; the member gets what it is meant to have. */
  advance(member: ShareMember, subscribed: boolean): void {
    if (subscribed || this.host.topics.version !== this.#topicsVersion) {
      if (this.#lookUpTopics() || subscribed) this.epoch++;
    }
    if (this.epoch > this.assignmentEpoch) this.#assign();
    const { epoch, assigned, target } = member.facts;
    if (epoch === this.assignmentEpoch && isSame(assigned, target)) return;
    this.update(member, { epoch: this.assignmentEpoch, previousEpoch: epoch, assigned: target });
  }

  #put(facts: ShareMemberFacts): ShareMember {
    const member = new ShareMember(facts);
    this.members.set(facts.id, member);
    this.changed = true;
    this.seen(member);
    this.#watch(member);
    return member;
  }

  /** @returns whether they are others than before, or of another size */
  #lookUpTopics(): boolean {
    const partitions = new Map<string, number>();
    for (const { facts } of this.members.values()) {
      for (const name of facts.topicNames) {
        const topic = this.host.topics.find(name);
        if (topic !== undefined) partitions.set(topic.topicId, topic.partitions);
      }
    }
    this.#partitions = partitions;
    this.#topicsVersion = this.host.topics.version;
    const text = [...partitions].map(([id, count]) => `${id} ${count}`).sort();
    const fingerprint = createHash('sha1').update(text.join()).digest('base64');
    if (fingerprint === this.#fingerprint) return false;
    this.#fingerprint = fingerprint;
    this.changed = true;
    return true;
  }

  #assign(): void {
    const members = [...this.members.values()].map(({ facts }) => ({
      id: facts.id,
      before: facts.target,
      topicIds: new Set(
        facts.topicNames.flatMap((name) => this.host.topics.find(name)?.topicId ?? []),
      ),
    }));
    const targets = assignShares(members, this.#partitions);
    for (const member of this.members.values()) {
      const target = targets.get(member.facts.id)!;
      if (!isSame(target, member.facts.target)) this.update(member, { target });
    }
    this.assignmentEpoch = this.epoch;
    this.changed = true;
  }

  // ---- time ---------------------------------------------------------------------------------

  seen(member: ShareMember): void {
    member.seenMs = this.host.clock.monotonicMs();
  }

  /** One timer per member, which a heartbeat does not touch: it looks when it fires. */
  #watch(member: ShareMember): void {
    const limitMs = this.host.sessionTimeoutMs(this.id);
    const silentMs = this.host.clock.monotonicMs() - member.seenMs;
    if (silentMs >= limitMs) this.remove(member);
    else member.timer = this.host.timers.after(limitMs - silentMs, () => this.#watch(member));
  }

  /** The group is deleted, or the server stops. */
  end(): void {
    for (const member of this.members.values()) member.timer?.cancel();
    this.members.clear();
  }
}
