/**
 * The share groups of this server (KIP-932): members, the partitions that each group reads, and
 * what fetches. Members and places are on disk before they are told; how far a group is lies with
 * its queues.
 */
import type { Partition, Stream } from '#broker';
import type { Host } from '#contract';
import { KAFKA } from '../error-codes.ts';
import type { GroupConfigs } from '../group-configs.ts';
import { type HeartbeatAnswer, refusedBeat } from '../groups/consumer-heartbeat.ts';
import type { Coordinator } from '../groups/coordinator.ts';
import type { GroupPlace } from '../groups/group-lag.ts';
import type { KafkaOptions } from '../options.ts';
import { firstOffsetOf } from './offset-reset.ts';
import { ShareGroup, type ShareGroupHost } from './share-group.ts';
import { type ShareBeat, shareBeatFault, shareHeartbeat } from './share-heartbeat.ts';
import { SharePartition } from './share-partition.ts';
import { ShareSessions } from './share-sessions.ts';
import { ShareGroupStore } from './stored-share-group.ts';

const STOPS = 'The server stops.';

export class ShareGroups {
  readonly sessions: ShareSessions;
  readonly #host: Host;
  readonly #options: KafkaOptions;
  readonly #configs: GroupConfigs;
  readonly #others: Coordinator;
  readonly #groups = new Map<string, ShareGroup>();
  /** By the names of their queues. */
  readonly #partitions = new Map<string, SharePartition>();
  readonly #store: ShareGroupStore;
  readonly #groupHost: ShareGroupHost;
  #closed = false;

  constructor(host: Host, options: KafkaOptions, configs: GroupConfigs, others: Coordinator) {
    this.#host = host;
    this.#options = options;
    this.#configs = configs;
    this.#others = others;
    this.sessions = new ShareSessions(options.shareSessionsMax);
    this.#store = new ShareGroupStore(host.broker.state, host.log);
    this.#groupHost = {
      clock: host.clock,
      timers: host.timers,
      topics: others.topics,
      sessionTimeoutMs: (id) => configs.of(id).shareSessionTimeoutMs,
      memberGone: (group, memberId) => this.#memberGone(group, memberId),
    };
    for (const [id, stored] of this.#store.all()) {
      const group = new ShareGroup(id, this.#groupHost);
      group.restore(stored);
      this.#groups.set(id, group);
      for (const [topicId, count] of group.topics) this.#reopen(group, topicId, count);
    }
    others.isForeign = (id) => this.#groups.has(id);
  }

  find(id: string): ShareGroup | undefined {
    return this.#groups.get(id);
  }

  list(): Iterable<ShareGroup> {
    return this.#groups.values();
  }

  /** One partition as a group reads it; none before a member was told to. */
  partition(groupId: string, topicId: string, index: number): SharePartition | undefined {
    return this.#partitions.get(queueName(groupId, topicId, index));
  }

  /** Where a group is, partition by partition. */
  *places(id: string): Generator<GroupPlace> {
    for (const [topicId, count] of this.#groups.get(id)?.topics ?? []) {
      for (let index = 0; index < count; index++) {
        const share = this.partition(id, topicId, index);
        if (share === undefined) continue;
        yield { partition: share.partition, from: share.startOffset, records: share.lag };
      }
    }
  }

