/** The partitions with an open batch, and what all partitions share. */
import type { Log, LogFields, Timer } from '#kit';
import type { LogEngine } from '#storage';
import type { BrokerGiven } from '../broker.ts';
import type { Principal } from '../principals/principal.ts';
import type { Principals } from '../principals/principals.ts';
import type { Partition } from './partition.ts';
import type { PartitionHost } from './partition-host.ts';
import type { Transactions } from './transactions.ts';

/** Bytes of open batches above which publishers must wait. */
const OPEN_BYTES_MAX = 32 << 20;
/**
 * How long messages stay open that nobody waits for: their publishers want no answer, and whoever
 * follows live has them already. A seal for each turn of the loop would cost more than they do.
 */
const PATIENCE_MS = 5;
/** Open bytes that are written without waiting for that. */
const PATIENT_BYTES_MAX = 256 << 10;
/** Partitions that may hold decoded messages; older ones let go. */
const DECODED_MAX = 128;

export class OpenPartitions implements PartitionHost {
  readonly openedBytesMax: number;
  /** Set as soon as they are open. */
  transactions!: Transactions;
  readonly #engine: LogEngine;
  readonly #given: BrokerGiven;
  readonly #principals: Principals;
  readonly #log: Log;
  #open: Partition[] = [];
  #bytes = 0;
  /** The engine was told that something is to be sealed. */
  #woken = false;
  #timer: Timer | null = null;
  #waiting: (() => void)[] = [];
  readonly #decoded = new Set<Partition>();

  constructor(given: BrokerGiven, principals: Principals, openedBytesMax: number) {
    this.#given = given;
    this.#engine = given.engine;
    this.#principals = principals;
    this.#log = given.log;
    this.openedBytesMax = openedBytesMax;
  }

  get busy(): boolean {
    return this.#bytes > OPEN_BYTES_MAX;
  }

  onRoom(call: () => void): void {
    this.#waiting.push(call);
    this.#engine.wake();
  }

  nowMs(): number {
    return this.#given.clock.nowMs();
  }

  opened(partition: Partition): void {
    this.#open.push(partition);
    if (this.#woken) return;
    this.#timer ??= this.#given.timers.after(PATIENCE_MS, () => {
      this.#timer = null;
      this.awaited();
    });
  }

  grown(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > PATIENT_BYTES_MAX && !this.#woken) this.awaited();
  }

  awaited(): void {
    this.#woken = true;
    this.#engine.wake();
  }

  principalOf(id: number): Principal {
    return this.#principals.byId(id);
  }

  keeps(partition: Partition): void {
    this.#decoded.add(partition);
    if (this.#decoded.size <= DECODED_MAX) return;
    for (const oldest of this.#decoded) {
      this.#decoded.delete(oldest);
      oldest.forget();
      return;
    }
  }

  unreadable(partition: Partition, offset: number, reason: string): void {
    const fields: LogFields = { stream: partition.stream.name, offset, reason };
    this.#log.warn('a batch cannot be read by other protocols', fields);
  }

  aborted(partition: Partition, producerId: number, offset: number): boolean {
    return this.transactions.isAborted(partition, producerId, offset);
  }

  /** Hands all open batches to the engine. */
  seal(): void {
    const open = this.#open;
    this.#open = [];
    this.#woken = false;
    this.#timer?.cancel();
    this.#timer = null;
    for (const partition of open) partition.seal();
    this.#bytes = 0;
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const call of waiting) this.#given.timers.soon(call);
  }
}
