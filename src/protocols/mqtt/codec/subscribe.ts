/** SUBSCRIBE, SUBACK, UNSUBSCRIBE and UNSUBACK (sections 3.8 to 3.11). */
import { ProtocolError } from '#kit';
import { SUBACK, SUBSCRIBE, UNSUBACK, UNSUBSCRIBE } from './packet-types.ts';
import { NO_PROPERTIES, type Properties, readProperties, writeProperties } from './properties.ts';
import { malformed, type PacketReader, protocolError } from './reader.ts';
import { REASON } from './reason-codes.ts';
import type { Version } from './version.ts';
import { body } from './writer.ts';

interface SubscriptionOptions {
  readonly qos: 0 | 1 | 2;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  readonly retainHandling: 0 | 1 | 2;
}

export interface FilterRequest extends SubscriptionOptions {
  readonly filter: string;
}

export interface SubscribePacket {
  readonly packetId: number;
  readonly properties: Properties;
  readonly filters: readonly FilterRequest[];
}

export interface UnsubscribePacket {
  readonly packetId: number;
  readonly properties: Properties;
  readonly filters: readonly string[];
}

export interface CodesPacket {
  readonly packetId: number;
  readonly properties: Properties;
  /** One code per filter, in the order of the request. UNSUBACK of 3.x carries none. */
  readonly codes: readonly number[];
}

/** Filters of one packet: each costs far more memory and time than its bytes. */
const FILTERS_MAX = 20_000;

function checkCount(filters: readonly unknown[], reader: PacketReader): void {
  if (filters.length < FILTERS_MAX) return;
  const detail = `more than ${FILTERS_MAX} of them`;
  throw new ProtocolError('topic filter', reader.at, detail, REASON.quotaExceeded);
}

function readFilter(reader: PacketReader): string {
  const at = reader.at;
  const filter = reader.text('topic filter');
  // [MQTT-4.7.3-1]: at least one character.
  if (filter === '') throw protocolError('topic filter', at, 'is empty');
  return filter;
}

function readOptions(reader: PacketReader, version: Version): SubscriptionOptions {
  const at = reader.at;
  const bits = reader.byte('subscription options');
  const reserved = version === 5 ? 0xc0 : 0xfc;
  // [MQTT-3.8.3-5]
  if ((bits & reserved) !== 0) throw malformed('subscription options', at, 'reserved bits are set');
  const qos = bits & 3;
  if (qos === 3) throw malformed('requested QoS', at, 'is 3');
  const retainHandling = (bits >> 4) & 3;
  if (retainHandling === 3) throw malformed('retain handling', at, 'is 3');
  return {
    qos: qos as 0 | 1 | 2,
    noLocal: (bits & 4) !== 0,
    retainAsPublished: (bits & 8) !== 0,
    retainHandling: retainHandling as 0 | 1 | 2,
  };
}

export function decodeSubscribe(reader: PacketReader, version: Version): SubscribePacket {
  const packetId = reader.packetId();
  const properties = version === 5 ? readProperties(reader, SUBSCRIBE) : NO_PROPERTIES;
  // [MQTT-3.8.3-2]
  if (reader.left === 0) throw protocolError('payload', reader.at, 'has no topic filter');
  const filters: FilterRequest[] = [];
  while (reader.left > 0) {
    checkCount(filters, reader);
    const filter = readFilter(reader);
    filters.push({ filter, ...readOptions(reader, version) });
  }
  return { packetId, properties, filters };
}

export function encodeSubscribe(packet: SubscribePacket, version: Version): Buffer {
  body.reset();
  body.u16(packet.packetId);
  if (version === 5) writeProperties(body, packet.properties);
  for (const each of packet.filters) {
    body.text(each.filter);
    const flags = (each.noLocal ? 4 : 0) | (each.retainAsPublished ? 8 : 0);
    body.byte(each.qos | flags | (each.retainHandling << 4));
  }
  return body.finish((SUBSCRIBE << 4) | 2);
}

export function decodeUnsubscribe(reader: PacketReader, version: Version): UnsubscribePacket {
  const packetId = reader.packetId();
  const properties = version === 5 ? readProperties(reader, UNSUBSCRIBE) : NO_PROPERTIES;
  // [MQTT-3.10.3-2]
  if (reader.left === 0) throw protocolError('payload', reader.at, 'has no topic filter');
  const filters: string[] = [];
  while (reader.left > 0) {
    checkCount(filters, reader);
    filters.push(readFilter(reader));
  }
  return { packetId, properties, filters };
}

export function encodeUnsubscribe(packet: UnsubscribePacket, version: Version): Buffer {
  body.reset();
  body.u16(packet.packetId);
  if (version === 5) writeProperties(body, packet.properties);
  for (const filter of packet.filters) body.text(filter);
  return body.finish((UNSUBSCRIBE << 4) | 2);
}

export function decodeCodes(reader: PacketReader, version: Version): CodesPacket {
  const { type } = reader;
  const packetId = reader.packetId();
  const properties = version === 5 ? readProperties(reader, type) : NO_PROPERTIES;
  const codes: number[] = [];
  while (reader.left > 0) codes.push(reader.byte('reason code'));
  return { packetId, properties, codes };
}

function encodeCodes(type: number, packet: CodesPacket, version: Version): Buffer {
  body.reset();
  body.u16(packet.packetId);
  if (version === 5) writeProperties(body, packet.properties);
  if (version === 5 || type === SUBACK) for (const code of packet.codes) body.byte(code);
  return body.finish(type << 4);
}

export function encodeSuback(packet: CodesPacket, version: Version): Buffer {
  return encodeCodes(SUBACK, packet, version);
}

export function encodeUnsuback(packet: CodesPacket, version: Version): Buffer {
  return encodeCodes(UNSUBACK, packet, version);
}
