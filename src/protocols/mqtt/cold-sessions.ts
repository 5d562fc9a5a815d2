/**
 * Sessions that are not in memory: a while after its client has gone, all that a session is lies in
 * one row of the catalogue. Its messages are the matter of the broker (`broker.cold`). It comes
 * back when its client returns, when it ends, and when an administrator looks at it.
 *
 * Those stay in memory whose subscriptions have a source of their own (shared ones, replays), that
 * have a filter for themselves, or that the broker's index cannot take.
 */
import { type ColdSubscription, type Queue, slashPattern } from '#broker';
import type { Timer } from '#kit';
import { META_ALIAS, META_RETAIN } from './outbound.ts';
import type { Room } from './room.ts';
import { SESSION_QUEUE_PREFIX, type Session } from './session.ts';
import { isPlaced, type StoredSession, type SubscriptionRecord } from './session-store.ts';
import { EXCLUSIVE_PREFIX } from './topics.ts';

/** Sessions that leave memory in one turn of the event loop. */
const PER_TURN = 20;
/** Options of a subscription in the broker's index, joined by or. */
const QOS_1 = 1;
const QOS_2 = 2;
const RETAIN_AS_PUBLISHED = 4;

/** What lists show of a session, whether it is in memory or not. */
export interface SessionView
  extends Pick<
    Session,
    | 'clientId'
    | 'durable'
    | 'link'
    | 'expirySec'
    | 'principal'
    | 'will'
    | 'disconnectedAtMs'
    | 'subscriptionCount'
    | 'inFlight'
    | 'receivedCount'
  > {
  readonly queue: Pick<Queue, 'readyCount'> | null;
}

export class ColdSessions {
  readonly #room: Room;
  /** Takes a session out of the table of those that are in memory. */
  readonly #left: (session: Session) => void;
  /** Sessions without a client and when that was, the longest first. */
  readonly #line = new Map<Session, number>();
  #timer: Timer | null = null;
  #closed = false;

  constructor(room: Room, left: (session: Session) => void) {
    this.#room = room;
    this.#left = left;
  }

  get count(): number {
    return this.#room.store.coldCount;
  }

  /** Once, before the first connection: the broker learns their subscriptions. */
  restore(): void {
    const { broker, metrics, store, options } = this.#room;
    const { queueMax, queueOverflow } = options;
    const dropsNewest = queueOverflow === 'drop-newest' && queueMax >= 0;
    broker.cold.policy = {
      settings: this.#room.queueSettings(true),
      wants: ({ qos }) => qos > 0,
      newestMax: dropsNewest ? queueMax : Number.POSITIVE_INFINITY,
      dropped: (messages) => metrics.droppedFull.add(messages),
      meta: (bits, alias) => {
        const qos = (bits & QOS_2) === 0 ? 1 : 2;
        const retain = (bits & RETAIN_AS_PUBLISHED) === 0 ? 0 : META_RETAIN;
        return qos | retain | (alias ? META_ALIAS : 0);
      },
    };
    for (const { clientId, subscriptions, placed, since } of store.scanCold()) {
      metrics.subscriptions.add(subscriptions.length);
      const waiting = subscriptions.filter(({ qos }) => qos > 0).map(coldSubscription);
      const name = SESSION_QUEUE_PREFIX + clientId;
      const has = (): boolean => broker.cold.has(name) || broker.queues.get(name) !== undefined;
      if (waiting.length > 0 || has()) broker.cold.cool(name, waiting, placed, since);
    }
  }

  /** The session has no client from now on. */
  enter(session: Session): void {
    this.#line.delete(session);
    this.#line.set(session, this.#room.monotonicMs());
    this.#arm();
  }

  /** It has a client again, or has ended. */
  leave(session: Session): void {
    this.#line.delete(session);
  }

  /**
   * What is stored of a session that is not in memory; it is taken to be there from here on, as its
   * queue is.
   */
  take(clientId: string): { readonly stored: StoredSession; readonly queue: Queue | null } | null {
    const { store, broker, metrics } = this.#room;
    const stored = store.takeCold(clientId);
    if (stored === null) return null;
    metrics.subscriptions.add(-stored.subscriptions.length);
    return { stored, queue: broker.cold.warm(SESSION_QUEUE_PREFIX + clientId) };
  }

  *list(): Generator<SessionView> {
    for (const stored of this.#room.store.listCold()) {
      const { clientId, record, subscriptions, received, released, held } = stored;
      const { expirySec, durable, disconnectedAtMs, principal } = record;
      const readyCount = this.#room.broker.cold.length(SESSION_QUEUE_PREFIX + clientId);
      yield {
        ...{ clientId, durable, disconnectedAtMs, principal, link: null, will: null },
        expirySec: expirySec < 0 ? Number.POSITIVE_INFINITY : expirySec,
        subscriptionCount: subscriptions.length,
        inFlight: released.length + held.length,
        receivedCount: received.length,
        queue: { readyCount },
      };
    }
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#timer = null;
  }

  #arm(): void {
    // What does not fit on a disk that failed would stay in memory twice.
    if (this.#timer !== null || this.#closed || this.#room.broker.health === 'failed') return;
    const [first] = this.#line.values();
    if (first === undefined) return;
    const { options, timers } = this.#room;
    const waitMs = first + options.sessionColdAfter - this.#room.monotonicMs();
    this.#timer = timers.after(Math.max(0, waitMs), () => {
      this.#timer = null;
      const { broker } = this.#room;
      if (broker.busy) broker.onRoom(() => this.#arm());
      else this.#coolSome();
    });
  }

  /** Those whose time has come; with many, others get their turn in between. */
  #coolSome(): void {
    const untilMs = this.#room.monotonicMs() - this.#room.options.sessionColdAfter;
    let left = PER_TURN;
    for (const [session, sinceMs] of this.#line) {
      if (sinceMs > untilMs || left === 0) break;
      this.#line.delete(session);
      left--;
      if (!this.#mayLeave(session)) continue;
      if (session.receives) this.#room.store.committed(() => this.#again(session));
      else this.#cool(session);
    }
    this.#arm();
  }

  /** What it was sent is on disk by now. */
  #again(session: Session): void {
    if (session.link === null && !session.ended && !this.#closed) this.enter(session);
  }

  #mayLeave(session: Session): boolean {
    if (session.link !== null || session.ended || !session.durable) return false;
    if (session.will !== null || session.outbound?.rests === false) return false;
    for (const { plain, filter, qos, pattern } of session.subscriptions()) {
      if (!plain || filter.startsWith(EXCLUSIVE_PREFIX)) return false;
      if (qos > 0 && !this.#room.broker.cold.filters.takes(pattern)) return false;
    }
    return true;
  }

  #cool(session: Session): void {
    const { broker, store } = this.#room;
    const { queue, clientId } = session;
    const stored = session.stored();
    const waiting = stored.subscriptions.filter(({ qos }) => qos > 0).map(coldSubscription);
    store.putCold(stored, broker.cold.mark);
    session.leaves();
    this.#left(session);
    if (waiting.length === 0 && queue === null) return;
    broker.cold.cool(SESSION_QUEUE_PREFIX + clientId, waiting, isPlaced(stored));
  }
}

function coldSubscription(subscription: SubscriptionRecord): ColdSubscription {
  const { filter, qos, retainAsPublished } = subscription;
  const options = (qos === 2 ? QOS_2 : QOS_1) | (retainAsPublished ? RETAIN_AS_PUBLISHED : 0);
  // It was taken as a pattern when the client subscribed.
  return { pattern: slashPattern(filter)!, options };
}
