/** One basic.consume: its credit, and the way of a delivery onto the wire. */
import type { Attachment, Delivery, Queue, QueueConsumer } from '#broker';
import type { AmqpQueue } from './amqp-queue.ts';
import type { Channel } from './channel.ts';
import { utf8Bytes } from './output.ts';

/**
 * Unacknowledged deliveries per channel, whatever the prefetch says: memory has a bound even with a
 * client that never acknowledges.
 */
const UNACKED_MAX = 100_000;

export interface ReaderFacts {
  readonly tag: string;
  readonly noAck: boolean;
  readonly exclusive: boolean;
  /** 0 = no limit. */
  readonly prefetch: number;
  readonly priority: number;
}

export class ChannelReader implements QueueConsumer {
  readonly facts: ReaderFacts;
  readonly queue: AmqpQueue;
  readonly #channel: Channel;
  readonly #tagBytes: Buffer;
  #attachment: Attachment | null = null;
  #unackedCount = 0;

  constructor(channel: Channel, queue: AmqpQueue, facts: ReaderFacts) {
    this.#channel = channel;
    this.queue = queue;
    this.facts = facts;
    const tag = utf8Bytes(facts.tag);
    this.#tagBytes = Buffer.concat([Buffer.of(tag.length), tag]);
  }

  /** [A37] Deliveries begin at once; higher priorities come first while they can take more. */
  begin(queue: Queue): void {
    const { priority, noAck } = this.facts;
    this.#attachment = queue.attach(this, { priority, finishes: noAck });
  }

  end(): void {
    this.#attachment?.detach(true);
    this.#attachment = null;
  }

  /** It may take more again. */
  wake(): void {
    this.#attachment?.wake();
  }

  get unackedCount(): number {
    return this.#unackedCount;
  }

  /** [A24] Prefetch limits what waits for an acknowledgement, so not a no-ack consumer. */
  ready(): boolean {
    const channel = this.#channel;
    if (!channel.writable) return false;
    const { noAck, prefetch } = this.facts;
    if (noAck) return true;
    if (prefetch > 0 && this.#unackedCount >= prefetch) return false;
    const { sharedPrefetch, unacked } = channel;
    if (sharedPrefetch > 0 && channel.readerUnackedCount >= sharedPrefetch) return false;
    return unacked.size < UNACKED_MAX;
  }

  deliver(delivery: Delivery): void {
    const channel = this.#channel;
    let tag: number;
    if (this.facts.noAck) tag = channel.unacked.pass();
    else {
      tag = channel.unacked.add({ queue: this.queue, delivery, reader: this });
      this.#unackedCount++;
      channel.readerUnackedCount++;
    }
    channel.writeDelivery(this.#tagBytes, tag, delivery, this.queue.name);
  }

  /** A delivery was acknowledged or went back. */
  settled(): void {
    this.#unackedCount--;
    this.#channel.readerUnackedCount--;
  }

  /** The queue was deleted. */
  queueGone(): void {
    this.#attachment = null;
    this.#channel.readerGone(this);
  }
}
