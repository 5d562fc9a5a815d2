/**
 * Users and rules have changed: who is gone has to leave at once, and a subscription that is not
 * allowed any more ends, with the words of a refused one.
 */
import { type Broker, strictDotPattern } from '#broker';
import type { NatsConnection } from './connection.ts';
import { SAYS, subscribeRefused } from './errors.ts';

/** @returns a function that ends it */
export function watchRights(
  broker: Broker,
  connections: ReadonlySet<NatsConnection>,
  soon: (call: () => void) => void,
): () => void {
  let asked = false;
  let ended = false;
  const checkSubscriptions = (): void => {
    asked = false;
    if (ended) return;
    for (const connection of connections) endSubscriptions(broker, connection);
  };
  const stop = broker.principals.onChange(() => {
    for (const connection of [...connections]) {
      if (connection.principal === null || broker.principals.stands(connection.principal)) continue;
      connection.fail(SAYS.userRevoked);
    }
    // Rules often change in groups.
    if (asked) return;
    asked = true;
    soon(checkSubscriptions);
  });
  return () => {
    ended = true;
    stop();
  };
}

function endSubscriptions(broker: Broker, connection: NatsConnection): void {
  const { principal, subscriptions } = connection;
  if (principal === null || principal.superuser) return;
  for (const subscription of [...subscriptions.values()]) {
    const { sid, subject, group } = subscription;
    const pattern = strictDotPattern(subject);
    if (pattern === null || broker.authorize(principal, 'subscribe', pattern)) continue;
    subscriptions.delete(sid);
    subscription.end();
    connection.say(subscribeRefused('not-authorized', subject, group));
  }
}
