/** A member of a share group, for tests: heartbeats, fetches and acknowledgements as they go. */
import { strict as assert } from 'node:assert';
import { ManualTimers, openTestHost, type TestHost } from '../../../../test/contract/test-host.ts';
import { batchOf, Client, newTopic, openRoom, produceTo } from '../client.fixture.ts';
import { KAFKA } from '../error-codes.ts';
import { incrementalAlterConfigs } from '../messages/44-incremental-alter-configs.ts';
import { shareGroupHeartbeat } from '../messages/76-share-group-heartbeat.ts';
import { shareFetch } from '../messages/78-share-fetch.ts';
import { shareAcknowledge } from '../messages/79-share-acknowledge.ts';
import { describeShareGroupOffsets } from '../messages/90-describe-share-group-offsets.ts';
import type { KafkaOptions } from '../options.ts';
import type { Room } from '../room.ts';
import { ZERO_UUID } from '../rows.ts';

export const ACCEPT = 1;
export const RELEASE = 2;
export const REJECT = 3;
export const RENEW = 4;

/** Offsets from, to, and what becomes of them: one type for all, or one each. */
export type Said = readonly [from: number, to: number, ...types: number[]];
/** Offsets from, to, and how often they were delivered. */
type Acquired = readonly [from: number, to: number, deliveries: number];

interface FetchMore {
  readonly said?: readonly Said[];
  readonly epoch?: number;
  readonly maxRecords?: number;
  readonly maxBytes?: number;
  readonly waitMs?: number;
  readonly minBytes?: number;
  readonly index?: number;
  readonly renews?: boolean;
  /** The last batch is taken to its end. */
  readonly soft?: boolean;
}

const batchesOf = (said: readonly Said[]) =>
  said.map(([firstOffset, lastOffset, ...acknowledgeTypes]) => {
    return { firstOffset, lastOffset, acknowledgeTypes };
  });

export class Member {
  readonly client: Client;
  readonly groupId: string;
  readonly memberId: string;
  readonly topicId: string;
  epoch = 0;
  session = 0;

  constructor(client: Client, groupId: string, memberId: string, topicId: string) {
    this.client = client;
    this.groupId = groupId;
    this.memberId = memberId;
    this.topicId = topicId;
  }

  beat(topics: readonly string[] | null = null, epoch = this.epoch) {
    const { groupId, memberId } = this;
    const body = { groupId, memberId, memberEpoch: epoch, subscribedTopicNames: topics };
    return this.client.ask(shareGroupHeartbeat, 1, body);
  }

  /** @returns the partitions of its topic */
  async join(...topics: string[]): Promise<number[]> {
    const { errorCode, memberEpoch, assignment } = await this.beat(topics, 0);
    assert.equal(errorCode, KAFKA.NONE);
    this.epoch = memberEpoch;
    return this.partsOf(assignment);
  }

  partsOf(
    assignment: { topicPartitions: { topicId: string; partitions: number[] }[] } | null,
  ): number[] {
    return (
      assignment?.topicPartitions.find(({ topicId }) => topicId === this.topicId)?.partitions ?? []
    );
  }

  sendFetch(more: FetchMore = {}): void {
    const { groupId, memberId, topicId } = this;
    const none = more.renews === true ? 0 : null;
    this.client.send(shareFetch, 2, {
      ...{ groupId, memberId, shareSessionEpoch: more.epoch ?? this.session },
      ...{ maxWaitMs: none ?? more.waitMs ?? 0, minBytes: none ?? more.minBytes ?? 1 },
      ...{ maxBytes: none ?? more.maxBytes ?? 1 << 20, maxRecords: none ?? more.maxRecords ?? 500 },
      ...{ batchSize: 500, shareAcquireMode: more.soft === true ? 0 : 1 },
      isRenewAck: more.renews ?? false,
      topics: [
        {
          topicId,
          partitions: [
            {
              partitionIndex: more.index ?? 0,
              acknowledgementBatches: batchesOf(more.said ?? []),
            },
          ],
        },
      ],
      forgottenTopicsData: [],
    });
    if (more.epoch === undefined) this.session++;
  }

  async fetched() {
    const answer = await this.client.receive(shareFetch, 2);
    const part = answer.responses.find(({ topicId }) => topicId === this.topicId)?.partitions[0];
    const acquired = (part?.acquiredRecords ?? []).map(
      ({ firstOffset, lastOffset, deliveryCount }): Acquired => [
        ...([firstOffset, lastOffset, deliveryCount] as const),
      ],
    );
    return {
      errorCode: answer.errorCode,
      lockMs: answer.acquisitionLockTimeoutMs,
      partError: part?.errorCode ?? KAFKA.NONE,
      saidError: part?.acknowledgeErrorCode ?? KAFKA.NONE,
      acquired,
      throttleMs: answer.throttleTimeMs,
      text: (part?.records ?? Buffer.alloc(0)).toString('latin1'),
    };
  }

