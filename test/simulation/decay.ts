/**
 * After a run: bits flip on the disk of a stopped server. What it serves then is what it served
 * before, or an error, and what it does not serve any more it has told.
 */
import { fetch } from '../../src/protocols/kafka/messages/01-fetch.ts';
import { metadata } from '../../src/protocols/kafka/messages/03-metadata.ts';
import { Actor, Lost } from './actor.ts';
import { fetchOf, isOnlyNamed } from './clients/auditor.ts';
import { recordsIn } from './clients/fetched.ts';
import { KafkaLink } from './clients/kafka-link.ts';
import type { Found } from './ledger.ts';
import type { Wire } from './network.ts';
import type { World } from './world.ts';

const FLIPS_MAX = 6;
/** Tries to hit a byte that is not one of the zeros of a preallocated file. */
const TRIES = 60;

/** Turns some bits of stored data around. */
export function flipBits(world: World): void {
  const random = world.random('decay');
  const paths = world.disk.paths.filter((path) => /\/(wal|seg|raw|tier)-/.test(path));
  for (let count = random.integer(1, FLIPS_MAX); count > 0 && paths.length > 0; count--) {
    const path = random.pick(paths);
    const bytes = world.disk.bytesOf(path);
    let at = random.integer(0, bytes.length - 1);
    for (let tries = 0; tries < TRIES && bytes[at] === 0; tries++) {
      at = random.integer(0, bytes.length - 1);
    }
    const bit = random.integer(0, 7);
    world.trace.add(`a bit flips: ${path} ${at} ${bit}`);
    world.disk.flip(path, at, bit);
  }
}

/** Reads all that is still readable. */
export class DecayAuditor extends Actor {
  protected readonly listener = 'kafka';

  protected async session(wire: Wire): Promise<void> {
    const { ledger, damage } = this.world;
    const link = new KafkaLink(wire, this.world.scheduler);
    const { topics } = await link.ask(metadata, 9, { topics: null });
    let missing = 0;
    for (const { name, partitions } of topics) {
      if (isOnlyNamed(name)) continue;
      for (const { partitionIndex } of partitions) {
        missing += await this.#read(link, name!, partitionIndex);
      }
    }
    if (missing > 0 && damage.length === 0) {
      ledger.fail(`${missing} records are not served any more and nobody was told`);
    }
    this.done = true;
  }

  /** @returns how many records that were there are not served */
  async #read(link: KafkaLink, topic: string, partition: number): Promise<number> {
    const { ledger } = this.world;
    const name = `${topic}/${partition}`;
    const seen = ledger.offsetsSeen(name);
    const found: Found[] = [];
    const refused = new Set<number>();
    let start = 0;
    let end = 1;
    for (let offset = 0; offset < end; ) {
      const { responses } = await link.ask(fetch, 11, fetchOf(topic, partition, offset));
      const answer = responses[0]!.partitions[0]!;
      if (answer.highWatermark < 0) throw new Lost(`${name}: error ${answer.errorCode}`);
      end = answer.highWatermark;
      if (offset < answer.logStartOffset) {
        start = answer.logStartOffset;
        offset = start;
        continue;
      }
      if (answer.errorCode !== 0) refused.add(offset);
      let next = offset + 1;
      for (const record of recordsIn(answer.records ?? Buffer.alloc(0))) {
        if (record.offset < offset) continue;
        ledger.seenAt(name, record.offset, record.body);
        found.push(record);
        next = record.offset + 1;
      }
      offset = next;
    }
    const gone = ledger.gone({ name, start, found, seen }, seen);
    const silent = gone.find((at) => at < end && !refused.has(at));
    if (silent !== undefined) ledger.fail(`${name}: ${silent} is passed over without an error`);
    return gone.length;
  }
}
