/**
 * PUBLISH to `$delayed/{seconds}/{topic}` (M182): the message is kept on disk and published to the
 * topic after that time, as any other message of this client. It is acknowledged when it is kept.
 */
import type { Message } from '#broker';
import { BrokerError } from '#kit';
import type { Room } from '../room.ts';

const PREFIX = '$delayed/';
/** The limit of other brokers, too: 497 days. */
const DELAY_SEC_MAX = 42_949_670;
const FORM = /^(\d{1,8})\/(.+)$/s;
const DOLLAR = 0x24;

export interface Delay {
  readonly sec: number;
  /** Where it goes then. */
  readonly topic: string;
}

export function isDelayed(topic: string): boolean {
  return topic.charCodeAt(0) === DOLLAR && topic.startsWith(PREFIX);
}

/** @throws BrokerError `invalid-name` when it does not say how long and where to */
export function delayOf(name: string): Delay {
  const form = FORM.exec(name.slice(PREFIX.length));
  const sec = Number(form?.[1]);
  if (form === null || !(sec <= DELAY_SEC_MAX) || isDelayed(form[2]!)) {
    throw new BrokerError('invalid-name', `${PREFIX}{0 to ${DELAY_SEC_MAX}}/{topic} is meant.`);
  }
  return { sec, topic: form[2]! };
}

/**
 * Keeps the message until its time.
 * @throws BrokerError `busy`, `message-too-large`, `limit-reached`: nothing was done then
 */
export function keepForLater(room: Room, message: Message, delaySec: number): void {
  const { broker, options } = room;
  if (broker.busy) throw new BrokerError('busy');
  if (room.delayed.count >= options.delayedMax) {
    throw new BrokerError('limit-reached', `${options.delayedMax} delayed messages.`);
  }
  if (message.value!.length > broker.limits.messageBytesMax) {
    throw new BrokerError('message-too-large', `at most ${broker.limits.messageBytesMax} bytes.`);
  }
  const delayMs = delaySec * 1000;
  // Its own expiry begins when it is published.
  if (message.expiresAtMs !== 0) message.expiresAtMs += delayMs;
  room.delayed.add(message, 'first-level', room.nowMs() + delayMs);
}
