/** PUB and HPUB: one message to the broker, fire and forget. The hottest path of the room. */
import { Message } from '#broker';
import { BrokerError } from '#kit';
import type { ClientSubscription } from '../client-subscription.ts';
import type { NatsConnection } from '../connection.ts';
import { publishRefused, replyRefused, SAYS } from '../errors.ts';
import { NO_RESPONDERS } from '../header-block.ts';
import { readHeaders } from '../message-headers.ts';
import { covers, isReservedReply, SUBJECT } from '../subject.ts';
import type { Subject } from '../subjects.ts';

const NO_BYTES = Buffer.alloc(0);

export function publish(connection: NatsConnection): boolean {
  const { parser, shared } = connection;
  const { subjects, broker, count } = shared;
  const { line } = parser;
  const from = parser.from(0);
  const subject = subjects.again(connection.lastSubject, line, from, parser.to(0));
  connection.lastSubject = subject;
  const { place } = subject;
  if (connection.options.pedantic && subject.kind !== SUBJECT.literal) {
    count.refused.add();
    connection.say(SAYS.invalidPublishSubject);
    return true;
  }
  const hasReply = parser.words === (parser.verb.tail === 'headers' ? 4 : 3);
  if (place === null) {
    // Nobody can listen there: as with nats-server the message is nobody's, and not an error.
    count.refused.add();
    if (hasReply) noResponders(connection);
    connection.ok();
    return true;
  }
  if (!broker.authorize(connection.principal!, 'publish', place.address)) {
    return refuse(connection, publishRefused('not-authorized', subject.text));
  }
  const message = new Message(place.address, parser.body, shared.origin);
  if (parser.verb.tail === 'headers') {
    if (!connection.options.headers) {
      connection.fail(SAYS.noHeaders);
      return false;
    }
    if (parser.headerSize > 0) splitHeaders(connection, message);
  }
  if (hasReply) {
    if (isReservedReply(line, parser.from(1), parser.to(1))) {
      return refuse(connection, replyRefused(parser.text(1)));
    }
    message.replyTo = subjects.reply(line, parser.from(1), parser.to(1));
  }
  message.source = connection;
  message.principal = connection.principal!;
  message.producer = connection.options.name;
  connection.unechoed = 0;
  let interest: number;
  try {
    interest = broker.publish(message, place.target, null, 0);
  } catch (error) {
    return failed(connection, subject, error);
  }
  connection.messagesIn++;
  count.messagesIn.value++;
  count.bytesIn.value += parser.body.length;
  if (hasReply && interest - connection.unechoed === 0) noResponders(connection);
  connection.ok();
  return true;
}

function splitHeaders(connection: NatsConnection, message: Message): void {
  const { parser, shared } = connection;
  const { body, headerSize } = parser;
  message.value = body.subarray(headerSize);
  readHeaders(message, body.subarray(0, headerSize), shared.host.clock.nowMs());
}

function refuse(connection: NatsConnection, text: string): boolean {
  connection.shared.count.refused.add();
  connection.say(text);
  return true;
}

/** The broker took nothing: wait when it has no room, tell the client otherwise. */
function failed(connection: NatsConnection, subject: Subject, error: unknown): boolean {
  if (!(error instanceof BrokerError)) throw error;
  if (error.code !== 'busy') return refuse(connection, publishRefused(error.code, subject.text));
  connection.hold('room');
  connection.shared.broker.onRoom(() => connection.goOn(true));
  return false;
}

/**
 * Nobody gets the request: the requester is told at once instead of waiting in vain (N20), on the
 * reply subject, through the subscription of its own that covers it.
 */
function noResponders(connection: NatsConnection): void {
  const { options, parser } = connection;
  if (!options.noResponders || !options.headers) return;
  const reply = parser.text(1);
  const subscription = subscriptionFor(connection, reply);
  if (subscription === null) return;
  const head = Buffer.from(`MSG ${parser.opaque(1)} ${subscription.sid} `, 'latin1');
  connection.outbox.message(head, NO_BYTES, NO_RESPONDERS, NO_BYTES);
  connection.countDelivery(subscription);
}

function subscriptionFor(connection: NatsConnection, reply: string): ClientSubscription | null {
  const last = connection.lastReplySubscription;
  if (last !== null && last.handle !== null && covers(last.subject, reply)) return last;
  for (const subscription of connection.subscriptions.values()) {
    if (!covers(subscription.subject, reply)) continue;
    connection.lastReplySubscription = subscription;
    return subscription;
  }
  return null;
}
