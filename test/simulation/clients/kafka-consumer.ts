/** Reads a partition and commits how far it came: what was committed is never lost. */
import { fetch } from '../../../src/protocols/kafka/messages/01-fetch.ts';
import { offsetCommit } from '../../../src/protocols/kafka/messages/08-offset-commit.ts';
import { offsetFetch } from '../../../src/protocols/kafka/messages/09-offset-fetch.ts';
import { Actor, Lost } from '../actor.ts';
import type { Consumption } from '../consumption.ts';
import type { Wire } from '../network.ts';
import type { World } from '../world.ts';
import { fetchOf, READ_COMMITTED } from './auditor.ts';
import { batchesIn, committedIn } from './fetched.ts';
import { KafkaLink } from './kafka-link.ts';

export interface Source {
  readonly stream: string;
  readonly partition: number;
  /** Waits for the ends of transactions, and leaves out what does not count. */
  readonly committed: boolean;
}

export class KafkaConsumer extends Actor {
  protected readonly listener = 'kafka';
  readonly #source: Source;
  readonly #consumption: Consumption;
  #position = 0;

  constructor(world: World, name: string, source: Source, consumption: Consumption) {
    super(world, name);
    this.#source = source;
    this.#consumption = consumption;
  }

  protected async session(wire: Wire): Promise<void> {
    const link = new KafkaLink(wire, this.world.scheduler);
    this.#position = await this.#committed(link);
    this.#consumption.begin(this.name);
    while (!this.done) {
      await this.#fetch(link);
      if (this.random.chance(0.4)) await this.#commit(link);
      await this.pause(0, 150);
      if (this.random.chance(0.05) && !this.world.closing) return;
    }
  }

  /** Where the group stands; 0 before its first commit. */
  async #committed(link: KafkaLink): Promise<number> {
    const { stream, partition } = this.#source;
    const topics = [{ name: stream, partitionIndexes: [partition] }];
    const answer = await link.ask(offsetFetch, 5, { groupId: this.name, topics });
    const { errorCode, committedOffset } = answer.topics[0]!.partitions[0]!;
    if (answer.errorCode !== 0 || errorCode !== 0) throw new Lost(`OffsetFetch: ${errorCode}`);
    this.world.ledger.cursorFound(this.name, committedOffset);
    return Math.max(0, committedOffset);
  }

  async #fetch(link: KafkaLink): Promise<void> {
    const { ledger } = this.world;
    const { stream, partition, committed } = this.#source;
    const name = `${stream}/${partition}`;
    const maxWaitMs = this.random.pick([0, 50, 500]);
    const isolation = committed ? READ_COMMITTED : 0;
    const asked = fetchOf(stream, partition, this.#position, maxWaitMs, isolation);
    const before = ledger.highest(name);
    const { responses } = await link.ask(fetch, 11, asked);
    const answer = responses[0]!.partitions[0]!;
    if (answer.errorCode !== 0) throw new Lost(`fetch: error ${answer.errorCode}`);
    ledger.watermark(name, answer.highWatermark, before);
    const end = committed ? answer.lastStableOffset : answer.highWatermark;
    const batches = batchesIn(answer.records ?? Buffer.alloc(0));
    const aborted = committed ? (answer.abortedTransactions ?? []) : [];
    for (const { offset, body } of committedIn(batches, aborted)) {
      if (offset < this.#position) continue;
      if (offset >= end) ledger.fail(`${name}: ${offset} is beyond ${end}`);
      ledger.seenAt(name, offset, body);
      this.#consumption.got(this.name, body, false);
    }
    this.#position = batches.at(-1)?.next ?? this.#position;
  }

  async #commit(link: KafkaLink): Promise<void> {
    const position = this.#position;
    const { stream, partition: partitionIndex } = this.#source;
    const committed = { committedOffset: position, committedMetadata: null };
    const answer = await link.ask(offsetCommit, 5, {
      groupId: this.name,
      topics: [{ name: stream, partitions: [{ partitionIndex, ...committed }] }],
    });
    const { errorCode } = answer.topics[0]!.partitions[0]!;
    if (errorCode !== 0) throw new Lost(`OffsetCommit: ${errorCode}`);
    this.world.ledger.cursorCommitted(this.name, position);
  }
}
