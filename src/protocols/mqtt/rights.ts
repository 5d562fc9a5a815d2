/**
 * Rights of clients that are connected, asked again when users or rules have changed: a client of a
 * user that is gone has to leave at once, a subscription that is not allowed any more ends.
 */
import type { Broker } from '#broker';
import { REASON } from './codec/index.ts';
import type { Link } from './connection.ts';
import type { Mount } from './mount.ts';
import type { Room } from './room.ts';
import type { Session } from './session.ts';

/** Subscriptions that are looked at in one turn of the event loop. */
const TURN_SUBSCRIPTIONS = 2000;

export class Rights {
  readonly #room: Room;
  readonly #links: ReadonlySet<Link>;
  readonly #stop: () => void;
  /** Links whose subscriptions are still to be looked at; null when all were. */
  #sweep: Iterator<Link> | null = null;
  #closed = false;

  constructor(room: Room, links: ReadonlySet<Link>) {
    this.#room = room;
    this.#links = links;
    this.#stop = room.broker.principals.onChange(() => this.#changed());
  }

  close(): void {
    this.#closed = true;
    this.#stop();
  }

  #changed(): void {
    const { principals } = this.#room.broker;
    for (const link of [...this.#links]) {
      const principal = link.session?.principal;
      if (principal === undefined || principals.stands(principal)) continue;
      link.leave(REASON.notAuthorized, 'the user was removed or disabled');
    }
    const running = this.#sweep !== null;
    this.#sweep = this.#links.values();
    if (!running) this.#soon();
  }

  #soon(): void {
    this.#room.timers.soon(() => this.#sweepOn());
  }

  #sweepOn(): void {
    if (this.#closed) return;
    for (let left = TURN_SUBSCRIPTIONS; left > 0; left--) {
      const { value: link, done } = this.#sweep!.next();
      if (done === true) {
        this.#sweep = null;
        return;
      }
      const { session } = link;
      if (session === null) continue;
      left -= session.subscriptionCount;
      dropUnreadable(this.#room.broker, session, link.mount);
    }
    this.#soon();
  }
}

/**
 * Ends the subscriptions of a session that its principal may not have today, and those of another
 * listener that lie outside of the mount point of this one.
 */
export function dropUnreadable(broker: Broker, session: Session, mount: Mount | null): void {
  if (session.subscriptionCount === 0) return;
  for (const { filter, pattern } of [...session.subscriptions()]) {
    const within = mount === null || mount.holds(filter);
    if (within && broker.authorize(session.principal, 'subscribe', pattern)) continue;
    session.unsubscribe(filter);
  }
}
