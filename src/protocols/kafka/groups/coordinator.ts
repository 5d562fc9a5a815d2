/**
 * The groups of this server, classic ones (`group.ts`) and those of KIP-848 (`consumer-group.ts`),
 * and their committed offsets. Offsets are the broker's cursors, on disk before a commit is
 * answered; so are members and what they were assigned.
 */
import type { CommittedOffset, Cursors } from '#broker';
import type { Host } from '#contract';
import type { BrokerError, Timer } from '#kit';
import { KAFKA } from '../error-codes.ts';
import type { GroupConfigs } from '../group-configs.ts';
import type { KafkaOptions } from '../options.ts';
import { beatClassic, joinClassic, leaveClassic, syncClassic } from './classic-membership.ts';
import { ConsumerGroup, type ConsumerGroupHost } from './consumer-group.ts';
import {
  type Heartbeat,
  type HeartbeatAnswer,
  heartbeat,
  heartbeatFault,
  refusedBeat,
} from './consumer-heartbeat.ts';
import { Group, type GroupHost } from './group.ts';
import {
  type Answer,
  type JoinRequest,
  type JoinResult,
  refusedJoin,
  refusedSync,
  type SyncRequest,
  type SyncResult,
} from './member.ts';
import { downgraded, upgraded } from './migration.ts';
import { PatternError } from './pattern-syntax.ts';
import { ConsumerGroupStore } from './stored-consumer-group.ts';
import { GroupStore } from './stored-group.ts';
import { TopicPatterns } from './topic-patterns.ts';
import { TopicsOfGroups } from './topics-of-groups.ts';

/** Committed offsets are looked through for old ones this often. */
const RETENTION_CHECK_MS = 10 * 60 * 1000;
/** A member id repeats what the client calls itself, for people who read it. */
const MEMBER_PREFIX_CHARS = 200;
const STOPS = 'The server stops.';

export interface GroupRow {
  readonly id: string;
  readonly type: 'classic' | 'consumer';
  readonly state: string;
  readonly protocolType: string;
  readonly members: number;
}

export class Coordinator {
  readonly patterns: TopicPatterns;
  readonly #groups = new Map<string, Group | ConsumerGroup>();
  readonly #cursors: Cursors;
  readonly #host: Host;
  readonly #options: KafkaOptions;
  readonly #groupHost: GroupHost & ConsumerGroupHost;
  readonly #store: GroupStore;
  readonly #consumerStore: ConsumerGroupStore;
  readonly topics: TopicsOfGroups;
  /** Groups of other kinds have these ids. */
  isForeign: (id: string) => boolean = () => false;
  /** When groups lost their last member: their offsets age from then on (KIP-211). */
  readonly #emptiedMs = new Map<string, number>();
  readonly #openedMs: number;
  #retentionTimer: Timer;
  #closed = false;

