/**
 * Idempotent producers of one log (KIP-98): which sequence each may send next, and where its last
 * batches went, so that a repeat is answered with the first outcome. Checked before the append
 * against memory that includes appends in flight. Not transactions.
 */
import { BrokerError } from '#kit';
import type { BatchFacts } from '../log-engine.ts';

/** A producer has at most five requests in flight (KIP-98); that many repeats are recognised. */
const BATCHES_REMEMBERED = 5;
const SEQUENCE_END = 2 ** 31;
const ATTRIBUTE_CONTROL = 1 << 5;

export interface RememberedBatch {
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly baseOffset: number;
}

export interface Producer {
  epoch: number;
  lastTimeMs: number;
  /** Oldest first. */
  batches: RememberedBatch[];
}

export class ProducerTable {
  readonly byId = new Map<number, Producer>();

  /**
   * The base offset of the first time when this batch is a repeat, else -1.
   * @throws BrokerError `stale-producer`, `out-of-order-sequence`
   */
  check(facts: BatchFacts): number {
    const producer = this.byId.get(facts.producerId);
    // Unknown, or forgotten after its time: any first sequence is taken, as Apache Kafka does.
    if (producer === undefined) return -1;
    if (facts.producerEpoch < producer.epoch) {
      throw new BrokerError(
        'stale-producer',
        `Producer ${facts.producerId} has epoch ${producer.epoch}, not ${facts.producerEpoch}.`,
      );
    }
    if (facts.baseSequence < 0 || (facts.attributes & ATTRIBUTE_CONTROL) !== 0) return -1;
    const last = lastSequenceOf(facts);
    if (facts.producerEpoch === producer.epoch) {
      for (const batch of producer.batches) {
        if (batch.firstSequence === facts.baseSequence && batch.lastSequence === last) {
          return batch.baseOffset;
        }
      }
    }
    const expected = nextSequence(producer, facts.producerEpoch);
    if (facts.baseSequence !== expected) {
      throw new BrokerError(
        'out-of-order-sequence',
        `Producer ${facts.producerId} sent ${facts.baseSequence}, expected ${expected}.`,
      );
    }
    return -1;
  }

  /** Takes note of an appended batch. */
  add(facts: BatchFacts, baseOffset: number, timeMs: number): void {
    let producer = this.byId.get(facts.producerId);
    if (producer === undefined) {
      producer = { epoch: facts.producerEpoch, lastTimeMs: timeMs, batches: [] };
      this.byId.set(facts.producerId, producer);
    }
    if (facts.producerEpoch !== producer.epoch) {
      producer.epoch = facts.producerEpoch;
      producer.batches = [];
    }
    producer.lastTimeMs = timeMs;
    if (facts.baseSequence < 0 || (facts.attributes & ATTRIBUTE_CONTROL) !== 0) return;
    if (producer.batches.length === BATCHES_REMEMBERED) producer.batches.shift();
    producer.batches.push({
      firstSequence: facts.baseSequence,
      lastSequence: lastSequenceOf(facts),
      baseOffset,
    });
  }

  /** Forgets producers that sent nothing since `timeMs`. */
  expire(timeMs: number): void {
    for (const [id, producer] of this.byId) {
      if (producer.lastTimeMs < timeMs) this.byId.delete(id);
    }
  }
}

/** Sequence numbers run from 0 to 2^31 - 1 and start again. */
function lastSequenceOf(facts: BatchFacts): number {
  return (facts.baseSequence + facts.count - 1) % SEQUENCE_END;
}

/** An epoch begins with 0, whether its first batch began it or the end of a transaction did. */
function nextSequence(producer: Producer, epoch: number): number {
  if (epoch > producer.epoch) return 0;
  const last = producer.batches.at(-1);
  return last === undefined ? 0 : (last.lastSequence + 1) % SEQUENCE_END;
}
