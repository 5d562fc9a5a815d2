/**
 * Properties of MQTT 5 (section 2.2.2): one row each, used to read, to check and to write them.
 * 3.x packets have none. A will has properties of its own; it counts as packet type 0 here.
 */

import { ProtocolError } from '#kit';
import {
  AUTH,
  CONNACK,
  CONNECT,
  DISCONNECT,
  PUBACK,
  PUBCOMP,
  PUBLISH,
  PUBREC,
  PUBREL,
  packetName,
  SUBACK,
  SUBSCRIBE,
  UNSUBACK,
  UNSUBSCRIBE,
} from './packet-types.ts';
import { malformed, type PacketReader, protocolError } from './reader.ts';
import { REASON } from './reason-codes.ts';
import { type PacketWriter, properties as scratch } from './writer.ts';

export type UserProperty = readonly [name: string, value: string];

export interface Properties {
  payloadFormat?: number;
  messageExpirySec?: number;
  contentType?: string;
  responseTopic?: string;
  correlationData?: Buffer;
  /** Several towards a client when several subscriptions match; one in SUBSCRIBE. */
  subscriptionIds?: number[];
  sessionExpirySec?: number;
  assignedClientId?: string;
  serverKeepAliveSec?: number;
  authenticationMethod?: string;
  authenticationData?: Buffer;
  requestProblemInformation?: number;
  willDelaySec?: number;
  requestResponseInformation?: number;
  responseInformation?: string;
  serverReference?: string;
  reasonString?: string;
  receiveMaximum?: number;
  topicAliasMaximum?: number;
  topicAlias?: number;
  maximumQos?: number;
  retainAvailable?: number;
  /** Order and repeated names are kept [MQTT-3.3.2-18]. */
  userProperties?: UserProperty[];
  maximumPacketSize?: number;
  wildcardAvailable?: number;
  subscriptionIdsAvailable?: number;
  sharedAvailable?: number;
}

export const NO_PROPERTIES: Properties = Object.freeze({});

/** The will's own properties, as a packet type for the table. */
export const WILL = 0;

type WireType = 'flag' | 'u16' | 'u32' | 'varint' | 'text' | 'binary' | 'pair';

export interface PropertyRow {
  readonly id: number;
  readonly name: keyof Properties;
  /** As the specification calls it. */
  readonly title: string;
  readonly type: WireType;
  /** Bit n: allowed in packet type n; bit 0: in a will. */
  readonly packets: number;
  /** User properties everywhere, subscription identifiers in PUBLISH. */
  readonly repeats: boolean;
  /** Zero is not allowed, and this is the reason code that says so. */
  readonly zero: number;
}

const ACKS = [PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK];
const REASONED = [CONNACK, ...ACKS, DISCONNECT, AUTH];
const EVERYWHERE = [WILL, CONNECT, PUBLISH, SUBSCRIBE, UNSUBSCRIBE, ...REASONED];

function row(
  id: number,
  name: keyof Properties,
  title: string,
  type: WireType,
  packets: readonly number[],
  zero = -1,
): PropertyRow {
  let mask = 0;
  for (const packet of packets) mask |= 1 << packet;
  const repeats = type === 'pair' || name === 'subscriptionIds';
  return { id, name, title, type, packets: mask, repeats, zero };
}

const ZERO = REASON.protocolError;

export const PROPERTY_ROWS: readonly PropertyRow[] = [
  row(0x01, 'payloadFormat', 'Payload Format Indicator', 'flag', [PUBLISH, WILL]),
  row(0x02, 'messageExpirySec', 'Message Expiry Interval', 'u32', [PUBLISH, WILL]),
  row(0x03, 'contentType', 'Content Type', 'text', [PUBLISH, WILL]),
  row(0x08, 'responseTopic', 'Response Topic', 'text', [PUBLISH, WILL]),
  row(0x09, 'correlationData', 'Correlation Data', 'binary', [PUBLISH, WILL]),
  row(0x0b, 'subscriptionIds', 'Subscription Identifier', 'varint', [PUBLISH, SUBSCRIBE], ZERO),
  row(0x11, 'sessionExpirySec', 'Session Expiry Interval', 'u32', [CONNECT, CONNACK, DISCONNECT]),
  row(0x12, 'assignedClientId', 'Assigned Client Identifier', 'text', [CONNACK]),
  row(0x13, 'serverKeepAliveSec', 'Server Keep Alive', 'u16', [CONNACK]),
  row(0x15, 'authenticationMethod', 'Authentication Method', 'text', [CONNECT, CONNACK, AUTH]),
  row(0x16, 'authenticationData', 'Authentication Data', 'binary', [CONNECT, CONNACK, AUTH]),
  row(0x17, 'requestProblemInformation', 'Request Problem Information', 'flag', [CONNECT]),
  row(0x18, 'willDelaySec', 'Will Delay Interval', 'u32', [WILL]),
  row(0x19, 'requestResponseInformation', 'Request Response Information', 'flag', [CONNECT]),
  row(0x1a, 'responseInformation', 'Response Information', 'text', [CONNACK]),
  row(0x1c, 'serverReference', 'Server Reference', 'text', [CONNACK, DISCONNECT]),
  row(0x1f, 'reasonString', 'Reason String', 'text', REASONED),
  row(0x21, 'receiveMaximum', 'Receive Maximum', 'u16', [CONNECT, CONNACK], ZERO),
  row(0x22, 'topicAliasMaximum', 'Topic Alias Maximum', 'u16', [CONNECT, CONNACK]),
  row(0x23, 'topicAlias', 'Topic Alias', 'u16', [PUBLISH], REASON.topicAliasInvalid),
  row(0x24, 'maximumQos', 'Maximum QoS', 'flag', [CONNACK]),
  row(0x25, 'retainAvailable', 'Retain Available', 'flag', [CONNACK]),
  row(0x26, 'userProperties', 'User Property', 'pair', EVERYWHERE),
  row(0x27, 'maximumPacketSize', 'Maximum Packet Size', 'u32', [CONNECT, CONNACK], ZERO),
  row(0x28, 'wildcardAvailable', 'Wildcard Subscription Available', 'flag', [CONNACK]),
  row(0x29, 'subscriptionIdsAvailable', 'Subscription Identifiers Available', 'flag', [CONNACK]),
  row(0x2a, 'sharedAvailable', 'Shared Subscription Available', 'flag', [CONNACK]),
];

