/**
 * Where features listen. The message path asks one field, which is null while nobody listens, so a
 * feature that is off costs a comparison. Sessions change seldom: their watchers are a plain list.
 */
import type { Message } from '#broker';
import type { Link } from '../connection.ts';
import type { Session } from '../session.ts';
import type { SessionSubscription } from '../subscription.ts';

/** Why a client did not get a message that it subscribed to. */
export type DropReason = 'slow-client' | 'too-large' | 'expired' | 'queue-full';

/** What happens to messages; a watcher overrides what it wants to know. */
export class MessageWatch {
  /** A PUBLISH of a client was taken. */
  received(_link: Link, _message: Message): void {}
  /** A PUBLISH was written to a client. */
  sent(_session: Session, _message: Message, _topic: string, _qos: number, _id: number): void {}
  /** PUBACK or PUBCOMP has come. */
  acked(_session: Session, _packetId: number): void {}
  dropped(_session: Session, _message: Message, _topic: string, _reason: DropReason): void {}
}

/** What happens to sessions. */
export interface SessionWatch {
  connected?(link: Link): void;
  /** @param reason a reason code of 5.0 */
  disconnected?(session: Session, link: Link, reason: number): void;
  subscribed?(session: Session, subscription: SessionSubscription): void;
  unsubscribed?(session: Session, filter: string): void;
  /** The session ends, with all that belongs to it. */
  ended?(session: Session): void;
}

class AllWatches extends MessageWatch {
  readonly #watches: readonly MessageWatch[];

  constructor(watches: readonly MessageWatch[]) {
    super();
    this.#watches = watches;
  }

  override received(link: Link, message: Message): void {
    for (const watch of this.#watches) watch.received(link, message);
  }

  override sent(session: Session, message: Message, topic: string, qos: number, id: number): void {
    for (const watch of this.#watches) watch.sent(session, message, topic, qos, id);
  }

  override acked(session: Session, packetId: number): void {
    for (const watch of this.#watches) watch.acked(session, packetId);
  }

  override dropped(session: Session, message: Message, topic: string, reason: DropReason): void {
    for (const watch of this.#watches) watch.dropped(session, message, topic, reason);
  }
}

export class Hooks {
  /** Null while no feature looks at messages. */
  messages: MessageWatch | null = null;
  readonly #messages = new Set<MessageWatch>();
  readonly #sessions = new Set<SessionWatch>();

  /** Switches a watcher on or off. */
  watchMessages(watch: MessageWatch, on: boolean): void {
    if (on) this.#messages.add(watch);
    else this.#messages.delete(watch);
    const [first] = this.#messages;
    if (first === undefined) this.messages = null;
    else this.messages = this.#messages.size === 1 ? first : new AllWatches([...this.#messages]);
  }

  watchSessions(watch: SessionWatch): void {
    this.#sessions.add(watch);
  }

  connected(link: Link): void {
    for (const watch of this.#sessions) watch.connected?.(link);
  }

  disconnected(session: Session, link: Link, reason: number): void {
    for (const watch of this.#sessions) watch.disconnected?.(session, link, reason);
  }

  subscribed(session: Session, subscription: SessionSubscription): void {
    for (const watch of this.#sessions) watch.subscribed?.(session, subscription);
  }

  unsubscribed(session: Session, filter: string): void {
    for (const watch of this.#sessions) watch.unsubscribed?.(session, filter);
  }

  ended(session: Session): void {
    for (const watch of this.#sessions) watch.ended?.(session);
  }
}
