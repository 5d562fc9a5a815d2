/** PUB and HPUB: one message to the broker, fire and forget. The hottest path of the room. */
import { type Address, Message } from '#broker';
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
  const subject = subjects.again(
    connection.lastSubject,
    parser.repeated,
    line,
    parser.from(0),
    parser.to(0),
  );
  connection.lastSubject = subject;
  const { place } = subject;
  if (connection.options.pedantic && subject.kind !== SUBJECT.literal) {
    return refuse(connection, SAYS.invalidPublishSubject);
  }
  const hasHeaders = parser.verb.tail === 'headers';
  const hasReply = parser.words === (hasHeaders ? 4 : 3);
  if (place === null) {
    // Nobody can listen there: as with nats-server the message is nobody's, and not an error.
    count.refused.add();
    if (hasReply) noResponders(connection);
    connection.ok();
    return true;
  }
  const principal = connection.principal!;
  if (!broker.authorize(principal, 'publish', place.address)) {
    return refuse(connection, publishRefused('not-authorized', subject.text));
  }
  if (hasHeaders && !connection.options.headers) {
    connection.fail(SAYS.noHeaders);
    return false;
  }
  // A header block is read in any case: it may be malformed, and that ends the connection.
  const message =
    parser.headerSize > 0 || broker.wanted(place.target, principal)
      ? read(connection, place.address)
      : null;
  if (hasReply && isReservedReply(line, parser.from(1), parser.to(1))) {
    return refuse(connection, replyRefused(parser.text(1)));
  }
  let takers = 0;
  if (message !== null) {
    if (hasReply) message.replyTo = subjects.reply(line, parser.from(1), parser.to(1));
    connection.unechoed = 0;
    try {
      takers = broker.publish(message, place.target, null, 0) - connection.unechoed;
    } catch (error) {
      return failed(connection, subject, error);
    }
  }
  connection.messagesIn++;
  connection.unpaidBytes += parser.bodySize + parser.to(0) - parser.from(0);
  count.messagesIn.value++;
  count.bytesIn.value += parser.bodySize;
  if (hasReply && takers === 0) noResponders(connection);
  connection.ok();
  return true;
}

/** The frame as a message, but for its reply subject. */
function read(connection: NatsConnection, address: Address): Message {
  const { parser, shared } = connection;
  const message = new Message(address, parser.payload, shared.origin);
  message.source = connection;
  message.principal = connection.principal!;
  message.producer = connection.options.name;
  if (parser.headerSize > 0) {
    readHeaders(message, parser.headerBlock, shared.host.clock.nowMs());
  }
  return message;
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
