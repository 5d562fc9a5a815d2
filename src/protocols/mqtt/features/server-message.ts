/** Messages of the server itself: live, at most once, never stored. */
import {
  type Broker,
  Message,
  originOf,
  SERVER_PRINCIPAL,
  slashSpelling,
  type Target,
} from '#broker';

const ORIGIN = originOf('mqtt');

/** An address that the server itself publishes to. */
export function ownTarget(broker: Broker, topic: string): Target {
  return broker.target(slashSpelling.parse(topic), 'first-level');
}

export function ownMessage(target: Target, text: string, retain: boolean): Message {
  const message = new Message(target.address, Buffer.from(text), ORIGIN);
  message.retain = retain;
  message.text = true;
  message.principal = SERVER_PRINCIPAL;
  return message;
}

/** Publishes when somebody wants it. The text is made only then. */
export function tell(broker: Broker, target: Target, text: () => string, retain = false): void {
  if (!broker.wanted(target, SERVER_PRINCIPAL)) return;
  broker.publish(ownMessage(target, text(), retain), target, null, 0);
}
