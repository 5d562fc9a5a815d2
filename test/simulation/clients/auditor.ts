/**
 * Reads every partition from its start to its end, as any Kafka consumer would, and compares it
 * with the ledger.
 */
import { fetch } from '../../../src/protocols/kafka/messages/01-fetch.ts';
import { metadata } from '../../../src/protocols/kafka/messages/03-metadata.ts';
import { Actor, Lost } from '../actor.ts';
import type { Found, Part } from '../ledger.ts';
import type { Wire } from '../network.ts';
import { KafkaLink, recordsIn } from './kafka-link.ts';

const OFFSET_OUT_OF_RANGE = 1;

export class Auditor extends Actor {
  protected readonly listener = 'kafka';

  protected async session(wire: Wire): Promise<void> {
    const link = new KafkaLink(wire, this.world.scheduler);
    const streams = [...this.world.ledger.streams];
    const { topics } = await link.ask(metadata, 9, { topics: null });
    const seen = new Set<string>();
    for (const { name, errorCode, partitions } of topics) {
      if (errorCode !== 0 || name === null) throw new Lost(`metadata: error ${errorCode}`);
      seen.add(name);
      const since = this.world.scheduler.nowMs;
      const parts: Part[] = [];
      for (const { partitionIndex } of partitions) {
        parts.push(await this.#read(link, name, partitionIndex));
      }
      this.world.ledger.audit(name, parts, since);
    }
    for (const name of streams) {
      if (!seen.has(name)) this.world.ledger.fail(`the stream ${name} is lost`);
    }
    this.done = true;
  }

  async #read(link: KafkaLink, topic: string, partition: number): Promise<Part> {
    const { ledger } = this.world;
    const name = `${topic}/${partition}`;
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
      const records = recordsIn(answer.records ?? Buffer.alloc(0));
      if (records.length === 0 && offset < end) ledger.fail(`${name}: nothing at ${offset}`);
      for (const record of records) if (record.offset >= offset) found.push(record);
      offset = (records.at(-1)?.offset ?? offset - 1) + 1;
    }
    return { name, start, found };
  }
}

export function fetchOf(topic: string, partition: number, fetchOffset: number, maxWaitMs = 0) {
  const asked = { partition, fetchOffset, partitionMaxBytes: 40_000 };
  return {
    ...{ maxWaitMs, minBytes: 1, maxBytes: 100_000 },
    topics: [{ topic, partitions: [asked] }],
    forgottenTopicsData: [],
  };
}
