/**
 * An idempotent Kafka producer that stays the same over all restarts and repeats what is in doubt:
 * each record is stored once. It writes to every partition in turn, with one request in flight.
 */
import { CompressionTypes, Kafka, logLevel, type Producer } from 'kafkajs';
import type { Server } from '../clients/server.ts';
import type { Findings } from './findings.ts';
import { Ledger } from './ledger.ts';
import type { Load, LoadSettings } from './load.ts';
import { StoredLog } from './stored-log.ts';
import { createTopic } from './streams.ts';

const MS_PER_SECOND = 1000;
/** So many attempts outlast any restart. */
const RETRY = { retries: 200, initialRetryTime: 50, maxRetryTime: 250 };

export interface KafkaShape {
  readonly partitions: number;
  /** Records of a request. */
  readonly batch: number;
  /** All partitions but the first are compressed. */
  readonly gzip: boolean;
  readonly configs?: Readonly<Record<string, string>>;
}

const USUAL: KafkaShape = { partitions: 2, batch: 20, gzip: true };

export class KafkaIdempotent implements Load {
  readonly protocol = 'kafka';
  readonly name: string;
  readonly ledgers: readonly Ledger[];
  readonly logs: readonly StoredLog[];
  readonly #shape: KafkaShape;
  readonly #rate: number | undefined;
  #producer: Producer | null = null;
  #open = false;
  #sending: Promise<void>[] = [];
  #failures: string[] = [];
  #wake: (() => void) | null = null;

  constructor(topic: string, { seed, sizes, pace }: LoadSettings, shape = USUAL) {
    this.name = topic;
    this.#shape = shape;
    this.#rate = pace.rate;
    this.ledgers = Array.from({ length: shape.partitions }, (_, n) => new Ledger(seed + n, sizes));
    this.logs = this.ledgers.map((ledger, n) => new StoredLog(topic, n, 'once', ledger));
  }

  get acknowledged(): number {
    return this.ledgers.reduce((sum, { acknowledged }) => sum + acknowledged, 0);
  }

  async prepare(server: Server): Promise<void> {
    const { partitions, configs } = this.#shape;
    await createTopic(server, this.name, partitions, configs);
    const brokers = [server.address('kafka')];
    const kafka = new Kafka({ brokers, logLevel: logLevel.NOTHING, retry: RETRY });
    this.#producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1, retry: RETRY });
    await this.#producer.connect();
  }

  async begin(): Promise<void> {
    this.#open = true;
    this.#sending = this.ledgers.map((ledger, partition) => this.#run(ledger, partition));
  }

  cease(): void {
    this.#open = false;
    this.#wake?.();
  }

  async settle(findings: Findings): Promise<void> {
    await Promise.all(this.#sending);
    for (const text of this.#failures.splice(0)) findings.add('stuck', this.name, text);
  }

  async close(): Promise<void> {
    this.#open = false;
    await this.#producer?.disconnect();
  }

  async #run(ledger: Ledger, partition: number): Promise<void> {
    const { batch: records, gzip, partitions } = this.#shape;
    while (this.#open) {
      const batch = Array.from({ length: records }, () => ledger.next());
      const messages = batch.map(({ body }) => ({ value: body, partition }));
      try {
        const isPlain = partition === 0 || !gzip;
        const compression = isPlain ? CompressionTypes.None : CompressionTypes.GZIP;
        await this.#producer!.send({ topic: this.name, acks: -1, compression, messages });
      } catch (error) {
        this.#failures.push(`its producer gave up: ${String(error)}`);
        return;
      }
      for (const { number } of batch) ledger.confirm(number);
      if (this.#rate !== undefined) await this.#pause((records * partitions) / this.#rate);
    }
  }

  #pause(seconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, seconds * MS_PER_SECOND);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
