/**
 * The rates of one connection, and those that it shares with its listener. A connection without
 * any limit has no meter.
 */
import type { Clock } from '#kit';
import type { ListenerSettings } from '../net-options.ts';
import { TokenBucket } from './token-bucket.ts';

export type RateBreach = 'message-rate' | 'byte-rate';

interface Rates {
  readonly messages: TokenBucket | null;
  readonly bytes: TokenBucket | null;
}

/** What all meters of a listener have in common, and the rate of those who come. */
export class Rating {
  readonly clock: Clock;
  /** Where who comes too fast is refused; null where they wait outside, or come as they like. */
  readonly #connects: TokenBucket | null;
  readonly shared: Rates;
  /** Clients over their own rate are told and closed, not slowed. */
  readonly strict: boolean;
  readonly #messageRate: number;
  readonly #byteRate: number;
  readonly #limited: boolean;

  constructor(clock: Clock, settings: ListenerSettings) {
    this.clock = clock;
    this.strict = settings.rateAction === 'disconnect';
    this.#messageRate = settings.clientMessageRate;
    this.#byteRate = settings.clientByteRate;
    const nowMs = clock.monotonicMs();
    const { connectRate, connectRateAction } = settings;
    this.#connects = connectRateAction === 'refuse' ? bucket(connectRate, nowMs) : null;
    this.shared = {
      messages: bucket(settings.messageRate, nowMs),
      bytes: bucket(settings.byteRate, nowMs),
    };
    const { messages, bytes } = this.shared;
    this.#limited =
      this.#messageRate > 0 || this.#byteRate > 0 || messages !== null || bytes !== null;
  }

  /** Counts a connection. @returns false when it comes too soon after others */
  admits(): boolean {
    if (this.#connects === null) return true;
    const nowMs = this.clock.monotonicMs();
    if (this.#connects.waitFor(1, nowMs) > 0) return false;
    this.#connects.take(1, nowMs);
    return true;
  }

  /** The meter of a new connection; null when nothing is limited. */
  meter(): Meter | null {
    if (!this.#limited) return null;
    const nowMs = this.clock.monotonicMs();
    return new Meter(this, {
      messages: bucket(this.#messageRate, nowMs),
      bytes: bucket(this.#byteRate, nowMs),
    });
  }
}

export class Meter {
  readonly #rating: Rating;
  readonly #own: Rates;
  #messagesSeen = 0;
  /** How long nothing may be read now; 0 for not at all. */
  waitMs = 0;

  constructor(rating: Rating, own: Rates) {
    this.#rating = rating;
    this.#own = own;
  }

  /**
   * Counts what came.
   * @param messages of the connection so far
   * @returns the own rate that was broken where that ends the connection, else null and `waitMs`
   */
  count(bytes: number, messages: number): RateBreach | null {
    const { clock, shared, strict } = this.#rating;
    const nowMs = clock.monotonicMs();
    const fresh = messages - this.#messagesSeen;
    this.#messagesSeen = messages;
    const messageWaitMs = this.#own.messages?.take(fresh, nowMs) ?? 0;
    const byteWaitMs = this.#own.bytes?.take(bytes, nowMs) ?? 0;
    if (strict && messageWaitMs > 0) return 'message-rate';
    if (strict && byteWaitMs > 0) return 'byte-rate';
    this.waitMs = Math.max(
      messageWaitMs,
      byteWaitMs,
      shared.messages?.take(fresh, nowMs) ?? 0,
      shared.bytes?.take(bytes, nowMs) ?? 0,
    );
    return null;
  }
}

function bucket(perSecond: number, nowMs: number): TokenBucket | null {
  return perSecond > 0 ? new TokenBucket(perSecond, nowMs) : null;
}
