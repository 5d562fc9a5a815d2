/** PUBLISH from a client (3.3.4): its topic, the rights, the broker, the acknowledgement. */
import {
  type Address,
  type Message,
  type PublishSink,
  publishOnce,
  slashSpelling,
  type Target,
} from '#broker';
import { BrokerError, ProtocolError } from '#kit';
import {
  checkFromClient,
  decodePublish,
  type PacketReader,
  type PublishPacket,
  REASON,
} from '../codec/index.ts';
import type { Link } from '../connection.ts';
import { ackReasonOf } from '../errors.ts';
import { isReadOnly, isReserved } from '../features/own-topics.ts';
import { Inbound } from '../inbound.ts';
import { messageOf } from '../message.ts';
import type { MqttOptions } from '../options.ts';
import { RetainedAnswer } from '../retained-answer.ts';
import type { Room } from '../room.ts';
import type { Session } from '../session.ts';
import { Routes } from '../topic-aliases.ts';
import { checkResponseTopic, topicName } from '../topics.ts';
import { delayOf, isDelayed, keepForLater } from './delayed.ts';

export function publish(link: Link, reader: PacketReader): boolean {
  const { room } = link;
  const session = link.session!;
  const packet = room.publishPacket;
  decodePublish(reader, link.version, packet);
  checkFromClient(packet);
  checkResponseTopic(packet.properties.responseTopic);
  const target = resolve(link, packet);
  const { qos, packetId } = packet;
  if (qos > 0 || packet.retain) checkOffer(link.options, qos, packet.retain);
  if (qos > 0 && !mayReceive(link, session, qos, packetId)) return true;
  if (target === null) {
    deny(link, session, qos, packetId);
    return true;
  }
  if (isReserved(target.address.text)) {
    const name = target.address.text;
    if (isDelayed(name)) return publishLater(link, session, name);
    if (isReadOnly(name)) {
      deny(link, session, qos, packetId);
      return true;
    }
  }
  if (!room.broker.authorize(session.principal, 'publish', target.address)) {
    deny(link, session, qos, packetId);
    return true;
  }
  return hand(link, session, messageFrom(link, session, target.address), target, packetId);
}

/** What CONNACK has said that there is not (3.2.2.3). */
function checkOffer(options: MqttOptions, qos: number, retain: boolean): void {
  if (qos > options.qosMax) {
    throw new ProtocolError('QoS', 0, `${qos}`, REASON.qosNotSupported); // [MQTT-3.2.2-11]
  }
  if (retain && !options.retainAvailable) {
    throw new ProtocolError('retain', 0, 'is off', REASON.retainNotSupported); // [MQTT-3.2.2-14]
  }
}

/** The message of the packet that is in the room's hands. */
function messageFrom(link: Link, session: Session, address: Address): Message {
  const { publishPacket: packet } = link.room;
  const { mount } = link;
  const properties = mount === null ? packet.properties : mount.properties(packet.properties);
  const nowMs = properties.messageExpirySec === undefined ? 0 : link.room.nowMs();
  const message = messageOf(address, packet.payload, packet.qos, packet.retain, properties, nowMs);
  message.producer = link.clientId;
  message.principal = session.principal;
  message.source = session;
  return message;
}

/** A message for later (M182): the rights are asked now and again when it is published. */
function publishLater(link: Link, session: Session, name: string): boolean {
  const { room } = link;
  const { qos, packetId } = room.publishPacket;
  const inbound = qos === 0 ? null : inboundOf(link, session);
  let token = -1;
  let message: Message;
  try {
    const { sec, topic } = delayOf(name);
    const address = slashSpelling.parse(topic);
    const may = room.broker.authorize(session.principal, 'publish', address);
    if (!may || isReadOnly(topic)) {
      deny(link, session, qos, packetId);
      return true;
    }
    message = messageFrom(link, session, address);
    keepForLater(room, message, sec);
    token = inbound?.begin(packetId, qos === 2) ?? -1;
    if (qos === 2) session.receivedBegin(packetId);
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error;
    if (error.code === 'busy') {
      link.stall();
      return false;
    }
    refused(link, session, qos, packetId, error);
    return true;
  }
  room.received(link, message);
  if (inbound !== null) room.store.committed((error) => inbound.published(token, error));
  return true;
}

/**
 * Gives the message to the broker. @returns false when it has no room: the packet is met again
 */
function hand(
  link: Link,
  session: Session,
  message: Message,
  target: Target,
  packetId: number,
): boolean {
  const { room } = link;
  const { qos } = message;
  if (message.retain && !room.retained.pace.take(link)) return false;
  const inbound = qos === 0 ? null : inboundOf(link, session);
  const token = inbound === null ? 0 : inbound.begin(packetId, qos === 2);
  // Before the broker is asked: it may answer at once when there is nothing to store.
  if (qos === 2) session.receivedBegin(packetId);
  const { retain } = message;
  const answer =
    retain && inbound !== null ? new RetainedAnswer(inbound, room.broker.lastValues) : null;
  let taken: boolean;
  try {
    if (retain) room.retained.checkOffer(message);
    taken = room.dedupe === null || message.messageId === '';
    if (taken) room.broker.publish(message, target, answer ?? inbound, token);
    else taken = publishNew(room, message, target, answer ?? inbound, token);
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error;
    if (qos === 2) session.receivedEnd(packetId);
    inbound?.cancel();
    if (error.code === 'busy') {
      link.stall();
      return false;
    }
    refused(link, session, qos, packetId, error);
    return true;
  }
  room.received(link, message);
  if (retain) {
    const offset = taken ? room.retained.keep(message) : -1;
    answer?.kept(offset);
  }
  return true;
}

