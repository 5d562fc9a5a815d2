/**
 * A member of a share group: acquires records, accepts, releases, rejects and renews them, with the
 * next fetch or alone, lets locks end, leaves and comes back, begins sessions anew.
 */
import { metadata } from '../../../src/protocols/kafka/messages/03-metadata.ts';
import { shareGroupHeartbeat } from '../../../src/protocols/kafka/messages/76-share-group-heartbeat.ts';
import { shareFetch } from '../../../src/protocols/kafka/messages/78-share-fetch.ts';
import { shareAcknowledge } from '../../../src/protocols/kafka/messages/79-share-acknowledge.ts';
import type { Decoded } from '../../../src/protocols/kafka/rows.ts';
import { Actor, Lost } from '../actor.ts';
import type { Consumption } from '../consumption.ts';
import type { Wire } from '../network.ts';
import type { Acquisition, Verdict } from '../share-judge.ts';
import type { World } from '../world.ts';
import { recordsIn } from './fetched.ts';
import { KafkaLink } from './kafka-link.ts';
import { SHARED } from './share-group.ts';

/** Errors after which another connection may have more luck. */
const RETRIABLE: ReadonlySet<number> = new Set([3, 5, 6, 7, 14, 15, 16, 56, 89, 100]);
/** UNKNOWN_MEMBER_ID and FENCED_MEMBER_EPOCH. */
const OUTSIDE: ReadonlySet<number> = new Set([25, 110]);
/** SHARE_SESSION_NOT_FOUND and INVALID_SHARE_SESSION_EPOCH. */
const SESSION_OVER: ReadonlySet<number> = new Set([122, 123]);
const INVALID_RECORD_STATE = 121;
const TYPES: Record<Verdict, number> = { accept: 1, release: 2, reject: 3, renew: 4 };
const BEAT_MS = 1_000;

type FetchedPart = Decoded<
  (typeof shareFetch)['response']
>['responses'][number]['partitions'][number];

/** A record that it has acquired, and what becomes of it. */
interface Held {
  readonly partition: number;
  readonly offset: number;
  verdict: Verdict;
  /** It says so at this time; later than the lock: too late, or never. */
  sayMs: number;
  by: Acquisition;
}

/** Acknowledgements of one partition that are asked for together. */
interface Asked {
  readonly partition: number;
  readonly items: readonly Held[];
  /** Until then none of them can be refused. */
  readonly firmMs: number;
}

export class ShareMember extends Actor {
  protected readonly listener = 'kafka';
  readonly #consumption: Consumption;
  readonly #memberId: string;
  #epoch = 0;
  #sessionEpoch = 0;
  #parts: readonly number[] = [];
  #held: Held[] = [];
  #beatMs = 0;
  #topicId = '';

  constructor(world: World, name: string, consumption: Consumption) {
    super(world, name);
    this.#consumption = consumption;
    this.#memberId = `00000000-0000-4000-8000-${name.padStart(12, '0')}`;
  }

  protected async session(wire: Wire): Promise<void> {
    const link = new KafkaLink(wire, this.world.scheduler);
    // A process that begins anew knows nothing of what it had.
    if (this.random.chance(0.5)) this.#held = [];
    if (this.random.chance(0.3)) this.#epoch = 0;
    try {
      this.#topicId = await this.#find(link);
      await this.#join(link);
      while (!this.done) {
        await this.#turn(link, wire);
        if (this.random.chance(0.04) && !this.world.closing) {
          if (this.random.chance(0.5)) await this.#leave(link);
          return;
        }
      }
    } finally {
      this.world.shares.lost(this.name);
    }
  }

