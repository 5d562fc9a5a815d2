/** `$exclusive/{filter}`: a filter that one session has at a time; a second gets 0x97 (M183). */
import type { Session } from '../session.ts';
import { EXCLUSIVE_PREFIX } from '../topics.ts';
import type { SessionWatch } from './hooks.ts';

export class ExclusiveFilters implements SessionWatch {
  readonly #owners = new Map<string, Session>();

  isTaken(filter: string, session: Session): boolean {
    if (!filter.startsWith(EXCLUSIVE_PREFIX)) return false;
    const owner = this.#owners.get(filter);
    return owner !== undefined && owner !== session;
  }

  /** Also told of sessions that come back at a start. */
  subscribed(session: Session, { filter }: { readonly filter: string }): void {
    if (filter.startsWith(EXCLUSIVE_PREFIX)) this.#owners.set(filter, session);
  }

  unsubscribed(session: Session, filter: string): void {
    if (this.#owners.get(filter) === session) this.#owners.delete(filter);
  }

  ended(session: Session): void {
    if (this.#owners.size === 0) return;
    for (const { filter } of session.subscriptions()) this.unsubscribed(session, filter);
  }
}
