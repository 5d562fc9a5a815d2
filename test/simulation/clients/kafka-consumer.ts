/** Reads a partition and commits how far it came: what was committed is never lost. */
import { fetch } from '../../../src/protocols/kafka/messages/01-fetch.ts';
import { offsetCommit } from '../../../src/protocols/kafka/messages/08-offset-commit.ts';
import { offsetFetch } from '../../../src/protocols/kafka/messages/09-offset-fetch.ts';
import { Actor, Lost } from '../actor.ts';
import type { Consumption } from '../consumption.ts';
import type { Wire } from '../network.ts';
import type { World } from '../world.ts';
import { fetchOf } from './auditor.ts';
import { KafkaLink, recordsIn } from './kafka-link.ts';

export class KafkaConsumer extends Actor {
  protected readonly listener = 'kafka';
  readonly #stream: string;
  readonly #consumption: Consumption;
  #position = 0;

  constructor(world: World, name: string, stream: string, consumption: Consumption) {
    super(world, name);
    this.#stream = stream;
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
    const topics = [{ name: this.#stream, partitionIndexes: [0] }];
    const answer = await link.ask(offsetFetch, 5, { groupId: this.name, topics });
    const { errorCode, committedOffset } = answer.topics[0]!.partitions[0]!;
    if (answer.errorCode !== 0 || errorCode !== 0) throw new Lost(`OffsetFetch: ${errorCode}`);
    this.world.ledger.cursorFound(this.name, committedOffset);
    return Math.max(0, committedOffset);
  }

  async #fetch(link: KafkaLink): Promise<void> {
    const { ledger } = this.world;
    const name = `${this.#stream}/0`;
    const asked = fetchOf(this.#stream, 0, this.#position, this.random.pick([0, 50, 500]));
    const before = ledger.highest(name);
    const { responses } = await link.ask(fetch, 11, asked);
    const { errorCode, highWatermark, records } = responses[0]!.partitions[0]!;
    if (errorCode !== 0) throw new Lost(`fetch: error ${errorCode}`);
    ledger.watermark(name, highWatermark, before);
    for (const { offset, body } of recordsIn(records ?? Buffer.alloc(0))) {
      if (offset < this.#position) continue;
      if (offset >= highWatermark) ledger.fail(`${name}: ${offset} is beyond ${highWatermark}`);
      ledger.seenAt(name, offset, body);
      this.#consumption.got(this.name, body, false);
      this.#position = offset + 1;
    }
  }

  async #commit(link: KafkaLink): Promise<void> {
    const position = this.#position;
    const committed = { committedOffset: position, committedMetadata: null };
    const answer = await link.ask(offsetCommit, 5, {
      groupId: this.name,
      topics: [{ name: this.#stream, partitions: [{ partitionIndex: 0, ...committed }] }],
    });
    const { errorCode } = answer.topics[0]!.partitions[0]!;
    if (errorCode !== 0) throw new Lost(`OffsetCommit: ${errorCode}`);
    this.world.ledger.cursorCommitted(this.name, position);
  }
}
