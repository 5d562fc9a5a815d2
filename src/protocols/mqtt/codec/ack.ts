/** PUBACK, PUBREC, PUBREL and PUBCOMP (sections 3.4 to 3.7): one shape, four types. */
import { PACKET_TYPES, type PacketType, PUBACK, PUBREC } from './packet-types.ts';
import { NO_PROPERTIES, type Properties, readProperties, writeProperties } from './properties.ts';
import { malformed, type PacketReader } from './reader.ts';
import { PUBACK_REASONS, PUBREL_REASONS } from './reason-codes.ts';
import type { Version } from './version.ts';
import { body } from './writer.ts';

export interface AckPacket {
  readonly packetId: number;
  readonly reason: number;
  readonly properties: Properties;
}

export function decodeAck(reader: PacketReader, version: Version): AckPacket {
  const { type } = reader;
  const packetId = reader.packetId();
  if (version < 5) {
    reader.finish();
    return { packetId, reason: 0, properties: NO_PROPERTIES };
  }
  // Without a reason code it is a success; without properties they are empty (3.4.2.1, 3.4.2.2).
  if (reader.left === 0) return { packetId, reason: 0, properties: NO_PROPERTIES };
  const at = reader.at;
  const reason = reader.byte('reason code');
  const allowed = type === PUBACK || type === PUBREC ? PUBACK_REASONS : PUBREL_REASONS;
  if (!allowed.has(reason)) throw malformed('reason code', at, `${reason} is not for this packet`);
  const properties = reader.left === 0 ? NO_PROPERTIES : readProperties(reader, type);
  reader.finish();
  return { packetId, reason, properties };
}

/** Leaves out what is not needed: success takes four bytes in every version. */
export function encodeAck(type: PacketType, packet: AckPacket, version: Version): Buffer {
  body.reset();
  body.u16(packet.packetId);
  if (version === 5 && (packet.reason !== 0 || packet.properties !== NO_PROPERTIES)) {
    body.byte(packet.reason);
    if (packet.properties !== NO_PROPERTIES) writeProperties(body, packet.properties);
  }
  return body.finish((type << 4) | (PACKET_TYPES[type]!.flags ?? 0));
}
