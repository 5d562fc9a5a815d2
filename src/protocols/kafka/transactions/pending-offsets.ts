/**
 * Offsets that groups will have if a transaction is committed. Until it ends nobody can tell where
 * the group stands (KIP-447).
 */
import type { CommittedOffset } from '#broker';
import type { Transaction } from './transaction.ts';

export class PendingOffsets {
  /** Transactions by group, stream and partition. */
  readonly #waiting = new Map<string, Set<Transaction>>();

  has(group: string, stream: string, partition: number): boolean {
    return this.#waiting.has(keyOf(group, stream, partition));
  }

  add(transaction: Transaction, group: string, entry: CommittedOffset): void {
    const { stream, partition } = entry;
    transaction.groups.get(group)!.set(`${stream}\0${partition}`, entry);
    const key = keyOf(group, stream, partition);
    const waiting = this.#waiting.get(key);
    if (waiting === undefined) this.#waiting.set(key, new Set([transaction]));
    else waiting.add(transaction);
  }

  /** The transaction has ended. */
  remove(transaction: Transaction): void {
    for (const [group, offsets] of transaction.groups) {
      for (const { stream, partition } of offsets.values()) {
        const key = keyOf(group, stream, partition);
        const waiting = this.#waiting.get(key);
        waiting?.delete(transaction);
        if (waiting?.size === 0) this.#waiting.delete(key);
      }
    }
  }
}

function keyOf(group: string, stream: string, partition: number): string {
  return `${group}\0${stream}\0${partition}`;
}
