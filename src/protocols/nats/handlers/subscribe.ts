/** SUB and UNSUB. */
import { strictDotPattern } from '#broker';
import { BrokerError } from '#kit';
import { ClientSubscription } from '../client-subscription.ts';
import type { NatsConnection } from '../connection.ts';
import { SAYS, subscribeRefused } from '../errors.ts';
import { SUBJECT, subjectKind } from '../subject.ts';

/** SUB subject [queue] sid */
export function subscribe(connection: NatsConnection): boolean {
  const { parser, shared, subscriptions } = connection;
  const subject = parser.text(0);
  const group = parser.words === 3 ? parser.text(1) : '';
  const sid = parser.opaque(parser.words - 1);
  const kind = subjectKind(parser.line, parser.from(0), parser.to(0));
  const pattern = kind === SUBJECT.invalid ? null : strictDotPattern(subject);
  if (pattern === null) return refuse(connection, SAYS.invalidSubject);
  if (!shared.broker.authorize(connection.principal!, 'subscribe', pattern)) {
    return refuse(connection, subscribeRefused('not-authorized', subject, group));
  }
  // A sid that is in use keeps its subscription, as with nats-server.
  if (!subscriptions.has(sid)) {
    if (subscriptions.size >= shared.options.subscriptionsMax) {
      return refuse(connection, SAYS.maximumSubscriptions);
    }
    const subscription = new ClientSubscription(sid, subject, group);
    try {
      subscription.handle = shared.broker.subscribe({
        pattern,
        subscriber: connection,
        data: subscription,
        ...(group === '' ? {} : { group }),
      });
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error;
      return refuse(connection, subscribeRefused(error.code, subject, group));
    }
    subscriptions.set(sid, subscription);
  }
  connection.ok();
  return true;
}

/** UNSUB sid [max]: now, or after `max` messages counted from the SUB (N17). */
export function unsubscribe(connection: NatsConnection): boolean {
  const { parser, subscriptions } = connection;
  const max = parser.words === 2 ? parser.number(1) : 0;
  const subscription = subscriptions.get(parser.opaque(0));
  if (subscription !== undefined) {
    if (max > subscription.delivered) subscription.max = max;
    else {
      subscriptions.delete(subscription.sid);
      subscription.end();
    }
  }
  connection.ok();
  return true;
}

function refuse(connection: NatsConnection, text: string): boolean {
  connection.shared.count.refused.add();
  connection.say(text);
  return true;
}
