/** What may be kept as the last value of a topic, and for how long (M116, M119). */
import { type Broker, Message } from '#broker';
import { BrokerError } from '#kit';
import type { MqttOptions } from './options.ts';

export class RetainedRules {
  readonly #broker: Broker;
  readonly #options: MqttOptions;
  readonly #nowMs: () => number;

  constructor(broker: Broker, options: MqttOptions, nowMs: () => number) {
    this.#broker = broker;
    this.#options = options;
    this.#nowMs = nowMs;
  }

  /** Asked before the message is taken. @throws BrokerError `message-too-large`, `limit-reached` */
  check({ value, address }: Message): void {
    if (value === null || value.length === 0) return;
    const { retainedMax, retainedBytesMax } = this.#options;
    if (value.length > retainedBytesMax) {
      throw new BrokerError('message-too-large', `at most ${retainedBytesMax} bytes are retained.`);
    }
    const { lastValues } = this.#broker;
    if (retainedMax < 0 || lastValues.count < retainedMax) return;
    if (lastValues.get(address) !== undefined) return;
    throw new BrokerError('limit-reached', `${retainedMax} retained messages.`);
  }

  /** Keeps the message, in the commit of the message itself. */
  keep(message: Message): void {
    const { retainedExpiry } = this.#options;
    if (retainedExpiry < 0 || message.expiresAtMs !== 0) {
      this.#broker.keepLast(message);
      return;
    }
    const { address, value, origin } = message;
    const kept = Object.assign(new Message(address, value, origin), message);
    kept.expiresAtMs = this.#nowMs() + retainedExpiry;
    this.#broker.keepLast(kept);
  }
}
