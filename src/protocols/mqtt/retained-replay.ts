/**
 * Sends the last values under a filter to one new subscription: after SUBACK, paced by the
 * client's window and socket, and never a value that a live message has overtaken meanwhile.
 */
import { type Message, slashSpelling } from '#broker';
import type { Session } from './session.ts';
import type { SessionSubscription } from './subscription.ts';

/** Messages in one go, before others get their turn. */
const BATCH = 256;
const LOOK = 15;

export class RetainedReplay {
  readonly #session: Session;
  readonly #subscription: SessionSubscription;
  #source: Iterator<Message | null> | null = null;
  /** A value that was read and has to wait. */
  #next: Message | null = null;
  /** Topics that the client got live since it subscribed. */
  #overtaken: Set<string> | null = null;

  constructor(session: Session, subscription: SessionSubscription) {
    this.#session = session;
    this.#subscription = subscription;
  }

  get subscription(): SessionSubscription {
    return this.#subscription;
  }

  /** A newer value came, or comes, as a live message. */
  overtake(topic: string): void {
    this.#overtaken ??= new Set();
    this.#overtaken.add(topic);
  }

  /** SUBACK is written: values may go. */
  start(): void {
    const { room } = this.#session;
    this.#source = room.features.lastValues(this.#subscription.pattern);
  }

  /** @returns true when there is nothing left to send */
  run(): boolean {
    if (this.#source === null) return false;
    const { replayBudget } = this.#session.room;
    for (let count = 0; count < BATCH; count++) {
      if (!replayBudget.take(1)) break;
      if (this.#next === null) {
        const { done, value } = this.#source.next();
        if (done === true) return true;
        if (value === null) {
          // A look at some rows that found none costs as much as some that are sent.
          count += LOOK;
          replayBudget.take(LOOK);
          continue;
        }
        this.#next = value;
      }
      if (!this.#send(this.#next)) return false;
      this.#next = null;
    }
    this.#session.replaySoon();
    return false;
  }

  /** @returns false when it has to wait */
  #send(message: Message): boolean {
    const session = this.#session;
    const { link } = session;
    if (link === null) return false;
    if (message.expired(session.room.nowMs())) return true;
    const topic = slashSpelling.show(message.address);
    if (this.#overtaken?.has(topic)) return true;
    const { ids } = this.#subscription;
    const qos = Math.min(message.qos, this.#subscription.qos);
    if (qos === 0) {
      if (!link.hasRoom) return false;
      link.publish(message, topic, 0, true, false, 0, ids);
      return true;
    }
    const outbound = session.outboundMade();
    if (!outbound.ready()) return false;
    outbound.hold(message, topic, qos as 1 | 2, true, ids);
    return true;
  }
}
