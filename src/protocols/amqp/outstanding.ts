/**
 * What one connection has published and the broker has not committed yet. Methods that look into a
 * queue wait for it, so that a client finds there what it has published before, as it is used to.
 */
import type { PublishSink } from '#broker';
import type { MethodName } from './methods.ts';

/**
 * Methods that show a queue's messages or end the sight of it: publishes before them come first.
 * The connection is not read meanwhile, so what they wait for is what was on its way when they
 * came. A consumer is among them: its first message is the first of all, by priority too.
 */
export const AFTER_PUBLISHES: ReadonlySet<MethodName> = new Set<MethodName>([
  'queue.declare',
  'queue.purge',
  'queue.delete',
  'basic.consume',
  'basic.get',
  'tx.select',
  'channel.close',
]);

export class Outstanding implements PublishSink {
  #count = 0;
  #waiters: (() => void)[] = [];

  get count(): number {
    return this.#count;
  }

  begin(): void {
    this.#count++;
  }

  end(): void {
    if (--this.#count > 0 || this.#waiters.length === 0) return;
    for (const resolve of this.#waiters.splice(0)) resolve();
  }

  /** The sink of publishes that nobody wants confirmed. */
  published(): void {
    this.end();
  }

  /** Resolves when everything published so far is committed, or has failed. */
  settled(): Promise<void> {
    if (this.#count === 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push(resolve));
  }
}