  constructor(host: Host, options: KafkaOptions, configs: GroupConfigs) {
    this.#host = host;
    this.#options = options;
    this.#cursors = host.broker.cursors;
    this.#openedMs = host.clock.nowMs();
    this.#store = new GroupStore(host.broker.state, host.log);
    this.#consumerStore = new ConsumerGroupStore(host.broker.state, host.log);
    this.patterns = new TopicPatterns(
      host.timers,
      () => this.topics.names(),
      (name) => this.topics.find(name) !== undefined,
      () => this.#patternsInUse(),
    );
    this.topics = new TopicsOfGroups(host.broker.streams, this.patterns);
    this.#groupHost = {
      clock: host.clock,
      timers: host.timers,
      topics: this.topics,
      consumerMembersMax: options.consumerGroupMembersMax,
      sessionTimeoutMs: (id) => configs.of(id).sessionTimeoutMs,
      heartbeatIntervalMs: (id) => configs.of(id).heartbeatIntervalMs,
      saveConsumers: (group, done) => this.#saveConsumers(group, done),
      memberWent: (group) => this.#memberWent(group),
      joinAgain: (id, request, answer) => this.join(id, request, answer),
      initialRebalanceDelayMs: options.groupInitialRebalanceDelay,
      membersMax: options.groupMembersMax,
      newMemberId: (prefix) => `${prefix.slice(0, MEMBER_PREFIX_CHARS)}-${this.#newUuid()}`,
      emptied: (group) => this.#emptied(group),
      save: (group, done) => this.#store.save(group, 0, done),
    };
    this.#reopen();
    this.#retentionTimer = host.timers.after(RETENTION_CHECK_MS, this.#expireOffsets);
  }

  /** A group that has or had members since the start. */
  find(id: string): Group | ConsumerGroup | undefined {
    return this.#groups.get(id);
  }

  exists(id: string): boolean {
    return this.#groups.has(id) || this.#cursors.list(id).length > 0;
  }

  *list(): Iterable<GroupRow> {
    for (const group of this.#groups.values()) {
      const { id, type, state, protocolType } = group;
      yield { id, type, state, protocolType: protocolType ?? '', members: group.members.size };
    }
    for (const id of this.#cursors.groups()) {
      // Whoever only commits offsets is an empty group of no type, as in Kafka.
      if (this.#groups.has(id)) continue;
      yield { id, type: 'classic', state: 'Empty', protocolType: '', members: 0 };
    }
  }

  join(id: string, request: JoinRequest, answer: Answer<JoinResult>): void {
    const fault = this.#joinFault(id, request);
    if (fault !== KAFKA.NONE) {
      answer(refusedJoin(fault, request.memberId));
      return;
    }
    let group = this.#groups.get(id);
    if (group?.type === 'consumer' && !group.idle) {
      joinClassic(group, request, answer);
      return;
    }
    if (group?.type !== 'classic') group = this.#newClassic(id, group?.epoch ?? 0);
    group.join(request, answer);
    if (group.idle) this.#emptied(group);
  }

  /** The one API of KIP-848's members (K64): joins, stays, leaves. */
  consumerHeartbeat(
    id: string,
    request: Heartbeat,
    allowed: (name: string) => boolean,
    answer: Answer<HeartbeatAnswer>,
  ): void {
    const fault = heartbeatFault(request, id);
    if (fault !== null || this.#closed) {
      answer(fault ?? refusedBeat(KAFKA.COORDINATOR_NOT_AVAILABLE, STOPS));
      return;
    }
    const serve = (): void => {
      const group = this.#consumerGroup(id, request);
      if (!(group instanceof ConsumerGroup)) {
        answer(group);
        return;
      }
      const { version } = this.patterns;
      const names = (pattern: string) => [...this.patterns.names(pattern)].filter(allowed).sort();
      const result = heartbeat(group, request, { version, names });
      if (!group.idle) this.#emptiedMs.delete(id);
      else if (!this.#emptiedMs.has(id)) this.#emptied(group);
      group.save(() => answer(result));
    };
    const pattern = request.pattern || this.#patternOf(id, request.memberId);
    if (pattern === null || request.memberEpoch < 0) {
      serve();
      return;
    }
    try {
      this.patterns.prepare(pattern, serve);
    } catch (error) {
      if (!(error instanceof PatternError)) throw error;
      const message = `SubscribedTopicRegex '${pattern}' is not valid: ${error.message}.`;
      answer(refusedBeat(KAFKA.INVALID_REGULAR_EXPRESSION, message));
    }
  }

  sync(id: string, request: SyncRequest, answer: Answer<SyncResult>): void {
    const group = this.#groups.get(id);
    if (id === '') answer(refusedSync(KAFKA.INVALID_GROUP_ID));
    else if (group === undefined) answer(refusedSync(KAFKA.UNKNOWN_MEMBER_ID));
    else if (group.type === 'consumer') syncClassic(group, request, answer);
    else group.sync(request, answer);
  }

  heartbeat(id: string, memberId: string, instanceId: string | null, generation: number): number {
    if (id === '') return KAFKA.INVALID_GROUP_ID;
    const group = this.#groups.get(id);
    if (group === undefined) return KAFKA.UNKNOWN_MEMBER_ID;
    return group.type === 'consumer'
      ? beatClassic(group, memberId, instanceId, generation)
      : group.heartbeat(memberId, instanceId, generation);
  }

  leave(id: string, memberId: string, instanceId: string | null): number {
    const group = this.#groups.get(id);
    if (group === undefined) return KAFKA.UNKNOWN_MEMBER_ID;
    if (group.type === 'consumer') {
      const errorCode = leaveClassic(group, memberId, instanceId);
      group.save(() => {});
      return errorCode;
    }
    const errorCode = group.leave(memberId, instanceId);
    if (group.idle) this.#emptied(group);
    return errorCode;
  }

  /**
   * May this member commit offsets now?
   * @param knowsEpochs the request is of a version that speaks of member epochs
   * @returns an error code
   */
  commitFault(
    id: string,
    memberId: string,
    instanceId: string | null,
    generation: number,
    knowsEpochs = true,
  ): number {
    if (id === '') return KAFKA.INVALID_GROUP_ID;
    if (this.isForeign(id)) return KAFKA.GROUP_ID_NOT_FOUND;
    const group = this.#groups.get(id);
    if (group?.type === 'consumer') {
      return consumerCommitFault(group, memberId, generation, knowsEpochs);
    }
    if (group !== undefined) return group.commitFault(memberId, instanceId, generation);
    // A client without membership may commit for any group ("simple consumer").
    return generation < 0 ? KAFKA.NONE : KAFKA.ILLEGAL_GENERATION;
  }

  /** A member of the newer protocol asks for offsets: with the right epoch only. */
  fetchFault(id: string, memberId: string | null, epoch: number): number {
    const group = this.#groups.get(id);
    if (group?.type !== 'consumer' || (!memberId && epoch < 0)) return KAFKA.NONE;
    return consumerCommitFault(group, memberId ?? '', epoch, true);
  }

  commit(id: string, entries: CommittedOffset[], done: (error: BrokerError | null) => void): void {
    this.#cursors.commit(id, entries, done);
  }

  committed(id: string, stream: string, partition: number): CommittedOffset | undefined {
    return this.#cursors.get(id, stream, partition);
  }

  allCommitted(id: string): CommittedOffset[] {
    return this.#cursors.list(id);
  }

  forgetOffset(id: string, stream: string, partition: number): void {
    this.#cursors.remove(id, stream, partition);
  }

  /** Deletes a group without members and its offsets. @returns an error code */
  remove(id: string): number {
    const group = this.#groups.get(id);
    if (group !== undefined && group.members.size > 0) return KAFKA.NON_EMPTY_GROUP;
    if (!this.exists(id)) return KAFKA.GROUP_ID_NOT_FOUND;
    group?.end(KAFKA.GROUP_ID_NOT_FOUND);
    this.#forget(id);
    this.#cursors.remove(id);
    return KAFKA.NONE;
  }

  /** A topic is gone: a new one of its name must not inherit positions. */
  forgetStream(stream: string): void {
    for (const id of [...this.#cursors.groups()]) this.#cursors.remove(id, stream);
  }

  close(): void {
    this.#closed = true;
    this.#retentionTimer.cancel();
    this.topics.close();
    this.patterns.close();
    for (const group of this.#groups.values()) group.end(KAFKA.COORDINATOR_NOT_AVAILABLE);
    this.#groups.clear();
  }

  #joinFault(id: string, request: JoinRequest): number {
    const { groupSessionTimeoutMin, groupSessionTimeoutMax, groupsMax } = this.#options;
    if (this.#closed) return KAFKA.COORDINATOR_NOT_AVAILABLE;
    if (id === '') return KAFKA.INVALID_GROUP_ID;
    if (this.isForeign(id)) return KAFKA.INCONSISTENT_GROUP_PROTOCOL;
    const { sessionTimeoutMs, memberId } = request;
    if (sessionTimeoutMs < groupSessionTimeoutMin || sessionTimeoutMs > groupSessionTimeoutMax) {
      return KAFKA.INVALID_SESSION_TIMEOUT;
    }
    if (this.#groups.has(id)) return KAFKA.NONE;
    if (memberId !== '') return KAFKA.UNKNOWN_MEMBER_ID;
    return this.#groups.size < groupsMax ? KAFKA.NONE : KAFKA.COORDINATOR_NOT_AVAILABLE;
  }

  /**
   * What lives on of a group without members are its offsets; its generation counts on with them.
   * One without offsets stays for a while too, for those who describe and delete it.
   */
  #emptied(group: Group | ConsumerGroup): void {
    if (!group.idle || this.#groups.get(group.id) !== group) return;
    // Half of the places are for groups that have more to keep.
    const stays = wasFormed(group) && this.#groups.size <= this.#options.groupsMax / 2;
    if (!stays && this.#cursors.list(group.id).length === 0) {
      this.#forget(group.id);
      return;
    }
    const nowMs = this.#host.clock.nowMs();
    this.#emptiedMs.set(group.id, nowMs);
    if (group.type === 'consumer') {
      group.changed = true;
      group.save(() => {});
    } else if (group.generation > 0) this.#store.save(group, nowMs, () => {});
  }

  #newClassic(id: string, generation: number): Group {
    this.#forget(id);
    const group = new Group(id, this.#groupHost);
    group.generation = generation;
    this.#groups.set(id, group);
    return group;
  }

  #newConsumer(id: string): ConsumerGroup {
    this.#forget(id);
    const group = new ConsumerGroup(id, this.#groupHost);
    this.#groups.set(id, group);
    return group;
  }

  /** The group that a heartbeat is for: it may be new, or a classic one that changes over. */
  #consumerGroup(id: string, { memberEpoch }: Heartbeat): ConsumerGroup | HeartbeatAnswer {
    const group = this.#groups.get(id);
    if (this.#closed) return refusedBeat(KAFKA.COORDINATOR_NOT_AVAILABLE, STOPS);
    if (group?.type === 'consumer') return group;
    if (this.isForeign(id)) {
      return refusedBeat(KAFKA.GROUP_ID_NOT_FOUND, `Group ${id} is not a consumer group.`);
    }
    if (memberEpoch !== 0) {
      const message = `Group ${id} has no such member.`;
      return refusedBeat(KAFKA.UNKNOWN_MEMBER_ID, message);
    }
    if (group === undefined) {
      if (this.#groups.size < this.#options.groupsMax) return this.#newConsumer(id);
      return refusedBeat(KAFKA.COORDINATOR_NOT_AVAILABLE, 'There are too many groups.');
    }
    return (
      this.#upgrade(group) ??
      refusedBeat(KAFKA.GROUP_ID_NOT_FOUND, `Group ${id} is not a consumer group.`)
    );
  }

  #upgrade(group: Group): ConsumerGroup | null {
    const { groupMigration, consumerGroupMembersMax } = this.#options;
    if (group.members.size > 0) {
      if (groupMigration !== 'bidirectional' && groupMigration !== 'upgrade') return null;
      if (group.members.size > consumerGroupMembersMax) return null;
    }
    const found = upgraded(group, this.topics);
    if (found === null) return null;
    // Its members join again, and find themselves in the new group.
    group.end(KAFKA.REBALANCE_IN_PROGRESS);
    const next = this.#newConsumer(group.id);
    next.restore(found.group, found.members);
    next.changed = true;
    for (const { id } of found.members) next.changedMembers.add(id);
    return next;
  }

  /** @returns whether the group is a classic one now */
  #memberWent(group: ConsumerGroup): boolean {
    if (this.#groups.get(group.id) !== group) return false;
    if (group.idle) {
      this.#emptied(group);
      return false;
    }
    const { groupMigration, groupMembersMax } = this.#options;
    const may = groupMigration === 'bidirectional' || groupMigration === 'downgrade';
    if (!may || !group.allAreClassic() || group.members.size > groupMembersMax) return false;
    const stored = downgraded(group);
    const memberIds = [...group.members.keys(), ...group.changedMembers];
    this.#consumerStore.forget(group.id, memberIds);
    group.end();
    const next = this.#newClassic(group.id, stored.generation);
    next.restore(stored);
    this.#store.save(next, 0, () => {});
    next.rebalance();
    return true;
  }

  #saveConsumers(group: ConsumerGroup, done: () => void): void {
    if (this.#groups.get(group.id) === group) {
      this.#consumerStore.save(group, this.#emptiedMs.get(group.id) ?? 0, done);
    } else this.#consumerStore.committed(group.id, done);
  }

  #patternOf(id: string, memberId: string): string | null {
    const group = this.#groups.get(id);
    if (group?.type !== 'consumer') return null;
    return group.members.get(memberId)?.facts.pattern ?? null;
  }

  *#patternsInUse(): Generator<string> {
    for (const group of this.#groups.values()) {
      if (group.type !== 'consumer') continue;
      for (const { facts } of group.members.values())
        if (facts.pattern !== null) yield facts.pattern;
    }
  }

  #forget(id: string): void {
    const group = this.#groups.get(id);
    this.#groups.delete(id);
    this.#emptiedMs.delete(id);
    if (group?.type === 'consumer') {
      this.#consumerStore.forget(id, [...group.members.keys(), ...group.changedMembers]);
      group.end();
    } else this.#store.forget(id);
  }

  /** Groups of before the start go on where they were. */
  #reopen(): void {
    for (const [id, stored] of this.#store.all()) {
      const group = new Group(id, this.#groupHost);
      group.restore(stored);
      this.#groups.set(id, group);
      if (stored.emptiedMs > 0) this.#emptiedMs.set(id, stored.emptiedMs);
    }
    for (const { id, group: stored, members } of this.#consumerStore.all()) {
      const group = new ConsumerGroup(id, this.#groupHost);
      group.restore(stored, members);
      this.#groups.set(id, group);
      if (stored.emptiedMs > 0) this.#emptiedMs.set(id, stored.emptiedMs);
    }
  }

  readonly #expireOffsets = (): void => {
    const nowMs = this.#host.clock.nowMs();
    for (const id of [...this.#emptiedMs.keys(), ...this.#cursors.groups()]) {
      const group = this.#groups.get(id);
      if (group !== undefined && !group.idle) continue;
      const emptiedMs = this.#emptiedMs.get(id) ?? this.#openedMs;
      for (const { stream, partition, timeMs } of this.#cursors.list(id)) {
        if (nowMs - Math.max(timeMs, emptiedMs) < this.#options.offsetsRetention) continue;
        this.#cursors.remove(id, stream, partition);
      }
      const isRecent = nowMs - emptiedMs < RETENTION_CHECK_MS;
      if (isRecent || this.#cursors.list(id).length > 0) continue;
      this.#forget(id);
    }
    this.#retentionTimer = this.#host.timers.after(RETENTION_CHECK_MS, this.#expireOffsets);
  };

  #newUuid(): string {
    const bytes = this.#host.random.bytes(16);
    bytes[6] = (bytes[6]! & 0x0f) | 0x40;
    bytes[8] = (bytes[8]! & 0x3f) | 0x80;
    const hex = bytes.toString('hex');
    return [8, 12, 16, 20, 32]
      .map((end, index) => hex.slice([0, 8, 12, 16, 20][index], end))
      .join('-');
  }
}

/** Had it members? Who was only told an id leaves nothing behind. */
function wasFormed(group: Group | ConsumerGroup): boolean {
  return (group.type === 'consumer' ? group.epoch : group.generation) > 0;
}

/** @returns an error code */
function consumerCommitFault(
  group: ConsumerGroup,
  memberId: string,
  epoch: number,
  knowsEpochs: boolean,
): number {
  // An administrator, or a client without membership.
  if (epoch < 0 && group.idle) return KAFKA.NONE;
  const facts = group.members.get(memberId)?.facts;
  if (facts === undefined) return KAFKA.UNKNOWN_MEMBER_ID;
  if (facts.classic !== null) {
    return epoch === facts.epoch ? KAFKA.NONE : KAFKA.ILLEGAL_GENERATION;
  }
  if (!knowsEpochs) return KAFKA.UNSUPPORTED_VERSION;
  return epoch === facts.epoch ? KAFKA.NONE : KAFKA.STALE_MEMBER_EPOCH;
}
