/** Declares durable queues. One that was acknowledged is there for good. */
import { EMPTY_TABLE } from '../../../src/protocols/amqp/field-table.ts';
import { Actor } from '../actor.ts';
import type { Wire } from '../network.ts';
import type { World } from '../world.ts';
import type { QueueShape } from './amqp-consumer.ts';
import { AmqpLink } from './amqp-link.ts';

export class AmqpMaker extends Actor {
  protected readonly listener = 'amqp';
  readonly #queues: readonly QueueShape[];

  constructor(world: World, name: string, queues: readonly QueueShape[]) {
    super(world, name);
    this.#queues = queues;
  }

  protected async session(wire: Wire): Promise<void> {
    const link = new AmqpLink(wire, this.world.scheduler);
    await link.open();
    for (const { queue, arguments: table } of this.#queues) {
      await link.declare(queue, table ?? EMPTY_TABLE);
    }
    this.done = true;
  }
}