/** Values of a property that repeats: each costs far more memory and time than its bytes. */
const REPEATED_MAX = 10_000;

const BY_ID: (PropertyRow | undefined)[] = [];
for (const each of PROPERTY_ROWS) BY_ID[each.id] = each;

/** Reads the length and the properties of one packet (or will). */
export function readProperties(reader: PacketReader, packet: number): Properties {
  const length = reader.varint('property length');
  if (length === 0) return NO_PROPERTIES;
  const end = reader.at + length;
  if (end > reader.end) throw malformed('property length', reader.at, 'is beyond the packet');
  const packetEnd = reader.end;
  reader.end = end;
  const found: Properties = {};
  while (reader.at < end) readProperty(reader, packet, found);
  reader.end = packetEnd;
  return found;
}

function readProperty(reader: PacketReader, packet: number, into: Properties): void {
  const at = reader.at;
  const id = reader.varint('property identifier');
  const known = BY_ID[id];
  if (known === undefined) throw malformed('property identifier', at, `${id} is unknown`);
  if ((known.packets & (1 << packet)) === 0) {
    const where = packet === WILL ? 'a will' : packetName(packet);
    throw malformed(known.title, at, `is not allowed in ${where}`);
  }
  const value = readValue(reader, known, at);
  if (known.repeats) {
    const list = (into[known.name] ?? []) as unknown[];
    if (known.type === 'varint' && list.length > 0 && packet !== PUBLISH) {
      throw protocolError(known.title, at, 'occurs twice');
    }
    if (list.length === REPEATED_MAX) {
      const detail = `more than ${REPEATED_MAX} of them`;
      throw new ProtocolError(known.title, at, detail, REASON.quotaExceeded);
    }
    list.push(value);
    (into as Record<string, unknown>)[known.name] = list;
    return;
  }
  if (into[known.name] !== undefined) throw protocolError(known.title, at, 'occurs twice');
  (into as Record<string, unknown>)[known.name] = value;
}

function readValue(reader: PacketReader, known: PropertyRow, at: number): unknown {
  switch (known.type) {
    case 'text':
      return reader.text(known.title);
    case 'binary':
      return reader.binary(known.title);
    case 'pair':
      return [reader.text(known.title), reader.text(known.title)];
    default: {
      const value = readNumber(reader, known);
      if (known.type === 'flag' && value > 1) throw protocolError(known.title, at, 'is not 0 or 1');
      if (value === 0 && known.zero >= 0) {
        throw new ProtocolError(known.title, at, 'is zero', known.zero);
      }
      return value;
    }
  }
}

function readNumber(reader: PacketReader, known: PropertyRow): number {
  if (known.type === 'flag') return reader.byte(known.title);
  if (known.type === 'u16') return reader.u16(known.title);
  if (known.type === 'u32') return reader.u32(known.title);
  return reader.varint(known.title);
}

/**
 * Writes the length, then the properties; a length of zero when there are none [MQTT-2.2.2-1].
 */
export function writeProperties(writer: PacketWriter, values: Properties): void {
  if (values === NO_PROPERTIES) {
    writer.byte(0);
    return;
  }
  scratch.reset();
  fillProperties(scratch, values);
  writer.varint(scratch.at);
  writer.raw(scratch.bytes.subarray(0, scratch.at));
}

/** Writes the properties without their length. */
export function fillProperties(writer: PacketWriter, values: Properties): void {
  for (const each of PROPERTY_ROWS) {
    const value = values[each.name];
    if (value === undefined) continue;
    if (each.repeats) {
      for (const one of value as unknown[]) writeValue(writer, each, one);
    } else {
      writeValue(writer, each, value);
    }
  }
}

const WRITE: Readonly<Record<WireType, (writer: PacketWriter, value: never) => void>> = {
  flag: (writer, value: number) => writer.byte(value),
  u16: (writer, value: number) => writer.u16(value),
  u32: (writer, value: number) => writer.u32(value),
  varint: (writer, value: number) => writer.varint(value),
  text: (writer, value: string) => writer.text(value),
  binary: (writer, value: Buffer) => writer.binary(value),
  pair: (writer, value: UserProperty) => {
    writer.text(value[0]);
    writer.text(value[1]);
  },
};

function writeValue(writer: PacketWriter, known: PropertyRow, value: unknown): void {
  writer.byte(known.id);
  WRITE[known.type](writer, value as never);
}
