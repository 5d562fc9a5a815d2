/** Those who wait until everything up to some row is committed. */
import type { BrokerError } from '#kit';

interface Waiter {
  readonly row: number;
  readonly resolve: () => void;
  readonly reject: (error: BrokerError) => void;
}

export class FlushWaiters {
  #waiters: Waiter[] = [];

  /** Resolves when all rows before `row` are committed. */
  wait(row: number): Promise<void> {
    return new Promise((resolve, reject) => this.#waiters.push({ row, resolve, reject }));
  }

  /** Rows before `committedRow` are committed. True when somebody waits for later ones. */
  settle(committedRow: number): boolean {
    if (this.#waiters.length === 0) return false;
    const done = this.#waiters.filter(({ row }) => row <= committedRow);
    this.#waiters = this.#waiters.filter(({ row }) => row > committedRow);
    for (const { resolve } of done) resolve();
    return this.#waiters.length > 0;
  }

  fail(error: BrokerError): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const { reject } of waiters) reject(error);
  }
}
