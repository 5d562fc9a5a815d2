/**
 * A Kafka producer that never repeats: its connection ends with the server, and what was not
 * answered then is in doubt. On a stream of any durability class.
 */
import { Kafka, logLevel, type Producer } from 'kafkajs';
import type { Server } from '../clients/server.ts';
import { Ledger } from './ledger.ts';
import type { Load, LoadSettings } from './load.ts';
import { StoredLog } from './stored-log.ts';
import { createStream } from './streams.ts';

const BATCH = 10;
const REQUEST_TIMEOUT_MS = 10_000;

export class KafkaPlain implements Load {
  readonly protocol = 'kafka';
  readonly name: string;
  readonly ledger: Ledger;
  readonly logs: readonly StoredLog[];
  readonly #durability: 'memory' | 'async';
  #open = false;
  #producer: Producer | null = null;
  #sending: Promise<void> = Promise.resolve();

  constructor(topic: string, durability: 'memory' | 'async', { seed, sizes }: LoadSettings) {
    this.name = topic;
    this.#durability = durability;
    this.ledger = new Ledger(seed, sizes);
    this.logs = [new StoredLog(topic, 0, durability, this.ledger)];
  }

  get acknowledged(): number {
    return this.ledger.acknowledged;
  }

  async prepare(server: Server): Promise<void> {
    await createStream(server, { name: this.name, durability: this.#durability });
  }

  async begin(server: Server): Promise<void> {
    const retry = { retries: 0 };
    const kafka = new Kafka({
      brokers: [server.address('kafka')],
      logLevel: logLevel.NOTHING,
      retry,
      requestTimeout: REQUEST_TIMEOUT_MS,
    });
    this.#producer = kafka.producer({ retry });
    await this.#producer.connect();
    this.#open = true;
    this.#sending = this.#run(this.#producer);
  }

  cease(): void {
    this.#open = false;
  }

  async settle(): Promise<void> {
    await this.#sending;
    // Nobody may be there any more to say goodbye to.
    await this.#producer?.disconnect().catch(() => {});
  }

  async close(): Promise<void> {}

  async #run(producer: Producer): Promise<void> {
    while (this.#open) {
      const batch = Array.from({ length: BATCH }, () => this.ledger.next());
      const messages = batch.map(({ body }) => ({ value: body }));
      try {
        await producer.send({ topic: this.name, acks: -1, messages });
      } catch {
        return;
      }
      for (const { number } of batch) this.ledger.confirm(number);
    }
  }
}
