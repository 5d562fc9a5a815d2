/** basic.*: prefetch, consumers, get, and every way to settle a delivery. */
import type { AmqpQueue } from '../amqp-queue.ts';
import type { Channel } from '../channel.ts';
import { ChannelReader } from '../channel-reader.ts';
import { DIRECT_REPLY_TO } from '../content.ts';
import { DirectReply } from '../direct-reply.ts';
import { AmqpError, refusal } from '../errors.ts';
import { findEntry, integerOf, type Table } from '../field-table.ts';
import type { Fields } from '../methods.ts';
import { authorize, findQueue, type Handlers } from './handler.ts';

const TAG_BYTES = 16;

export const basicMethods: Handlers = {
  'basic.qos': (channel, { prefetchSize, prefetchCount, global }) => {
    if (prefetchSize !== 0) throw new AmqpError(540, `prefetch_size!=0 (${prefetchSize})`);
    // [A24] RabbitMQ's meaning: without global for each consumer to come, with it for the channel.
    if (global) {
      channel.sharedPrefetch = prefetchCount;
      for (const reader of channel.readers.values()) channel.connection.outbound.wakeReader(reader);
    } else channel.prefetch = prefetchCount;
    channel.send('basic.qos-ok', {});
  },

  'basic.consume': (channel, fields) => {
    const tag = fields.consumerTag === '' ? generatedTag(channel) : fields.consumerTag;
    if (channel.readers.has(tag) || channel.directReply?.tag === tag) {
      throw new AmqpError(530, `attempt to reuse consumer tag '${tag}'`);
    }
    if (fields.queue === DIRECT_REPLY_TO) return consumeReplies(channel, tag, fields);
    const queue = findQueue(channel, fields.queue);
    authorize(channel, 'subscribe', 'queue', queue.name);
    claim(queue, fields.exclusive);
    const reader = new ChannelReader(channel, queue, {
      tag,
      noAck: fields.noAck,
      exclusive: fields.exclusive,
      prefetch: channel.prefetch,
      priority: priorityOf(fields.arguments),
    });
    channel.readers.set(tag, reader);
    // The answer leaves before the first delivery.
    if (!fields.noWait) channel.send('basic.consume-ok', { consumerTag: tag });
    queue.addReader(reader);
  },

  'basic.cancel': (channel, { consumerTag, noWait }) => {
    if (channel.directReply?.tag === consumerTag) {
      channel.directReply.end();
      channel.directReply = null;
    }
    const reader = channel.readers.get(consumerTag);
    if (reader !== undefined) channel.removeReader(reader);
    if (!noWait) channel.send('basic.cancel-ok', { consumerTag });
    reader?.queue.readerLeft();
  },

  'basic.get': async (channel, { queue: name, noAck }) => {
    const queue = findQueue(channel, name);
    authorize(channel, 'subscribe', 'queue', queue.name);
    if (queue.exclusiveReader) throw refusal.exclusiveUse(queue.name);
    queue.used();
    const delivery = await queue.queue.get();
    if (delivery === null) {
      channel.send('basic.get-empty', { clusterId: '' });
      return;
    }
    if (channel.closing) {
      // The client has gone meanwhile: it never saw the message.
      queue.queue.requeue(delivery.position, { counted: false });
      return;
    }
    const tag = noAck
      ? channel.unacked.pass()
      : channel.unacked.add({ queue, delivery, reader: null });
    channel.writeGot(tag, delivery, queue.name, queue.queue.readyCount);
    if (noAck) queue.ack(delivery);
  },

  'basic.ack': (channel, { deliveryTag, multiple }) => {
    settle(channel, deliveryTag, multiple, 'ack');
  },

  'basic.reject': (channel, { deliveryTag, requeue }) => {
    settle(channel, deliveryTag, false, requeue ? 'requeue' : 'reject');
  },

  'basic.nack': (channel, { deliveryTag, multiple, requeue }) => {
    settle(channel, deliveryTag, multiple, requeue ? 'requeue' : 'reject');
  },

  'basic.recover': (channel, { requeue }) => {
    recover(channel, requeue);
    channel.send('basic.recover-ok', {});
  },

  'basic.recover-async': (channel, { requeue }) => recover(channel, requeue),
};

function generatedTag(channel: Channel): string {
  return `amq.ctag-${channel.connection.randomBytes(TAG_BYTES).toString('base64url')}`;
}

/** [A25] An exclusive consumer is the only one. */
function claim(queue: AmqpQueue, exclusive: boolean): void {
  if (queue.exclusiveReader || (exclusive && queue.readerCount > 0)) {
    throw refusal.exclusiveUse(queue.name);
  }
  if (exclusive) queue.exclusiveReader = true;
}

/** [A37] Consumers with a higher x-priority come first while they can take more. */
function priorityOf(table: Table): number {
  const entry = findEntry(table, 'x-priority');
  if (entry === undefined) return 0;
  const priority = integerOf(entry);
  if (priority !== undefined) return priority;
  throw new AmqpError(406, `invalid arg 'x-priority' for consumer: not an integer`);
}

/** [A38] */
function consumeReplies(channel: Channel, tag: string, fields: Fields<'basic.consume'>): void {
  if (!fields.noAck) throw new AmqpError(406, 'reply consumer cannot acknowledge');
  if (channel.directReply !== null) throw new AmqpError(406, 'reply consumer already set');
  channel.directReply = new DirectReply(channel, tag, (count) =>
    channel.connection.randomBytes(count),
  );
  if (!fields.noWait) channel.send('basic.consume-ok', { consumerTag: tag });
}

/** [A31] In a transaction it takes effect with the commit. */
function settle(
  channel: Channel,
  tag: number,
  multiple: boolean,
  how: 'ack' | 'requeue' | 'reject',
): void {
  if (channel.transaction !== null) {
    if (!channel.unacked.has(tag, multiple)) throw refusal.unknownTag(tag);
    channel.transaction.settlements.push({ tag, multiple, how });
    return;
  }
  for (const unacked of channel.unacked.take(tag, multiple)) channel.settle(unacked, how);
}

/** [A32] */
function recover(channel: Channel, requeue: boolean): void {
  if (!requeue) throw new AmqpError(540, 'requeue=false');
  for (const unacked of channel.unacked.takeAll()) channel.settle(unacked, 'requeue');
}
