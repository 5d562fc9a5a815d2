/**
 * Rights of this protocol's nouns, on the broker's places; and what happens to connections and
 * consumers when users or rules have changed.
 */
import { type Broker, type Place, plainDotPattern, wholeOf } from '#broker';
import type { AmqpConnection } from './connection.ts';
import { type AmqpExchange, TOPIC_EXCHANGE } from './virtual-host.ts';

/** What a consumer of a queue can get by its name: the queue's own stream, with all it may hold. */
export function placeOfQueue({ routes }: Broker, queue: string): Place {
  return wholeOf(routes, queue);
}

/**
 * What a binding lets through: of the exchange that all protocols share, the addresses of its key;
 * of another, everything that is published to it.
 */
export function placeOfBinding({ routes }: Broker, exchange: AmqpExchange, key: string): Place {
  return exchange.name === TOPIC_EXCHANGE ? plainDotPattern(key) : wholeOf(routes, exchange.name);
}

/** Asks again for every connection; who may not stay is told. @returns a function that ends it */
export function watchRights(
  broker: Broker,
  connections: ReadonlySet<AmqpConnection>,
  soon: (call: () => void) => void,
): () => void {
  let asked = false;
  let ended = false;
  const checkReaders = (): void => {
    asked = false;
    if (ended) return;
    for (const connection of connections) endReaders(broker, connection);
  };
  const stop = broker.principals.onChange(() => {
    for (const connection of [...connections]) {
      if (connection.principal === null || broker.principals.stands(connection.principal)) continue;
      const text = `user '${connection.userName}' is deleted or disabled`;
      connection.evict({ why: 'kicked', text, reference: null });
    }
    // Rules often change in groups.
    if (asked) return;
    asked = true;
    soon(checkReaders);
  });
  return () => {
    ended = true;
    stop();
  };
}

/** Consumers whose queue may not be read any more are cancelled, as when the queue is deleted. */
function endReaders(broker: Broker, { channels, principal }: AmqpConnection): void {
  if (principal === null || principal.superuser) return;
  for (const channel of channels.values()) {
    for (const reader of [...channel.readers.values()]) {
      const place = placeOfQueue(broker, reader.queue.name);
      if (broker.authorize(principal, 'subscribe', place)) continue;
      channel.removeReader(reader);
      channel.cancelled(reader.facts.tag);
    }
  }
}