  fetch(more: FetchMore = {}) {
    this.sendFetch(more);
    return this.fetched();
  }

  /** @returns the error of the request, or of the partition */
  async say(said: readonly Said[], more: { epoch?: number; renews?: boolean } = {}) {
    const { groupId, memberId, topicId } = this;
    const { errorCode, responses } = await this.client.ask(shareAcknowledge, 2, {
      ...{ groupId, memberId, shareSessionEpoch: more.epoch ?? this.session },
      isRenewAck: more.renews ?? false,
      topics: [
        {
          topicId,
          partitions: [{ partitionIndex: 0, acknowledgementBatches: batchesOf(said) }],
        },
      ],
    });
    if (more.epoch === undefined) this.session++;
    return errorCode === KAFKA.NONE ? responses[0]!.partitions[0]!.errorCode : errorCode;
  }
}

function uuid(n: number): string {
  return `${ZERO_UUID.slice(0, -3)}${String(n).padStart(3, '0')}`;
}

const GROUP = 32;

/** A server with one topic, and what groups do with it. Time is the test's. */
export class Shares {
  readonly time: ManualTimers;
  readonly #host: TestHost;
  room: Room;
  client: Client;
  name = '';
  topicId = '';
  #members = 0;

  private constructor(time: ManualTimers, host: TestHost) {
    this.time = time;
    this.#host = host;
    this.room = openRoom(host);
    this.client = new Client(this.room);
  }

  static async open(): Promise<Shares> {
    const time = new ManualTimers();
    const host = await openTestHost({ clock: time.clock, timers: time, brokerTimers: time });
    const shares = new Shares(time, host);
    const { name, topicId } = await newTopic(shares.client);
    shares.name = name;
    shares.topicId = topicId;
    return shares;
  }

  async close(): Promise<void> {
    await this.room.close();
    await this.#host.close();
  }

  /** The server ends and another one begins on what is stored. */
  async restart(options: Partial<KafkaOptions> = {}): Promise<void> {
    this.client.memory.close();
    await this.room.close();
    this.room = openRoom(this.#host, options);
    this.client = new Client(this.room);
  }

  /** @returns an error code */
  async configure(groupId: string, configs: Readonly<Record<string, string>>): Promise<number> {
    const { responses } = await this.client.ask(incrementalAlterConfigs, 1, {
      resources: [
        {
          ...{ resourceType: GROUP, resourceName: groupId },
          configs: Object.entries(configs).map(([name, value]) => {
            return { name, configOperation: 0, value };
          }),
        },
      ],
      validateOnly: false,
    });
    return responses[0]!.errorCode;
  }

  /** A member on a connection of its own. */
  member(groupId = 'g'): Member {
    return new Member(new Client(this.room), groupId, uuid(++this.#members), this.topicId);
  }

  /** A member that reads the topic from its beginning. */
  async reader(groupId = 'g'): Promise<Member> {
    const earliest = { 'share.auto.offset.reset': 'earliest' };
    assert.equal(await this.configure(groupId, earliest), KAFKA.NONE);
    const me = this.member(groupId);
    await me.join(this.name);
    return me;
  }

  write(...values: string[]) {
    const batch = batchOf(values, { timestampMs: this.time.clock.nowMs() });
    return produceTo(this.client, this.name, batch);
  }

  /** Records that groups are behind, as the metrics tell. */
  lags(): Record<string, number> {
    const lags: Record<string, number> = {};
    for (const { name, series } of this.#host.metrics.read()) {
      if (name !== 'robustmq_kafka_group_lag_records') continue;
      for (const { labels, instrument } of series) {
        if ('value' in instrument) lags[labels['group']!] = instrument.value;
      }
    }
    return lags;
  }

  /** Start and lag of each partition, or an error code. */
  async offsets(groupId = 'g') {
    const { groups } = await this.client.ask(describeShareGroupOffsets, 1, {
      groups: [{ groupId, topics: null }],
    });
    const { errorCode, topics } = groups[0]!;
    if (errorCode !== KAFKA.NONE) return errorCode;
    return topics.flatMap(({ partitions }) =>
      partitions.map(({ startOffset, lag }) => [startOffset, lag]),
    );
  }
}
