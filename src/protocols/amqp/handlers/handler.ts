/** The shape of every method handler, and checks that several of them make. */
import type { Action, Place } from '#broker';
import type { AmqpQueue } from '../amqp-queue.ts';
import type { Channel } from '../channel.ts';
import { named, refusal } from '../errors.ts';
import type { Fields, MethodName } from '../methods.ts';
import { placeOfBinding, placeOfQueue } from '../rights.ts';
import { type AmqpExchange, TOPIC_EXCHANGE } from '../virtual-host.ts';

/** A promise makes the connection wait with reading, so that answers stay in order. */
type Handler<Name extends MethodName> = (
  channel: Channel,
  fields: Fields<Name>,
) => void | Promise<void>;

export type Handlers = { readonly [Name in MethodName]?: Handler<Name> };

/** What RabbitMQ calls the right to do such things. */
const RIGHTS: Readonly<Record<Action, 'configure' | 'write' | 'read'>> = {
  publish: 'write',
  subscribe: 'read',
  create: 'configure',
  remove: 'configure',
  describe: 'configure',
  alter: 'configure',
  'describe-settings': 'configure',
  'alter-settings': 'configure',
  administer: 'configure',
};

export function authorize(
  channel: Channel,
  action: Action,
  kind: 'queue' | 'exchange',
  name: string,
): void {
  const reads = action === 'subscribe' && kind === 'queue';
  const place = reads ? placeOfQueue(channel.host.broker, name) : name;
  authorizePlace(channel, action, place, named[kind](name));
}

/** Binding is reading from the source. */
export function authorizeBinding(channel: Channel, source: AmqpExchange, key: string): void {
  const place = placeOfBinding(channel.host.broker, source, key);
  const exchange = named.exchange(source.name);
  const what = source.name === TOPIC_EXCHANGE ? `topic '${key}' in ${exchange}` : exchange;
  authorizePlace(channel, 'subscribe', place, what);
}

function authorizePlace(
  channel: Channel,
  action: Action,
  place: Place | string,
  what: string,
): void {
  const { principal, host } = channel.connection;
  if (host.broker.authorize(principal!, action, place)) return;
  throw refusal.access(RIGHTS[action], what, principal!.name);
}

/** The queue of that name, or for an empty name the channel's last one [A23]. */
export function queueName(channel: Channel, name: string): string {
  if (name !== '') return name;
  if (channel.lastQueue === '') throw refusal.noLastQueue();
  return channel.lastQueue;
}

/** @throws AmqpError 404, or 405 when another connection has it for itself */
export function findQueue(channel: Channel, name: string): AmqpQueue {
  const full = queueName(channel, name);
  const queue = channel.host.queues.get(full);
  if (queue === undefined) throw refusal.noQueue(full);
  if (queue.owner !== null && queue.owner !== channel.connection) throw refusal.locked(full);
  return queue;
}

export function findExchange(channel: Channel, name: string): AmqpExchange {
  const exchange = channel.host.exchanges.get(name);
  if (exchange === undefined) throw refusal.noExchange(name);
  return exchange;
}

export function refuseDefaultExchange(name: string): void {
  if (name === '') throw refusal.defaultExchange();
}

/** Names that begin so belong to the server. */
export const RESERVED_PREFIX = 'amq.';