  heartbeat(id: string, beat: ShareBeat, answer: (answer: HeartbeatAnswer) => void): void {
    const fault = shareBeatFault(id, beat);
    const group = fault ?? this.#groupOf(id, beat);
    if (!(group instanceof ShareGroup)) {
      answer(group);
      return;
    }
    const { shareHeartbeatIntervalMs } = this.#configs.of(id);
    const { shareGroupMembersMax } = this.#options;
    const result = shareHeartbeat(group, beat, shareGroupMembersMax, shareHeartbeatIntervalMs);
    this.#prepare(group);
    if (group.preparing === null) this.#save(group, () => answer(result));
    else void group.preparing.then(() => this.#save(group, () => answer(result)));
  }

  /** Deletes a group without members. @returns an error code */
  remove(id: string): number {
    const group = this.#groups.get(id);
    if (group === undefined) return KAFKA.GROUP_ID_NOT_FOUND;
    if (group.members.size > 0) return KAFKA.NON_EMPTY_GROUP;
    for (const topicId of [...group.topics.keys()]) this.#forgetTopic(group, topicId);
    group.end();
    this.#groups.delete(id);
    this.#store.forget(id);
    return KAFKA.NONE;
  }

  /** Where an empty group goes on in a partition. */
  moveTo(group: ShareGroup, stream: Stream, partition: Partition, offset: number): void {
    this.#drop(queueName(group.id, stream.id, partition.index));
    this.#open(group.id, stream, partition, offset);
    const known = group.topics.get(stream.id) ?? 0;
    if (partition.index < known) return;
    // Those before it are places now as well, as if a member had come.
    this.#wait(group, this.#openNew(group, stream, known, partition.index));
    group.topics.set(stream.id, partition.index + 1);
    group.changed = true;
  }

  /** An empty group has no place in a topic any more. @returns false when it had none */
  forgetTopic(group: ShareGroup, topicId: string): boolean {
    const had = group.topics.has(topicId);
    this.#forgetTopic(group, topicId);
    return had;
  }

  /** Calls when what was changed of a group is on disk, or cannot be. */
  saved(group: ShareGroup, done: () => void): void {
    this.#save(group, done);
  }

  /** A topic is gone, and its queues with it. */
  forgetStream(topicId: string): void {
    for (const group of this.#groups.values()) {
      if (!group.topics.has(topicId)) continue;
      this.#forgetTopic(group, topicId);
      this.#save(group, () => {});
    }
  }

  close(): void {
    this.#closed = true;
    this.sessions.close();
    for (const group of this.#groups.values()) group.end();
  }

  #groupOf(id: string, { memberEpoch }: ShareBeat): ShareGroup | HeartbeatAnswer {
    if (this.#closed) return refusedBeat(KAFKA.COORDINATOR_NOT_AVAILABLE, STOPS);
    const known = this.#groups.get(id);
    if (known !== undefined) return known;
    if (this.#others.exists(id)) {
      return refusedBeat(KAFKA.GROUP_ID_NOT_FOUND, `Group ${id} is not a share group.`);
    }
    if (memberEpoch !== 0) {
      return refusedBeat(KAFKA.UNKNOWN_MEMBER_ID, `Group ${id} has no such member.`);
    }
    if (this.#groups.size >= this.#options.groupsMax) {
      return refusedBeat(KAFKA.COORDINATOR_NOT_AVAILABLE, 'There are too many groups.');
    }
    const group = new ShareGroup(id, this.#groupHost);
    this.#groups.set(id, group);
    return group;
  }

  /** Gives the group a place in the partitions that are new to it. */
  #prepare(group: ShareGroup): void {
    const waits: Promise<void>[] = [];
    for (const [topicId, count] of group.partitions) {
      const stream = this.#host.broker.streams.byId(topicId);
      const known = group.topics.get(topicId) ?? 0;
      if (stream === undefined || count <= known) continue;
      waits.push(...this.#openNew(group, stream, known, count));
      group.topics.set(topicId, count);
      group.changed = true;
    }
    this.#wait(group, waits);
  }

  /** Opens places in partitions; those whose beginning must be looked up are to be waited for. */
  #openNew(group: ShareGroup, stream: Stream, from: number, to: number): Promise<void>[] {
    const waits: Promise<void>[] = [];
    // Partitions that a topic gets later hold nothing that somebody else was meant to read.
    const reset = from > 0 ? 'earliest' : this.#configs.of(group.id).shareOffsetReset;
    for (const partition of stream.partitions.slice(from, to)) {
      const offset = firstOffsetOf(partition, reset, this.#host.clock.nowMs());
      if (typeof offset === 'number') this.#open(group.id, stream, partition, offset);
      else waits.push(this.#openLater(group, stream, partition, offset));
    }
    return waits;
  }

  #wait(group: ShareGroup, waits: readonly Promise<void>[]): void {
    if (waits.length === 0) return;
    const preparing = Promise.all([group.preparing, ...waits]).then(() => {
      if (group.preparing === preparing) group.preparing = null;
    });
    group.preparing = preparing;
  }

  async #openLater(
    group: ShareGroup,
    stream: Stream,
    partition: Partition,
    found: Promise<number>,
  ): Promise<void> {
    let offset = partition.highWatermark;
    try {
      offset = await found;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#host.log.warn('a share group begins at the end', { group: group.id, reason });
    }
    if (this.#closed || this.#groups.get(group.id) !== group) return;
    if (group.topics.has(stream.id)) this.#open(group.id, stream, partition, offset);
  }

  #open(groupId: string, stream: Stream, partition: Partition, startOffset: number): void {
    const name = queueName(groupId, stream.id, partition.index);
    const { queues } = this.#host.broker;
    const { shareDeliveryCountLimit: maxDeliveries } = this.#options;
    const place = { stream: stream.name, partition: partition.index, startOffset };
    const queue = queues.declare(name, { durable: true, loose: true, maxDeliveries, ...place });
    // It may have been made under another limit.
    queue.limits = { ...queue.limits, maxDeliveries };
    const terms = () => {
      const { shareRecordLockMs: lockMs, shareIsolation } = this.#configs.of(groupId);
      return { lockMs, isUncommitted: shareIsolation === 'read_uncommitted' };
    };
    const { sharePartitionRecordLocksMax } = this.#options;
    const share = new SharePartition(queue, partition, sharePartitionRecordLocksMax, terms);
    this.#partitions.set(name, share);
  }

  /** What was there before a start. A place that was not stored any more is found again. */
  #reopen(group: ShareGroup, topicId: string, count: number): void {
    const stream = this.#host.broker.streams.byId(topicId);
    if (stream === undefined) {
      group.topics.delete(topicId);
      return;
    }
    for (const partition of stream.partitions.slice(0, count)) {
      this.#open(group.id, stream, partition, partition.startOffset);
    }
  }

  #forgetTopic(group: ShareGroup, topicId: string): void {
    const count = group.topics.get(topicId) ?? 0;
    for (let index = 0; index < count; index++) this.#drop(queueName(group.id, topicId, index));
    if (group.topics.delete(topicId)) group.changed = true;
  }

  #drop(name: string): void {
    const share = this.#partitions.get(name);
    if (share === undefined) return;
    this.#partitions.delete(name);
    this.sessions.forget(share);
    this.#host.broker.queues.remove(share.queue);
  }

  #memberGone(group: ShareGroup, memberId: string): void {
    this.sessions.end(group.id, memberId);
    this.#save(group, () => {});
  }

  #save(group: ShareGroup, done: () => void): void {
    if (this.#groups.get(group.id) !== group) {
      done();
      return;
    }
    this.#store.save(group, done);
  }
}

function queueName(groupId: string, topicId: string, index: number): string {
  return `$kafka-share/${topicId}/${index}/${groupId}`;
}
