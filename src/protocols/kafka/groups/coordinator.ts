/**
 * The groups of this server and their committed offsets. Offsets are the broker's cursors, on disk
 * before a commit is answered; members are in `group.ts`, their complete generations on disk too.
 */
import type { CommittedOffset, Cursors } from '#broker';
import type { Host } from '#contract';
import type { BrokerError, Timer } from '#kit';
import { KAFKA } from '../error-codes.ts';
import type { KafkaOptions } from '../options.ts';
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
import { GroupStore } from './stored-group.ts';

/** Committed offsets are looked through for old ones this often. */
const RETENTION_CHECK_MS = 10 * 60 * 1000;
/** A member id repeats what the client calls itself, for people who read it. */
const MEMBER_PREFIX_CHARS = 200;

export interface GroupRow {
  readonly id: string;
  readonly state: string;
  readonly protocolType: string;
  readonly members: number;
}

export class Coordinator {
  readonly #groups = new Map<string, Group>();
  readonly #cursors: Cursors;
  readonly #host: Host;
  readonly #options: KafkaOptions;
  readonly #groupHost: GroupHost;
  readonly #store: GroupStore;
  /** When groups lost their last member: their offsets age from then on (KIP-211). */
  readonly #emptiedMs = new Map<string, number>();
  readonly #openedMs: number;
  #retentionTimer: Timer;
  #closed = false;

  constructor(host: Host, options: KafkaOptions) {
    this.#host = host;
    this.#options = options;
    this.#cursors = host.broker.cursors;
    this.#openedMs = host.clock.nowMs();
    this.#store = new GroupStore(host.broker.state, host.log);
    this.#groupHost = {
      clock: host.clock,
      timers: host.timers,
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
  find(id: string): Group | undefined {
    return this.#groups.get(id);
  }

  exists(id: string): boolean {
    return this.#groups.has(id) || this.#cursors.list(id).length > 0;
  }

  *list(): Iterable<GroupRow> {
    for (const group of this.#groups.values()) {
      const { id, state, protocolType } = group;
      yield { id, state, protocolType: protocolType ?? '', members: group.members.size };
    }
    for (const id of this.#cursors.groups()) {
      // Whoever only commits offsets is an empty group of no type, as in Kafka.
      if (!this.#groups.has(id)) yield { id, state: 'Empty', protocolType: '', members: 0 };
    }
  }

  join(id: string, request: JoinRequest, answer: Answer<JoinResult>): void {
    const fault = this.#joinFault(id, request);
    if (fault !== KAFKA.NONE) {
      answer(refusedJoin(fault, request.memberId));
      return;
    }
    let group = this.#groups.get(id);
    if (group === undefined) {
      group = new Group(id, this.#groupHost);
      this.#groups.set(id, group);
      this.#emptiedMs.delete(id);
    }
    group.join(request, answer);
    if (group.idle) this.#emptied(group);
  }

  sync(id: string, request: SyncRequest, answer: Answer<SyncResult>): void {
    const group = this.#groups.get(id);
    if (id === '') answer(refusedSync(KAFKA.INVALID_GROUP_ID));
    else if (group === undefined) answer(refusedSync(KAFKA.UNKNOWN_MEMBER_ID));
    else group.sync(request, answer);
  }

  heartbeat(id: string, memberId: string, instanceId: string | null, generation: number): number {
    if (id === '') return KAFKA.INVALID_GROUP_ID;
    const group = this.#groups.get(id);
    return group?.heartbeat(memberId, instanceId, generation) ?? KAFKA.UNKNOWN_MEMBER_ID;
  }

  leave(id: string, memberId: string, instanceId: string | null): number {
    const group = this.#groups.get(id);
    if (group === undefined) return KAFKA.UNKNOWN_MEMBER_ID;
    const errorCode = group.leave(memberId, instanceId);
    if (group.idle) this.#emptied(group);
    return errorCode;
  }

  commitFault(id: string, memberId: string, instanceId: string | null, generation: number): number {
    if (id === '') return KAFKA.INVALID_GROUP_ID;
    const group = this.#groups.get(id);
    if (group !== undefined) return group.commitFault(memberId, instanceId, generation);
    // A client without membership may commit for any group ("simple consumer").
    return generation < 0 ? KAFKA.NONE : KAFKA.ILLEGAL_GENERATION;
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
    for (const group of this.#groups.values()) group.end(KAFKA.COORDINATOR_NOT_AVAILABLE);
    this.#groups.clear();
  }

  #joinFault(id: string, request: JoinRequest): number {
    const { groupSessionTimeoutMin, groupSessionTimeoutMax, groupsMax } = this.#options;
    if (this.#closed) return KAFKA.COORDINATOR_NOT_AVAILABLE;
    if (id === '') return KAFKA.INVALID_GROUP_ID;
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
   */
  #emptied(group: Group): void {
    if (!group.idle || this.#groups.get(group.id) !== group) return;
    if (this.#cursors.list(group.id).length === 0) {
      this.#forget(group.id);
      return;
    }
    const nowMs = this.#host.clock.nowMs();
    this.#emptiedMs.set(group.id, nowMs);
    if (group.generation > 0) this.#store.save(group, nowMs, () => {});
  }

  #forget(id: string): void {
    this.#groups.delete(id);
    this.#emptiedMs.delete(id);
    this.#store.forget(id);
  }

  /** Groups of before the start go on where they were. */
  #reopen(): void {
    for (const [id, stored] of this.#store.all()) {
      const group = new Group(id, this.#groupHost);
      group.restore(stored);
      this.#groups.set(id, group);
      if (stored.emptiedMs > 0) this.#emptiedMs.set(id, stored.emptiedMs);
    }
  }

  readonly #expireOffsets = (): void => {
    const nowMs = this.#host.clock.nowMs();
    for (const id of [...this.#cursors.groups()]) {
      const group = this.#groups.get(id);
      if (group !== undefined && !group.idle) continue;
      const emptiedMs = this.#emptiedMs.get(id) ?? this.#openedMs;
      for (const { stream, partition, timeMs } of this.#cursors.list(id)) {
        if (nowMs - Math.max(timeMs, emptiedMs) < this.#options.offsetsRetention) continue;
        this.#cursors.remove(id, stream, partition);
      }
      if (this.#cursors.list(id).length > 0) continue;
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
