/** Consumes a durable queue: acknowledges, at times late or never, or gives messages back. */
import type { Table } from '../../../src/protocols/amqp/field-table.ts';
import { EMPTY_TABLE } from '../../../src/protocols/amqp/field-table.ts';
import { Actor } from '../actor.ts';
import type { Consumption } from '../consumption.ts';
import type { Wire } from '../network.ts';
import type { World } from '../world.ts';
import { AmqpLink, type Delivered } from './amqp-link.ts';

export interface QueueShape {
  readonly queue: string;
  readonly arguments?: Table;
  /** A pattern of amq.topic that the queue takes too. */
  readonly pattern?: string;
}

export class AmqpConsumer extends Actor {
  protected readonly listener = 'amqp';
  readonly #shape: QueueShape;
  readonly #consumption: Consumption;

  constructor(world: World, name: string, shape: QueueShape, consumption: Consumption) {
    super(world, name);
    this.#shape = shape;
    this.#consumption = consumption;
  }

  protected async session(wire: Wire): Promise<void> {
    const { random, world } = this;
    const link = new AmqpLink(wire, world.scheduler);
    link.onDelivery = (delivered) => this.#delivered(link, delivered);
    await link.open();
    await link.declare(this.#shape.queue, this.#shape.arguments ?? EMPTY_TABLE);
    if (this.#shape.pattern !== undefined) {
      await link.bind(this.#shape.queue, 'amq.topic', this.#shape.pattern);
    }
    this.#consumption.begin(this.name);
    await link.consume(this.#shape.queue, random.integer(1, 20));
    for (;;) {
      await Promise.race([world.scheduler.sleep(random.between(100, 2_500)), link.lost]);
      if (this.done || (random.chance(0.3) && !world.closing)) return;
    }
  }

  #delivered(link: AmqpLink, { tag, redelivered, body }: Delivered): void {
    const { random, world } = this;
    const sent = this.#consumption.took(this.name, body, redelivered);
    if (world.closing || random.chance(0.6)) {
      this.#consumption.settled(sent, link.wire);
      link.send('basic.ack', { deliveryTag: tag, multiple: false });
    } else if (random.chance(0.4)) {
      link.send('basic.nack', { deliveryTag: tag, multiple: false, requeue: true });
    } else {
      world.scheduler.after(random.between(1, 400), () => {
        if (link.wire.closed) return;
        this.#consumption.settled(sent, link.wire);
        link.send('basic.ack', { deliveryTag: tag, multiple: false });
      });
    }
  }
}
