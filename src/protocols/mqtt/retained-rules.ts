/**
 * What may be kept as the last value of a topic (M116, M119): the limits of all values are the
 * broker's, the rate is that of publishers here. What is refused is told, and counted.
 */
import type { Broker, Message } from '#broker';
import { BrokerError, type Timers } from '#kit';
import type { MqttOptions } from './options.ts';
import { RetainedPace } from './retained-pace.ts';

const SECOND_MS = 1000;

export class RetainedRules {
  readonly pace: RetainedPace;
  readonly #broker: Broker;
  readonly #rateMax: number;
  readonly #nowMs: () => number;
  /** Values that may be set now; it grows by the rate, to that of one second. */
  #allowance: number;
  #countedMs = 0;

  constructor(broker: Broker, options: MqttOptions, nowMs: () => number, timers: Timers) {
    this.pace = new RetainedPace(timers, broker.lastValues);
    this.#broker = broker;
    this.#rateMax = options.retainedRateMax;
    this.#allowance = this.#rateMax;
    this.#nowMs = nowMs;
    broker.lastValues.limits = {
      countMax: options.retainedMax,
      bytesMax: options.retainedTotalBytesMax,
      valueBytesMax: options.retainedBytesMax,
      expiryMs: options.retainedExpiry,
    };
  }

  /** Asked before a publisher's message is taken. @throws also BrokerError `busy` */
  checkOffer(message: Message): void {
    this.#broker.lastValues.checkRoom();
    this.check(message);
  }

  /** Asked before the message is taken. @throws BrokerError `message-too-large`, `limit-reached` */
  check(message: Message): void {
    this.#broker.lastValues.check(message);
    if (this.#rateMax < 0) return;
    const nowMs = this.#nowMs();
    const grown = (Math.max(0, nowMs - this.#countedMs) * this.#rateMax) / SECOND_MS;
    this.#countedMs = nowMs;
    this.#allowance = Math.min(this.#rateMax, this.#allowance + grown);
    if (this.#allowance < 1) {
      throw new BrokerError('limit-reached', `${this.#rateMax} retained messages in a second.`);
    }
  }

  /** Keeps the message, in the commit of the message itself. @returns the offset of the change */
  keep(message: Message): number {
    if (this.#rateMax >= 0) this.#allowance--;
    return this.#broker.lastValues.keep(message);
  }
}
