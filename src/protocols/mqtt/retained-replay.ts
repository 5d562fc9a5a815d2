/**
 * Sends the last values under a filter to one new subscription: after SUBACK, paced by the client's
 * window and socket. Each value is read when it can be sent. What was set since the subscription
 * came as a live message, so it is left out: no value comes twice, none after a newer one. While it
 * waits for the client it holds the place where it goes on, and no values.
 */
import { type Message, slashSpelling, type WalkPlace } from '#broker';
import type { Session } from './session.ts';
import type { SessionSubscription } from './subscription.ts';

/** Messages in one go, before others get their turn. */
const BATCH = 256;
/** A look at some rows that found none costs as much as some that are sent. */
const LOOK = 16;
/** Large values cost more than others: one unit for each so many bytes. */
const UNIT_SHIFT = 12;

export class RetainedReplay {
  readonly #session: Session;
  readonly #subscription: SessionSubscription;
  /** Values with this offset or a later one came, or come, live. */
  readonly #since: number;
  #started = false;
  /** What features show like retained values; null when all of it is sent. */
  #shown: Iterator<Message> | null = null;
  #nextShown: Message | null = null;
  #source: Iterator<Message | null> | null = null;
  /** Where the source goes on. */
  #place: WalkPlace | null = null;
  /** Its source has values in the order in which they were set. */
  #isInOrder: boolean | null = null;

  constructor(session: Session, subscription: SessionSubscription) {
    this.#session = session;
    this.#subscription = subscription;
    this.#since = session.room.broker.lastValues.endOffset;
  }

  get subscription(): SessionSubscription {
    return this.#subscription;
  }

  /** SUBACK is written: values may go. */
  start(): void {
    this.#started = true;
    this.#shown = this.#session.room.features.shown(this.#subscription.pattern);
  }

  /** @returns true when there is nothing left to send */
  run(): boolean {
    if (!this.#started || !this.#sendShown()) return false;
    const { broker, replayBudget } = this.#session.room;
    if (broker.lastValues.isBehind(this.#since)) {
      this.#session.replaySoon();
      return false;
    }
    this.#source ??= this.#open();
    for (let count = 0; count < BATCH && replayBudget.take(1); count++) {
      const { done, value } = this.#source.next();
      if (done === true) return true;
      if (value === null) {
        count += LOOK;
        replayBudget.take(LOOK);
        continue;
      }
      replayBudget.take(value.value!.length >> UNIT_SHIFT);
      if (this.#send(value)) continue;
      this.#place = { address: value.address, offset: value.offset };
      this.#source = null;
      return false;
    }
    this.#session.replaySoon();
    return false;
  }

  #open(): Iterator<Message | null> {
    const { lastValues } = this.#session.room.broker;
    const { pattern } = this.#subscription;
    this.#isInOrder ??= lastValues.isBroad(pattern);
    return lastValues.matchBefore(pattern, this.#since, this.#isInOrder, this.#place);
  }

  /** @returns false when it has to wait */
  #sendShown(): boolean {
    while (this.#shown !== null) {
      this.#nextShown ??= this.#shown.next().value ?? null;
      if (this.#nextShown === null) this.#shown = null;
      else if (this.#send(this.#nextShown)) this.#nextShown = null;
      else return false;
    }
    return true;
  }

  /** @returns false when it has to wait */
  #send(message: Message): boolean {
    const session = this.#session;
    const { link } = session;
    if (link === null) return false;
    if (message.expired(session.room.nowMs())) return true;
    const topic = slashSpelling.show(message.address);
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
