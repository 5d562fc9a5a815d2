/** Makes the streams of a run as Kafka topics. One that was acknowledged is there for good. */
import { createTopics } from '../../../src/protocols/kafka/messages/19-create-topics.ts';
import { Actor, Lost } from '../actor.ts';
import type { Wire } from '../network.ts';
import type { World } from '../world.ts';
import { KafkaLink } from './kafka-link.ts';

const TOPIC_EXISTS = 36;

export interface Topic {
  readonly name: string;
  readonly partitions: number;
  readonly configs?: Readonly<Record<string, string>>;
}

export class Maker extends Actor {
  protected readonly listener = 'kafka';
  readonly #topics: readonly Topic[];

  constructor(world: World, name: string, topics: readonly Topic[]) {
    super(world, name);
    this.#topics = topics;
  }

  protected async session(wire: Wire): Promise<void> {
    const link = new KafkaLink(wire, this.world.scheduler);
    const wanted = this.#topics.map(({ name, partitions, configs = {} }) => {
      const shape = { numPartitions: partitions, replicationFactor: 1 };
      const settings = Object.entries(configs).map(([key, value]) => ({ name: key, value }));
      return { name, ...shape, assignments: [], configs: settings };
    });
    const { topics } = await link.ask(createTopics, 5, { topics: wanted });
    for (const { name, errorCode } of topics) {
      if (errorCode === TOPIC_EXISTS) continue;
      if (errorCode !== 0) throw new Lost(`create ${name}: error ${errorCode}`);
      this.world.ledger.madeStream(name);
    }
    this.done = true;
  }
}
