/**
 * Reads every partition from its start to its end, as any Kafka consumer would, and compares it
 * with the ledger.
 */
import { fetch } from '../../../src/protocols/kafka/messages/01-fetch.ts';
import { metadata } from '../../../src/protocols/kafka/messages/03-metadata.ts';
import { Actor, Lost } from '../actor.ts';
import type { Found, Part } from '../ledger.ts';
import type { Wire } from '../network.ts';
import { batchesIn, committedIn } from './fetched.ts';
import { KafkaLink } from './kafka-link.ts';
import { auditShares } from './share-group.ts';

const OFFSET_OUT_OF_RANGE = 1;
export const READ_COMMITTED = 1;
/** The topic that transactions write to. */
export const TRANSACTED = 'payments';

/** Topics that a server of Kafka has for its own state: listed, and not to be read. */
const ONLY_NAMED: ReadonlySet<string | null> = new Set([
  '__consumer_offsets',
  '__share_group_state',
  '__transaction_state',
]);

export const isOnlyNamed = (topic: string | null): boolean => ONLY_NAMED.has(topic);

export class Auditor extends Actor {
  protected readonly listener = 'kafka';

  protected async session(wire: Wire): Promise<void> {
    const link = new KafkaLink(wire, this.world.scheduler);
    const streams = [...this.world.ledger.streams];
    const { topics } = await link.ask(metadata, 9, { topics: null });
    const seen = new Set<string>();
    for (const { name, errorCode, partitions } of topics) {
      if (isOnlyNamed(name)) continue;
      if (errorCode !== 0 || name === null) throw new Lost(`metadata: error ${errorCode}`);
      seen.add(name);
      const since = this.world.scheduler.nowMs;
      const parts: Part[] = [];
      for (const { partitionIndex } of partitions) {
        parts.push(await this.#read(link, name, partitionIndex));
      }
      this.world.ledger.audit(name, parts, since);
      if (name === TRANSACTED) {
        for (const { partitionIndex } of partitions) {
          await this.#readCommitted(link, name, partitionIndex);
        }
      }
    }
    for (const name of streams) {
      if (!seen.has(name)) this.world.ledger.fail(`the stream ${name} is lost`);
    }
    await auditShares(link, this.world);
    this.done = true;
  }

  async #read(link: KafkaLink, topic: string, partition: number): Promise<Part> {
    const { ledger } = this.world;
    const name = `${topic}/${partition}`;
    const seen = ledger.offsetsSeen(name);
    const found: Found[] = [];
    let start = 0;
    for (let offset = 0, end = 1; offset < end; ) {
      const before = ledger.highest(name);
      const { responses } = await link.ask(fetch, 11, fetchOf(topic, partition, offset));
      const answer = responses[0]!.partitions[0]!;
      if (answer.errorCode === OFFSET_OUT_OF_RANGE) {
        if (answer.logStartOffset <= offset) ledger.fail(`${name}: no offset ${offset}`);
        start = answer.logStartOffset;
        offset = start;
        continue;
      }
      if (answer.errorCode !== 0) throw new Lost(`${name}: fetch error ${answer.errorCode}`);
      ledger.watermark(name, answer.highWatermark, before);
      end = answer.highWatermark;
      const batches = batchesIn(answer.records ?? Buffer.alloc(0));
      if (batches.length === 0 && offset < end) ledger.fail(`${name}: nothing at ${offset}`);
      for (const { records } of batches) {
        for (const record of records) if (record.offset >= offset) found.push(record);
      }
      offset = batches.at(-1)?.next ?? offset;
    }
    return { name, start, found, seen };
  }

  /** As a reader sees it that waits for the ends of transactions. */
  async #readCommitted(link: KafkaLink, topic: string, partition: number): Promise<void> {
    const { ledger, scheduler } = this.world;
    const name = `${topic}/${partition}`;
    const since = scheduler.nowMs;
    const found: Found[] = [];
    for (let offset = 0; ; ) {
      const before = ledger.highest(`${name} stable`);
      const asked = fetchOf(topic, partition, offset, 0, READ_COMMITTED);
      const { responses } = await link.ask(fetch, 11, asked);
      const answer = responses[0]!.partitions[0]!;
      const { errorCode, lastStableOffset, highWatermark, logStartOffset } = answer;
      if (errorCode === OFFSET_OUT_OF_RANGE && offset < logStartOffset) {
        offset = logStartOffset;
        continue;
      }
      if (errorCode !== 0) throw new Lost(`${name}: fetch error ${errorCode}`);
      ledger.watermark(`${name} stable`, lastStableOffset, before);
      const batches = batchesIn(answer.records ?? Buffer.alloc(0));
      const counting = committedIn(batches, answer.abortedTransactions ?? []);
      found.push(...counting.filter((record) => record.offset >= offset));
      offset = batches.at(-1)?.next ?? offset;
      if (offset >= lastStableOffset) {
        const part = { name, start: logStartOffset, found, seen: [] };
        ledger.auditCommitted(part, lastStableOffset, highWatermark, since);
        return;
      }
      if (batches.length === 0) ledger.fail(`${name}: nothing committed at ${offset}`);
    }
  }
}

export function fetchOf(
  topic: string,
  partition: number,
  fetchOffset: number,
  maxWaitMs = 0,
  isolationLevel = 0,
) {
  const asked = { partition, fetchOffset, partitionMaxBytes: 40_000 };
  return {
    ...{ maxWaitMs, minBytes: 1, maxBytes: 100_000, isolationLevel },
    topics: [{ topic, partitions: [asked] }],
    forgottenTopicsData: [],
  };
}