/** Drops a repeat of the client's own message id (M189). @returns false when it was one */
function publishNew(
  room: Room,
  message: Message,
  target: Target,
  sink: PublishSink | null,
  token: number,
): boolean {
  const id = `${message.producer}\0${message.messageId}`;
  return !publishOnce(room.broker, room.dedupe!, id, message, target, sink, token).duplicate;
}

function refused(
  link: Link,
  session: Session,
  qos: 0 | 1 | 2,
  packetId: number,
  error: BrokerError,
): void {
  link.room.metrics.refused.add();
  if (qos > 0) inboundOf(link, session).answer(packetId, qos === 2, ackReasonOf(error));
}

/** No right to publish there: M82. */
function deny(link: Link, session: Session, qos: 0 | 1 | 2, packetId: number): void {
  link.room.metrics.refused.add();
  if (link.options.denyAction === 'disconnect') link.leave(REASON.notAuthorized, '');
  else if (qos > 0) {
    inboundOf(link, session).answer(packetId, qos === 2, REASON.notAuthorized);
  }
}

/** @returns false when the packet is done with: a repeated QoS 2 message */
function mayReceive(link: Link, session: Session, qos: 0 | 1 | 2, packetId: number): boolean {
  const inbound = inboundOf(link, session);
  const state = session.receivedState(packetId);
  if (state !== undefined) {
    if (qos === 1) inbound.answer(packetId, false, REASON.packetIdInUse);
    else if (state)
      inbound.answer(packetId, true, 0); // [MQTT-4.3.3-10]: PUBREC again
    else answerStored(link, session, inbound, packetId);
    return false;
  }
  // Identifiers between PUBREC and PUBREL count, and answers that are due [MQTT-3.3.4-7].
  const unanswered =
    link.lanes === null ? inbound.open : link.lanes.unanswered + (link.inbound?.open ?? 0);
  const open = Math.max(unanswered, session.receivedCount);
  if (open >= link.options.receiveMaximum) {
    if (link.version === 5) {
      const detail = `more than ${link.options.receiveMaximum} messages unacknowledged`;
      throw new ProtocolError('packet identifier', 0, detail, REASON.receiveMaximumExceeded);
    }
  }
  return true;
}

/** The message came again while its first copy is on its way to the disk. */
function answerStored(link: Link, session: Session, inbound: Inbound, packetId: number): void {
  link.room.store.committed((error) => {
    if (error !== null || link.session !== session) return;
    if (session.receivedState(packetId) === true) inbound.answer(packetId, true, 0);
  });
}

function inboundOf(link: Link, session: Session): Inbound {
  const stream = link.lane ?? link;
  stream.inbound ??= new Inbound(link, session, stream.output);
  return stream.inbound;
}

/**
 * The target of a PUBLISH: by its topic, or by an alias [MQTT-3.3.2-8..10]; null for a name that
 * there is not under the client's mount point.
 */
function resolve(link: Link, packet: PublishPacket): Target | null {
  const stream = link.lane ?? link;
  stream.routes ??= new Routes();
  const { routes } = stream;
  const alias = packet.properties.topicAlias;
  const { bytes, topicStart, topicEnd } = packet;
  if (alias !== undefined && alias > link.options.topicAliasMax) {
    throw new ProtocolError('Topic Alias', topicEnd, `${alias}`, REASON.topicAliasInvalid);
  }
  if (alias !== undefined && topicStart === topicEnd) {
    const known = routes.alias(alias);
    if (known === undefined) {
      // Not "alias invalid": the alias is in range but stands for nothing (3.3.2.3.4).
      throw new ProtocolError('Topic Alias', topicEnd, `${alias} is not set`, REASON.protocolError);
    }
    return known;
  }
  let target = routes.last(bytes, topicStart, topicEnd);
  if (target === null) {
    const { topic } = packet;
    const whole = wholeName(link, topic);
    if (whole === null) return null;
    const address = slashSpelling.parse(whole);
    target = link.room.broker.target(address, 'first-level');
    routes.remember(topic, target);
  }
  if (alias !== undefined) routes.setAlias(alias, target);
  return target;
}

/** Rules for names speak of what the client says; the mount point comes before their result. */
function wholeName(link: Link, topic: Buffer): string | null {
  const { mount, room, options } = link;
  const said = topicName(topic, options.topicLevelsMax - (mount?.levels ?? 0));
  const name = room.publishedName?.(link, said) ?? said;
  return mount === null ? name : mount.topic(name);
}
