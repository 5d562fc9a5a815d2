/**
 * Whether a run asks the machine for anything: a timer, the thread pool, a socket. Whatever
 * would be done outside of virtual time is made known by the runtime as a resource; the turns of
 * the scheduler are the only ones there may be.
 */
import { createHook } from 'node:async_hooks';

/** The scheduler's turns, and what is done before the next one whatever the machine does. */
const INSIDE: ReadonlySet<string> = new Set(['Immediate', 'PROMISE', 'Microtask', 'TickObject']);

export class Outside {
  /** How often each kind of resource was made. */
  readonly kinds = new Map<string, number>();
  readonly #hook = createHook({
    init: (_id, kind) => {
      if (!INSIDE.has(kind)) this.kinds.set(kind, (this.kinds.get(kind) ?? 0) + 1);
    },
  });

  watch(): void {
    this.#hook.enable();
  }

  /** @returns what was asked for, in words; empty when nothing was */
  end(): string {
    this.#hook.disable();
    return [...this.kinds].map(([kind, times]) => `${kind} ${times} times`).join(', ');
  }
}
