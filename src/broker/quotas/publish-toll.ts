/**
 * What the quota for published bytes does to one connection whose protocol has no words for it:
 * while it owes it is not to be read. Time and debts are of the share, so of all connections for
 * which the same quota holds. Made when a client publishes while there are quotas, so that those
 * without cost nothing. It does not hold a connection itself: the protocol has other reasons too.
 */
import type { Timer, Timers } from '#kit';
import type { QuotaClient } from './quota-client.ts';
import type { Quotas } from './quotas.ts';

/** The longest time that a timer takes; for more it is armed again. */
const TIMER_MS_MAX = 0x7fffffff;

/** A connection whose client publishes. */
export interface TollPayer {
  toll: PublishToll | null;
  /** Bytes of messages that were taken and not paid for. */
  unpaidBytes: number;
  /** `toll.owes` is another now. */
  tollChanged(): void;
}

export class PublishToll {
  readonly #quotas: Quotas;
  readonly #timers: Timers;
  readonly #client: QuotaClient;
  readonly #payer: TollPayer;
  /** Until when it owes, on the monotonic clock. */
  #untilMs = 0;
  #timer: Timer | null = null;

  constructor(quotas: Quotas, timers: Timers, client: QuotaClient, payer: TollPayer) {
    this.#quotas = quotas;
    this.#timers = timers;
    this.#client = client;
    this.#payer = payer;
  }

  /** True while the connection is not to be read. */
  get owes(): boolean {
    return this.#timer !== null;
  }

  isOf(user: string, client: string): boolean {
    return this.#client.user === user && this.#client.client === client;
  }

  /** Takes what was published. Too much is no error: it is waited for. */
  pay(bytes: number): void {
    const waitMs = this.#client.take('publish-bytes', bytes);
    if (waitMs <= 0) return;
    this.#untilMs = this.#quotas.nowMs() + waitMs;
    // A timer that runs finds the later time when it ends.
    if (this.#timer !== null) return;
    this.#client.waits('publish-bytes', waitMs);
    this.#quotas.waiting.add(this);
    this.#arm();
    this.#payer.tollChanged();
  }

  /** Quotas are others now: the debt may be paid sooner, or never have been one. */
  reconsider(): void {
    if (this.#timer === null) return;
    this.#timer.cancel();
    this.#untilMs = this.#quotas.nowMs() + this.#client.debtMs('publish-bytes');
    this.#expire();
  }

  /** The connection is gone, or somebody else's. */
  end(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#quotas.waiting.delete(this);
    this.#client.leave();
  }

  #arm(): void {
    const leftMs = Math.ceil(this.#untilMs - this.#quotas.nowMs());
    this.#timer = this.#timers.after(Math.min(leftMs, TIMER_MS_MAX), () => this.#expire());
  }

  /** A timer of the machine may come a moment early, and more may have been taken meanwhile. */
  #expire(): void {
    if (this.#quotas.nowMs() < this.#untilMs) {
      this.#arm();
      return;
    }
    this.#timer = null;
    this.#quotas.waiting.delete(this);
    this.#payer.tollChanged();
  }
}

/**
 * To be called after each stretch of reading that brought messages: pays for them. Those who owed
 * when the last quota was removed hear it from the quotas.
 */
export function payToll(
  payer: TollPayer,
  quotas: Quotas,
  timers: Timers,
  user: string,
  client: string,
): void {
  const bytes = payer.unpaidBytes;
  payer.unpaidBytes = 0;
  if (quotas.blank) return;
  let { toll } = payer;
  const owed = toll?.owes ?? false;
  if (toll === null || !toll.isOf(user, client)) {
    toll?.end();
    toll = new PublishToll(quotas, timers, quotas.enter(user, client), payer);
    payer.toll = toll;
  }
  toll.pay(bytes);
  if (owed && !toll.owes) payer.tollChanged();
}
