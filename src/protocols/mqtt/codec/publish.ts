/**
 * PUBLISH (section 3.3). The hot packet: it is decoded into an object that is reused, its topic
 * and payload stay views into what was read, and it is encoded as a head and, when the payload is
 * large, a payload that is not copied.
 */
import { PUBLISH } from './packet-types.ts';
import { NO_PROPERTIES, type Properties, readProperties } from './properties.ts';
import { malformed, type PacketReader, protocolError } from './reader.ts';
import type { Version } from './version.ts';
import { body, properties as scratch, varintSize, writeVarint } from './writer.ts';

/** Payloads from this size on are sent as they are instead of being copied behind their head. */
export const INLINE_BYTES_MAX = 8192;

export const NO_PAYLOAD: Buffer = Buffer.alloc(0);

/**
 * What is being decoded. Filled anew by each `decodePublish`; take what you need before the next.
 */
export class PublishPacket {
  dup = false;
  qos: 0 | 1 | 2 = 0;
  retain = false;
  /** Zero for QoS 0. */
  packetId = 0;
  bytes: Buffer = NO_PAYLOAD;
  topicStart = 0;
  topicEnd = 0;
  payloadStart = 0;
  payloadEnd = 0;
  properties: Properties = NO_PROPERTIES;

  get payload(): Buffer {
    return this.bytes.subarray(this.payloadStart, this.payloadEnd);
  }

  get topic(): Buffer {
    return this.bytes.subarray(this.topicStart, this.topicEnd);
  }
}

/**
 * The topic's UTF-8 and characters are not checked here: whoever resolves the name does, once.
 */
export function decodePublish(reader: PacketReader, version: Version, into: PublishPacket): void {
  const { header } = reader;
  const qos = (header >> 1) & 3;
  if (qos === 3) throw malformed('QoS', 0, 'is 3'); // [MQTT-3.3.1-4]
  // A set DUP with QoS 0 is the client's fault but harms nobody [MQTT-3.3.1-2].
  into.dup = (header & 8) !== 0;
  into.qos = qos as 0 | 1 | 2;
  into.retain = (header & 1) !== 0;
  into.bytes = reader.bytes;
  const topicBytes = reader.u16('topic name');
  into.topicStart = reader.at;
  reader.at += topicBytes;
  if (reader.at > reader.end) throw malformed('topic name', into.topicStart, 'packet ends inside');
  into.topicEnd = reader.at;
  into.packetId = qos === 0 ? 0 : reader.packetId(); // [MQTT-2.2.1-2]
  into.properties = version === 5 ? readProperties(reader, PUBLISH) : NO_PROPERTIES;
  into.payloadStart = reader.at;
  into.payloadEnd = reader.end;
}

/** What only a client can do wrong: an identifier of a subscription in its own message. */
export function checkFromClient(packet: PublishPacket): void {
  if (packet.properties.subscriptionIds !== undefined) {
    throw protocolError('Subscription Identifier', packet.topicEnd, 'sent by a client'); // [MQTT-3.3.4-6]
  }
}

export interface PublishFields {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly dup: boolean;
  readonly packetId: number;
}

/** An encoded PUBLISH: `head` and, unless it was copied into it, `payload`. */
export interface EncodedPublish {
  readonly head: Buffer;
  /** How much of `head` it is. */
  readonly headBytes: number;
  /** The bytes stay as they are; otherwise they are good until the next packet is encoded. */
  readonly stays: boolean;
  readonly payload: Buffer;
  /** Where the packet identifier stands in `head`; 0 for QoS 0. */
  readonly packetIdAt: number;
  /** Size of the whole packet. */
  readonly size: number;
}

/**
 * Encodes a PUBLISH whose properties are in the `properties` writer (version 5), put there by the
 * caller; so that what is sent a million times needs no object for them.
 */
export function encodePublishFilled(fields: PublishFields, version: Version): EncodedPublish {
  const { payload, qos } = fields;
  body.reset();
  body.text(fields.topic);
  const idAt = body.at;
  if (qos > 0) body.u16(fields.packetId);
  if (version === 5) {
    body.varint(scratch.at);
    if (scratch.at > 0) body.raw(scratch.bytes.subarray(0, scratch.at));
  }
  const length = body.at + payload.length;
  const lead = 1 + varintSize(length);
  const size = lead + length;
  const inline = size <= INLINE_BYTES_MAX;
  const head = Buffer.allocUnsafe(inline ? size : lead + body.at);
  head[0] = (PUBLISH << 4) | (fields.dup ? 8 : 0) | (qos << 1) | (fields.retain ? 1 : 0);
  writeVarint(head, 1, length);
  head.set(body.bytes.subarray(0, body.at), lead);
  if (inline) head.set(payload, lead + body.at);
  return {
    head,
    headBytes: head.length,
    stays: true,
    payload: inline ? NO_PAYLOAD : payload,
    packetIdAt: qos === 0 ? 0 : lead + idAt,
    size,
  };
}

const TOPIC_BYTES_MAX = 1000;
const LAST_TOPIC = { text: '', bytes: NO_PAYLOAD };

/**
 * The packet of a message that goes to one receiver, without a buffer of its own: the head lies in
 * one that is used again, the payload is where it was.
 */
export class PassingPublish implements EncodedPublish {
  readonly head: Buffer = Buffer.allocUnsafeSlow(TOPIC_BYTES_MAX + 16);
  headBytes = 0;
  readonly stays = false;
  payload: Buffer = NO_PAYLOAD;
  packetIdAt = 0;
  size = 0;

  /** @returns false when the topic is too long for it */
  set(topic: string, payload: Buffer, qos: 0 | 1 | 2, retain: boolean, version: Version): boolean {
    if (topic !== LAST_TOPIC.text) {
      LAST_TOPIC.text = topic;
      LAST_TOPIC.bytes = Buffer.from(topic);
    }
    const name = LAST_TOPIC.bytes;
    if (name.length > TOPIC_BYTES_MAX) return false;
    const { head } = this;
    const length = 2 + name.length + (qos > 0 ? 2 : 0) + (version === 5 ? 1 : 0) + payload.length;
    head[0] = (PUBLISH << 4) | (qos << 1) | (retain ? 1 : 0);
    let at = writeVarint(head, 1, length);
    this.size = at + length;
    head[at++] = name.length >>> 8;
    head[at++] = name.length;
    // Names are short: the loop beats a native call.
    for (let index = 0; index < name.length; index++) head[at++] = name[index]!;
    this.packetIdAt = qos > 0 ? at : 0;
    if (qos > 0) at += 2;
    if (version === 5) head[at++] = 0;
    this.headBytes = at;
    this.payload = payload;
    return true;
  }
}