  async #turn(link: KafkaLink, wire: Wire): Promise<void> {
    const { world, random } = this;
    if (world.scheduler.nowMs - this.#beatMs > BEAT_MS) await this.#beat(link, null);
    if (this.#epoch === 0) await this.#join(link);
    if (this.#parts.length === 0) return this.pause(100, 300);
    if (random.chance(0.03)) this.#sessionEpoch = 0;
    const isApart = this.#sessionEpoch > 0 && random.chance(0.5);
    if (isApart) await this.#acknowledge(link, wire);
    await this.#fetch(link, wire);
    const { lockMs } = world.shares;
    if (random.chance(0.06) && !world.closing) await this.pause(lockMs * 0.6, lockMs * 1.5);
    else await this.pause(0, 150);
  }

  async #find(link: KafkaLink): Promise<string> {
    const { topics } = await link.ask(metadata, 12, { topics: null });
    const found = topics.find(({ name }) => name === SHARED.stream);
    if (found === undefined || found.errorCode !== 0) throw new Lost('the topic is not there');
    return found.topicId;
  }

  /** Tells what it reads; as a new member when its epoch is 0. */
  async #join(link: KafkaLink): Promise<void> {
    this.#sessionEpoch = 0;
    await this.#beat(link, [SHARED.stream]);
    if (this.#epoch === 0) await this.#beat(link, [SHARED.stream]);
    if (this.#epoch === 0) throw new Lost('not taken as a member');
    this.#consumption.begin(this.name);
  }

  async #beat(link: KafkaLink, subscribedTopicNames: readonly string[] | null): Promise<void> {
    const { group } = this.world.shares;
    const member = { groupId: group, memberId: this.#memberId, memberEpoch: this.#epoch };
    this.#beatMs = this.world.scheduler.nowMs;
    const answer = await link.ask(shareGroupHeartbeat, 1, { ...member, subscribedTopicNames });
    if (OUTSIDE.has(answer.errorCode)) {
      this.#epoch = 0;
      return;
    }
    this.#check('ShareGroupHeartbeat', answer.errorCode);
    this.#epoch = answer.memberEpoch;
    if (answer.assignment === null) return;
    const { topicPartitions } = answer.assignment;
    const mine = topicPartitions.find(({ topicId }) => topicId === this.#topicId);
    const parts = mine?.partitions ?? [];
    if (parts.join() !== this.#parts.join()) this.#sessionEpoch = 0;
    this.#parts = parts;
  }

  /** What it has goes back at once. */
  async #leave(link: KafkaLink): Promise<void> {
    const { group } = this.world.shares;
    this.world.shares.lost(this.name);
    const member = { groupId: group, memberId: this.#memberId, memberEpoch: -1 };
    const answer = await link.ask(shareGroupHeartbeat, 1, member);
    this.#epoch = 0;
    this.#held = [];
    if (!OUTSIDE.has(answer.errorCode)) this.#check('leaving', answer.errorCode);
  }

  async #fetch(link: KafkaLink, wire: Wire): Promise<void> {
    const { random, world } = this;
    const { shares, scheduler } = world;
    const isNew = this.#sessionEpoch === 0;
    const asked = isNew ? [] : this.#due(wire);
    const by: Acquisition = { member: this.name, wire, askedMs: scheduler.nowMs };
    const numbers = {
      ...{ maxWaitMs: random.pick([0, 50, 500]), minBytes: random.pick([1, 1, 5_000]) },
      ...{ maxBytes: random.pick([2_000, 100_000]), maxRecords: random.pick([1, 5, 500]) },
      ...{ batchSize: random.pick([1, 10, 500]), shareAcquireMode: random.pick([0, 1]) },
    };
    const partitions = this.#parts.map((partition) => {
      const said = asked.find((one) => one.partition === partition);
      return { partitionIndex: partition, acknowledgementBatches: batchesOf(said?.items ?? []) };
    });
    shares.fetching(this.name);
    const answer = await link.ask(shareFetch, 2, {
      ...{ ...this.#member, ...numbers, isRenewAck: false },
      topics: [{ topicId: this.#topicId, partitions }],
      forgottenTopicsData: [],
    });
    shares.fetched(this.name);
    if (this.#isOver(answer.errorCode)) return;
    this.#check('ShareFetch', answer.errorCode);
    this.#sessionEpoch++;
    for (const part of answer.responses.flatMap((topic) => topic.partitions)) {
      const said = asked.find((one) => one.partition === part.partitionIndex);
      if (said !== undefined) this.#answered(said, part.acknowledgeErrorCode, by);
      this.#check('ShareFetch of a partition', part.errorCode);
      this.#take(part, by);
    }
    const { acquisitionLockTimeoutMs: lockMs } = answer;
    if (lockMs !== shares.lockMs) world.ledger.fail(`${this.name}: a lock of ${lockMs} ms`);
  }

  #take(part: FetchedPart, by: Acquisition): void {
    const { ledger, shares, scheduler } = this.world;
    const name = `${SHARED.stream}/${part.partitionIndex}`;
    const bodies = new Map<number, Buffer>();
    for (const { offset, body } of recordsIn(part.records ?? Buffer.alloc(0))) {
      bodies.set(offset, body);
    }
    for (const { firstOffset, lastOffset, deliveryCount } of part.acquiredRecords) {
      for (let offset = firstOffset; offset <= lastOffset; offset++) {
        const body = bodies.get(offset);
        if (body === undefined) {
          this.world.ledger.fail(`${name}: ${offset} is acquired and did not come`);
        }
        shares.acquired(name, offset, deliveryCount, by);
        ledger.seenAt(name, offset, body);
        this.#consumption.got(this.name, body, false);
        this.#held = this.#held.filter((held) => held.offset !== offset || !isOf(held, part));
        const { partitionIndex: partition } = part;
        this.#held.push({ partition, offset, by, ...this.#plan(scheduler.nowMs) });
      }
    }
  }

  #plan(nowMs: number): Pick<Held, 'verdict' | 'sayMs'> {
    const { random } = this;
    const { lockMs } = this.world.shares;
    if (this.world.closing) return { verdict: 'accept', sayMs: nowMs };
    const dice = random.next();
    if (dice < 0.06) return { verdict: 'accept', sayMs: Number.POSITIVE_INFINITY };
    if (dice < 0.12) return { verdict: 'accept', sayMs: nowMs + random.between(0, 2 * lockMs) };
    if (dice < 0.26) return { verdict: 'release', sayMs: nowMs };
    if (dice < 0.32) return { verdict: 'reject', sayMs: nowMs };
    if (dice < 0.38) return { verdict: 'renew', sayMs: nowMs + random.between(0, lockMs) };
    return { verdict: 'accept', sayMs: nowMs };
  }

  /** Says what is due in a request of its own; renewals only so. */
  async #acknowledge(link: KafkaLink, wire: Wire): Promise<void> {
    const isRenewAck = this.#held.some(({ verdict }) => verdict === 'renew');
    const asked = this.#due(wire, isRenewAck);
    if (asked.length === 0) return;
    const by: Acquisition = { member: this.name, wire, askedMs: this.world.scheduler.nowMs };
    const partitions = asked.map(({ partition, items }) => {
      return { partitionIndex: partition, acknowledgementBatches: batchesOf(items) };
    });
    const topics = [{ topicId: this.#topicId, partitions }];
    const answer = await link.ask(shareAcknowledge, 2, { ...this.#member, isRenewAck, topics });
    if (this.#isOver(answer.errorCode)) return;
    this.#check('ShareAcknowledge', answer.errorCode);
    this.#sessionEpoch++;
    for (const part of answer.responses.flatMap((topic) => topic.partitions)) {
      const said = asked.find((one) => one.partition === part.partitionIndex);
      if (said === undefined) throw new Error('an answer to nothing');
      this.#answered(said, part.errorCode, by);
    }
  }

  /** What is to be said now, by partition. The judge is told that it is asked. */
  #due(wire: Wire, renews = false): Asked[] {
    const { shares, scheduler } = this.world;
    const due = this.#held.filter(
      ({ sayMs, verdict }) => sayMs <= scheduler.nowMs && (renews || verdict !== 'renew'),
    );
    return this.#parts.flatMap((partition) => {
      const items = due.filter((held) => held.partition === partition);
      if (items.length === 0) return [];
      items.sort((a, b) => a.offset - b.offset);
      let firmMs = Number.POSITIVE_INFINITY;
      for (const { offset, verdict } of items) {
        const name = `${SHARED.stream}/${partition}`;
        firmMs = Math.min(firmMs, shares.asking(name, offset, verdict, this.name, wire));
      }
      return { partition, items, firmMs };
    });
  }

  #answered({ partition, items, firmMs }: Asked, code: number, by: Acquisition): void {
    const { shares, ledger, scheduler } = this.world;
    const name = `${SHARED.stream}/${partition}`;
    if (code !== INVALID_RECORD_STATE) this.#check('an acknowledgement', code);
    else if (scheduler.nowMs < firmMs) {
      ledger.fail(`${this.name}: ${name} at ${items[0]!.offset} is not its own any more`);
    }
    for (const item of items) {
      const { offset, verdict } = item;
      if (code === INVALID_RECORD_STATE) shares.refused(name, offset, by);
      else shares.answered(name, offset, verdict, by);
    }
    const renewed = items.filter(({ verdict }) => code === 0 && verdict === 'renew');
    for (const item of renewed) {
      item.verdict = 'accept';
      item.sayMs = scheduler.nowMs + this.random.between(0, shares.lockMs);
    }
    this.#held = this.#held.filter((item) => renewed.includes(item) || !items.includes(item));
  }

  get #member() {
    const { group } = this.world.shares;
    return { groupId: group, memberId: this.#memberId, shareSessionEpoch: this.#sessionEpoch };
  }

  /** True when the server does not know the session: it begins anew, and what it had is not its. */
  #isOver(code: number): boolean {
    if (!SESSION_OVER.has(code)) return false;
    this.world.shares.lost(this.name);
    this.#sessionEpoch = 0;
    this.#held = [];
    return true;
  }

  #check(what: string, code: number): void {
    if (code === 0) return;
    if (RETRIABLE.has(code)) throw new Lost(`${what}: error ${code}`);
    this.world.ledger.fail(`${this.name}: ${what} was refused with ${code}`);
  }
}

function isOf(held: Held, { partitionIndex }: { readonly partitionIndex: number }): boolean {
  return held.partition === partitionIndex;
}

/** Ranges of offsets that follow each other, with one type for all or one each. */
function batchesOf(items: readonly Held[]) {
  const batches: { firstOffset: number; lastOffset: number; acknowledgeTypes: number[] }[] = [];
  for (const { offset, verdict } of items) {
    const last = batches.at(-1);
    if (last !== undefined && last.lastOffset + 1 === offset) {
      last.lastOffset = offset;
      last.acknowledgeTypes.push(TYPES[verdict]);
    } else {
      batches.push({
        firstOffset: offset,
        lastOffset: offset,
        acknowledgeTypes: [TYPES[verdict]],
      });
    }
  }
  for (const batch of batches) {
    const { acknowledgeTypes: types } = batch;
    if (types.every((type) => type === types[0])) batch.acknowledgeTypes = [types[0]!];
  }
  return batches;
}
