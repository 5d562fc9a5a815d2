/** An idempotent producer: what it sends is stored once, in order, whatever happens on the way. */

import { produce } from '../../../src/protocols/kafka/messages/00-produce.ts';
import { initProducerId } from '../../../src/protocols/kafka/messages/22-init-producer-id.ts';
import { Actor, Lost } from '../actor.ts';
import type { Sent } from '../ledger.ts';
import type { Wire } from '../network.ts';
import type { World } from '../world.ts';
import { batchOf, KafkaLink } from './kafka-link.ts';

/** Errors after which the same batch is sent again. */
const RETRIABLE: ReadonlySet<number> = new Set([3, 5, 6, 7, 14, 15, 16, 56, 89]);
const IN_FLIGHT_MAX = 5;

/** What a producer sends. */
export interface Load {
  readonly stream: string;
  readonly partition: number;
  readonly total: number;
  /** Messages of a batch, at least and at most. */
  readonly batch: readonly [number, number];
  readonly bytes: readonly [number, number];
  /** Share of messages of 6 000 bytes among these. */
  readonly large?: number;
  /** Each message has one of so many keys; without it none has. */
  readonly keys?: number;
}

const LARGE_BYTES = 6_000;

interface Batch {
  readonly messages: readonly Sent[];
  readonly baseSequence: number;
  readonly timestampMs: number;
}

export class KafkaProducer extends Actor {
  protected readonly listener = 'kafka';
  readonly #load: Load;
  #made = 0;
  #producerId = -1;
  #epoch = -1;
  #sequence = 0;
  /** Not acknowledged, in order. */
  #open: Batch[] = [];

  constructor(world: World, name: string, load: Load) {
    super(world, name);
    this.#load = load;
  }

  protected async session(wire: Wire): Promise<void> {
    const link = new KafkaLink(wire, this.world.scheduler);
    if (this.#producerId < 0) await this.#begin(link);
    const flying: Promise<void>[] = [];
    for (const batch of this.#open) flying.push(this.#send(link, batch));
    await settled(flying);
    const { total } = this.#load;
    while (this.#made < total) {
      const batches = this.random.integer(1, IN_FLIGHT_MAX);
      const sends: Promise<void>[] = [];
      for (let count = 0; count < batches && this.#made < total; count++) {
        sends.push(this.#send(link, this.#next()));
      }
      await settled(sends);
      await this.pause(0, this.world.closing ? 1 : 150);
    }
    this.done = this.#open.length === 0;
  }

  async #begin(link: KafkaLink): Promise<void> {
    const answer = await link.ask(initProducerId, 4, {
      transactionalId: null,
      transactionTimeoutMs: 0,
    });
    if (answer.errorCode !== 0) throw new Lost(`InitProducerId: ${answer.errorCode}`);
    this.#producerId = answer.producerId;
    this.#epoch = answer.producerEpoch;
  }

  #next(): Batch {
    const { stream, partition, total, large = 0, keys = 0 } = this.#load;
    const count = Math.min(this.random.integer(...this.#load.batch), total - this.#made);
    const messages = Array.from({ length: count }, () => {
      const lane = `${this.name}@${stream}/${partition}`;
      const given = { publisher: this.name, sequence: this.#made++, stream };
      const size = this.random.chance(large)
        ? LARGE_BYTES
        : this.random.integer(...this.#load.bytes);
      const key = keys === 0 ? null : `${this.name} ${this.random.integer(1, keys)}`;
      return this.world.ledger.make(
        { ...given, address: stream, lane, mode: 'exactly-once' },
        size,
        key,
      );
    });
    const batch = { messages, baseSequence: this.#sequence, timestampMs: this.world.clock.nowMs() };
    this.#sequence += count;
    this.#open.push(batch);
    return batch;
  }

  async #send(link: KafkaLink, batch: Batch): Promise<void> {
    const { stream, partition } = this.#load;
    for (const message of batch.messages) this.world.ledger.sending(message);
    const records = batchOf(
      batch.messages.map((message) => message.body),
      {
        producerId: this.#producerId,
        producerEpoch: this.#epoch,
        baseSequence: batch.baseSequence,
        timestampMs: batch.timestampMs,
      },
      batch.messages.map((message) => message.key),
    );
    const { responses } = await link.ask(produce, 8, {
      acks: -1,
      timeoutMs: 5_000,
      topicData: [{ name: stream, partitionData: [{ index: partition, records }] }],
    });
    const answer = responses[0]!.partitionResponses[0]!;
    if (answer.errorCode !== 0) this.#refused(answer.errorCode);
    this.#open = this.#open.filter((other) => other !== batch);
    batch.messages.forEach((message, index) => {
      this.world.ledger.acked(message, answer.baseOffset + index);
    });
  }

  #refused(code: number): never {
    // Out of order is what follows a batch of the same flight that was refused.
    if (RETRIABLE.has(code) || code === 45) throw new Lost(`produce: error ${code}`);
    this.world.ledger.fail(`${this.name}: produce was refused with ${code}`);
  }
}

/** All of them have an end; the first failure counts. */
async function settled(sends: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(sends);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}
