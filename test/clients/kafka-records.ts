/**
 * The other side of Kafka Streams, Connect and MirrorMaker in their tests: writes what they read
 * and reads what they wrote, as a committed reader from the beginning. With kafkajs, whose records
 * lie in the partitions where the Java clients would have put them.
 */
import { type Admin, type IHeaders, Kafka, logLevel, type Message } from 'kafkajs';
import { deadline } from './program.ts';

process.env['KAFKAJS_NO_PARTITIONER_WARNING'] = '1';
const BATCH_RECORDS = 500;

export interface Seen {
  readonly partition: number;
  readonly offset: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly timestamp: string;
  readonly headers: IHeaders;
}

/** By the address of a broker; nothing stays open between calls. */
export class KafkaRecords {
  readonly #kafka: Kafka;
  #groups = 0;

  constructor(address: string, user?: { readonly user: string; readonly password: string }) {
    const sasl =
      user === undefined
        ? {}
        : { sasl: { mechanism: 'plain' as const, username: user.user, password: user.password } };
    this.#kafka = new Kafka({ brokers: [address], logLevel: logLevel.NOTHING, ...sasl });
  }

  async admin<T>(ask: (admin: Admin) => Promise<T>): Promise<T> {
    const admin = this.#kafka.admin();
    await admin.connect();
    try {
      return await ask(admin);
    } finally {
      await admin.disconnect();
    }
  }

  async create(
    partitions: number,
    topics: readonly string[],
    configs: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }));
    const shape = { numPartitions: partitions, replicationFactor: 1, configEntries };
    const asked = topics.map((topic) => ({ topic, ...shape }));
    await this.admin((admin) => admin.createTopics({ topics: asked }));
  }

  /** What a topic is set to, by name of the config. */
  async configs(topic: string): Promise<Readonly<Record<string, string>>> {
    const resources = [{ type: 2, name: topic }];
    const asked = { resources, includeSynonyms: false };
    const answer = await this.admin((admin) => admin.describeConfigs(asked));
    const entries = answer.resources[0]?.configEntries ?? [];
    return Object.fromEntries(entries.map((entry) => [entry.configName, entry.configValue]));
  }

  async send(topic: string, messages: readonly Message[]): Promise<void> {
    const producer = this.#kafka.producer();
    await producer.connect();
    try {
      for (let at = 0; at < messages.length; at += BATCH_RECORDS) {
        await producer.send({ topic, messages: messages.slice(at, at + BATCH_RECORDS) });
      }
    } finally {
      await producer.disconnect();
    }
  }

  /** Reads from the beginning until `enough` holds of all that was seen. */
  async read(
    topic: string,
    enough: (seen: readonly Seen[]) => boolean,
    timeoutMs: number,
  ): Promise<readonly Seen[]> {
    const groupId = `records-${topic}-${process.pid}-${this.#groups++}`;
    const consumer = this.#kafka.consumer({ groupId, maxWaitTimeInMs: 500 });
    const seen: Seen[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    await consumer.connect();
    try {
      await consumer.subscribe({ topic, fromBeginning: true });
      await consumer.run({
        autoCommit: false,
        eachBatch: async ({ batch, resolveOffset }) => {
          for (const { offset, key, value, timestamp, headers } of batch.messages) {
            seen.push({
              partition: batch.partition,
              offset: Number(offset),
              key: key === null ? null : String(key),
              value: value === null ? null : String(value),
              timestamp,
              headers: headers ?? {},
            });
            resolveOffset(offset);
          }
          if (enough(seen)) resolve();
        },
      });
      await deadline(promise, timeoutMs, () => `of ${topic} were read only ${seen.length} records`);
      return seen;
    } finally {
      await consumer.disconnect();
    }
  }

  /**
   * All that is committed in a topic when nothing writes to it any more: a last record goes to each
   * partition, so that the end is seen and not guessed.
   */
  async all(topic: string, timeoutMs: number): Promise<readonly Seen[]> {
    const { topics } = await this.admin((admin) => admin.fetchTopicMetadata({ topics: [topic] }));
    const partitions = topics[0]?.partitions.map(({ partitionId }) => partitionId) ?? [];
    const end = `end-${this.#groups++}`;
    await this.send(
      topic,
      partitions.map((partition) => ({ partition, key: end, value: end })),
    );
    const isEnd = ({ value }: Seen): boolean => value?.startsWith('end-') === true;
    const ended = (seen: readonly Seen[]): boolean =>
      seen.filter(({ value }) => value === end).length === partitions.length;
    const seen = await this.read(topic, ended, timeoutMs);
    return seen.filter((record) => !isEnd(record));
  }
}
