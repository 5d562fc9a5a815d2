/**
 * A Kafka consumer group that commits as it reads and stays over all restarts. A committed offset
 * never goes back, and reading goes on from it without a gap.
 */
import { type Consumer, type EachBatchPayload, Kafka, logLevel } from 'kafkajs';
import type { Server } from '../clients/server.ts';
import type { Findings } from './findings.ts';
import type { Load } from './load.ts';
import type { StoredLog } from './stored-log.ts';

const RETRY = { retries: 200, initialRetryTime: 50, maxRetryTime: 250 };

interface Progress {
  readonly log: StoredLog;
  /** The next offset to see. */
  next: number;
  /** Offset of the last commit that was answered, and of the last that was asked for. */
  committed: number;
  asked: number;
}

export class KafkaGroup implements Load {
  readonly protocol = 'kafka';
  readonly name = 'kafka-group';
  readonly logs = [];
  acknowledged = 0;
  readonly #topic: string;
  readonly #progress: readonly Progress[];
  readonly #faults: { readonly kind: 'lost' | 'acknowledgement lost'; readonly text: string }[] =
    [];
  #repeated = 0;
  #consumer: Consumer | null = null;
  #waiting: (() => void) | null = null;

  /** @param logs of one topic, of a producer that is settled before this is */
  constructor(topic: string, logs: readonly StoredLog[]) {
    this.#topic = topic;
    this.#progress = logs.map((log) => ({ log, next: 0, committed: 0, asked: 0 }));
  }

  async prepare(server: Server): Promise<void> {
    const brokers = [server.address('kafka')];
    const kafka = new Kafka({ brokers, logLevel: logLevel.NOTHING, retry: RETRY });
    this.#consumer = kafka.consumer({
      groupId: this.name,
      maxWaitTimeInMs: 100,
      heartbeatInterval: 500,
      retry: { ...RETRY, restartOnFailure: async () => true },
    });
    await this.#consumer.connect();
    await this.#consumer.subscribe({ topic: this.#topic, fromBeginning: true });
    await this.#consumer.run({ autoCommit: false, eachBatch: (payload) => this.#batch(payload) });
  }

  async begin(): Promise<void> {}

  cease(): void {}

  async settle(findings: Findings): Promise<void> {
    if (!this.#complete()) {
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
    }
    for (const { kind, text } of this.#faults.splice(0)) findings.add(kind, this.name, text);
    findings.allow('records given to a Kafka group again, after its last commit', this.#repeated);
    this.#repeated = 0;
  }

  async check(server: Server, findings: Findings): Promise<void> {
    const admin = new Kafka({ brokers: [server.address('kafka')], logLevel: logLevel.NOTHING });
    const client = admin.admin();
    await client.connect();
    const [topic] = await client.fetchOffsets({ groupId: this.name, topics: [this.#topic] });
    await client.disconnect();
    for (const { partition, offset } of topic?.partitions ?? []) {
      const { committed, asked } = this.#progress[partition]!;
      const found = Math.max(0, Number(offset));
      if (found >= committed && found <= asked) continue;
      const detail = `partition ${partition}: offset ${found}, committed ${committed} to ${asked}`;
      findings.add('acknowledgement lost', this.name, detail);
    }
  }

  async close(): Promise<void> {
    await this.#consumer?.disconnect();
  }

  async #batch(payload: EachBatchPayload): Promise<void> {
    const { batch } = payload;
    const progress = this.#progress[batch.partition]!;
    for (const { offset } of batch.messages) this.#see(progress, Number(offset));
    const next = Number(batch.lastOffset()) + 1;
    progress.asked = Math.max(progress.asked, next);
    const partitions = [{ partition: batch.partition, offset: String(next) }];
    // Fails when the server ends, or has forgotten the members of the group: the library then joins
    // again and begins at the committed offset. `consumer.commitOffsets` would end the consumer.
    await payload.commitOffsetsIfNecessary({ topics: [{ topic: this.#topic, partitions }] });
    progress.committed = next;
    this.acknowledged++;
    payload.resolveOffset(batch.lastOffset());
    if (this.#complete()) this.#waiting?.();
    await payload.heartbeat();
  }

  #see(progress: Progress, offset: number): void {
    const { log, next, committed } = progress;
    if (offset > next) {
      this.#faults.push({ kind: 'lost', text: `${log.name}: ${next} to ${offset - 1} not seen` });
    } else if (offset < next) {
      this.#repeated++;
      if (offset < committed) {
        const text = `${log.name}: ${offset} again, committed is ${committed}`;
        this.#faults.push({ kind: 'acknowledgement lost', text });
      }
    }
    progress.next = Math.max(next, offset + 1);
  }

  #complete(): boolean {
    return this.#progress.every(({ log, committed }) => committed >= log.ledger.sent);
  }
}
