/** An idempotent producer of records with keys, on a topic that is compacted as soon as may be. */
import { Kafka, logLevel, type Producer } from 'kafkajs';
import type { Server } from '../clients/server.ts';
import { CompactedLog } from './compacted-log.ts';
import type { Findings } from './findings.ts';
import { Ledger } from './ledger.ts';
import type { Load, LoadSettings } from './load.ts';
import { createTopic } from './streams.ts';

const KEYS = 32;
const BATCH = 20;
/** So many attempts outlast any restart. */
const RETRY = { retries: 200, initialRetryTime: 50, maxRetryTime: 250 };
const CONFIGS = {
  'cleanup.policy': 'compact',
  'min.cleanable.dirty.ratio': '0.01',
  'segment.ms': '500',
};

export class KafkaCompacted implements Load {
  readonly protocol = 'kafka';
  readonly name: string;
  readonly logs: readonly CompactedLog[];
  readonly #ledger: Ledger;
  #producer: Producer | null = null;
  #open = false;
  #sending: Promise<void> = Promise.resolve();
  #failures: string[] = [];

  constructor(topic: string, { seed, sizes }: LoadSettings) {
    this.name = topic;
    this.#ledger = new Ledger(seed, sizes);
    this.logs = [new CompactedLog(topic, this.#ledger, KEYS)];
  }

  get acknowledged(): number {
    return this.#ledger.acknowledged;
  }

  async prepare(server: Server): Promise<void> {
    await createTopic(server, this.name, 1, CONFIGS);
    const brokers = [server.address('kafka')];
    const kafka = new Kafka({ brokers, logLevel: logLevel.NOTHING, retry: RETRY });
    this.#producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1, retry: RETRY });
    await this.#producer.connect();
  }

  async begin(): Promise<void> {
    this.#open = true;
    this.#sending = this.#run();
  }

  cease(): void {
    this.#open = false;
  }

  async settle(findings: Findings): Promise<void> {
    await this.#sending;
    for (const text of this.#failures.splice(0)) findings.add('stuck', this.name, text);
  }

  async close(): Promise<void> {
    this.#open = false;
    await this.#producer?.disconnect();
  }

  async #run(): Promise<void> {
    const [log] = this.logs;
    while (this.#open) {
      const batch = Array.from({ length: BATCH }, () => this.#ledger.next());
      const messages = batch.map(({ number, body }) => ({ key: log!.keyOf(number), value: body }));
      try {
        await this.#producer!.send({ topic: this.name, acks: -1, messages });
      } catch (error) {
        this.#failures.push(`its producer gave up: ${String(error)}`);
        return;
      }
      for (const { number } of batch) this.#ledger.confirm(number);
    }
  }
}
