/** queue.declare, bind, unbind, purge, delete. */
import { flatAddress } from '#broker';
import type { AmqpQueue } from '../amqp-queue.ts';
import type { Channel } from '../channel.ts';
import { DIRECT_REPLY_TO } from '../content.ts';
import { named, refusal } from '../errors.ts';
import type { Fields } from '../methods.ts';
import { checkSameArguments, queueLimits } from '../queue-arguments.ts';
import { checkBindingArguments } from './exchange-methods.ts';
import {
  authorize,
  authorizeBinding,
  findExchange,
  findQueue,
  type Handlers,
  queueName,
  RESERVED_PREFIX,
  refuseDefaultExchange,
} from './handler.ts';

const NAME_BYTES = 16;
/** How RabbitMQ begins the names it makes. */
const GENERATED_PREFIX = 'amq.gen-';

type Declare = Fields<'queue.declare'>;

export const queueMethods: Handlers = {
  'queue.declare': (channel, fields) => {
    if (fields.queue.startsWith(DIRECT_REPLY_TO)) return declareReplyQueue(channel, fields);
    if (fields.passive) return declarePassive(channel, fields);
    const name = fields.queue === '' ? generatedName(channel) : fields.queue;
    if (fields.queue.startsWith(RESERVED_PREFIX)) throw refusal.reserved('queue', name);
    authorize(channel, 'create', 'queue', name);
    const known = channel.host.queues.get(name);
    const queue =
      known === undefined ? declare(channel, name, fields) : same(channel, known, fields);
    const answer = (): void => answerDeclare(channel, queue, fields.noWait);
    if (known !== undefined || !queue.queue.durable) return answer();
    return channel.host.durable().then(answer);
  },

  'queue.bind': (channel, fields) => {
    const queue = findQueue(channel, fields.queue);
    refuseDefaultExchange(fields.exchange);
    const exchange = findExchange(channel, fields.exchange);
    authorize(channel, 'publish', 'queue', queue.name);
    // The specification lets both names be empty and mean the last queue and its own name.
    const ownName = fields.queue === '' && fields.routingKey === '';
    const key = ownName ? queue.name : fields.routingKey;
    authorizeBinding(channel, exchange, key);
    checkBindingArguments(exchange, fields.arguments);
    channel.host.bind(exchange, queue, key, fields.arguments);
    const answer = (): void => {
      if (!fields.noWait) channel.send('queue.bind-ok', {});
    };
    if (!queue.queue.durable || !exchange.facts.durable) return answer();
    return channel.host.durable().then(answer);
  },

  'queue.unbind': (channel, fields) => {
    const queue = findQueue(channel, fields.queue);
    refuseDefaultExchange(fields.exchange);
    const exchange = findExchange(channel, fields.exchange);
    authorize(channel, 'publish', 'queue', queue.name);
    authorizeBinding(channel, exchange, fields.routingKey);
    const { host } = channel;
    const binding = host.findBinding(exchange, queue, fields.routingKey, fields.arguments);
    if (binding !== undefined) host.unbind(binding);
    const answer = (): void => channel.send('queue.unbind-ok', {});
    if (!queue.queue.durable || !exchange.facts.durable) return answer();
    return host.durable().then(answer);
  },

  'queue.purge': (channel, { queue: name, noWait }) => {
    const queue = findQueue(channel, name);
    authorize(channel, 'subscribe', 'queue', queue.name);
    const messageCount = queue.queue.purge();
    if (!noWait) channel.send('queue.purge-ok', { messageCount });
  },

  'queue.delete': (channel, { queue: name, ifUnused, ifEmpty, noWait }) => {
    const full = queueName(channel, name);
    authorize(channel, 'remove', 'queue', full);
    const answer = (messageCount: number): void => {
      if (!noWait) channel.send('queue.delete-ok', { messageCount });
      channel.releaseNotices();
    };
    // [A23] What is not there is deleted already.
    if (!channel.host.queues.has(full)) return answer(0);
    const queue = findQueue(channel, full);
    if (ifUnused && queue.readerCount > 0) throw refusal.inUse(named.queue(full));
    const messageCount = queue.queue.readyCount;
    if (ifEmpty && messageCount > 0) throw refusal.notEmpty(named.queue(full));
    channel.holdNotices();
    channel.host.removeQueue(queue);
    if (!queue.queue.durable) return answer(messageCount);
    return channel.host.durable().then(() => answer(messageCount));
  },
};

function generatedName(channel: Channel): string {
  return GENERATED_PREFIX + channel.connection.randomBytes(NAME_BYTES).toString('base64url');
}

function answerDeclare(channel: Channel, queue: AmqpQueue, noWait: boolean): void {
  channel.lastQueue = queue.name;
  if (noWait) return;
  channel.send('queue.declare-ok', {
    queue: queue.name,
    messageCount: queue.queue.readyCount,
    consumerCount: queue.readerCount,
  });
}

function declarePassive(channel: Channel, fields: Declare): void {
  const queue = findQueue(channel, fields.queue);
  queue.used();
  answerDeclare(channel, queue, fields.noWait);
}

function declare(channel: Channel, name: string, fields: Declare): AmqpQueue {
  const { durable, exclusive, autoDelete } = fields;
  const limits = queueLimits(name, fields.arguments);
  if (limits.type === 'quorum') {
    const wrong = (field: string, needed: boolean) =>
      refusal.invalidArgument(named.queue(name), field, `a quorum queue needs ${field}=${needed}`);
    if (!durable) throw wrong('durable', true);
    if (exclusive) throw wrong('exclusive', false);
    if (autoDelete) throw wrong('auto_delete', false);
  }
  const facts = { name, durable, exclusive, autoDelete, arguments: fields.arguments };
  return channel.host.addQueue(facts, limits, exclusive ? channel.connection : null);
}

/** [A23] A second declare must say the same, and come from the owner of an exclusive queue. */
function same(channel: Channel, queue: AmqpQueue, fields: Declare): AmqpQueue {
  const { facts, owner } = queue;
  if (owner !== null && owner !== channel.connection) throw refusal.locked(queue.name);
  if (facts.exclusive !== fields.exclusive) throw refusal.locked(queue.name);
  const what = named.queue(queue.name);
  const pairs = [
    ['durable', fields.durable, facts.durable],
    ['auto_delete', fields.autoDelete, facts.autoDelete],
  ] as const;
  for (const [field, received, current] of pairs) {
    if (received !== current) {
      throw refusal.inequivalent(what, field, `'${received}'`, `'${current}'`);
    }
  }
  checkSameArguments(what, fields.arguments, facts.arguments);
  queue.used();
  return queue;
}

/** [A38] Asking for a reply queue tells whether somebody still waits there. */
function declareReplyQueue(channel: Channel, fields: Declare): void {
  const name = fields.queue;
  const { broker } = channel.host;
  if (name !== DIRECT_REPLY_TO && broker.interest(flatAddress(name)) === 0) {
    throw refusal.noQueue(name);
  }
  if (fields.noWait) return;
  channel.send('queue.declare-ok', { queue: name, messageCount: 0, consumerCount: 1 });
}
