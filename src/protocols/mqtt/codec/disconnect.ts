/**
 * DISCONNECT and AUTH (sections 3.14 and 3.15), and the two packets of two bytes (3.12, 3.13).
 */
import { AUTH, DISCONNECT, PINGREQ, PINGRESP } from './packet-types.ts';
import { NO_PROPERTIES, type Properties, readProperties, writeProperties } from './properties.ts';
import { malformed, type PacketReader } from './reader.ts';
import { AUTH_REASONS, CLIENT_DISCONNECT_REASONS } from './reason-codes.ts';
import type { Version } from './version.ts';
import { body } from './writer.ts';

export interface ReasonPacket {
  readonly reason: number;
  readonly properties: Properties;
}

const SUCCESS: ReasonPacket = { reason: 0, properties: NO_PROPERTIES };

export const PINGREQ_BYTES: Buffer = Buffer.from([PINGREQ << 4, 0]);
export const PINGRESP_BYTES: Buffer = Buffer.from([PINGRESP << 4, 0]);

/** `allowed`: the reason codes that this sender may use; null for all (what a server sends). */
function decodeReason(reader: PacketReader, allowed: ReadonlySet<number> | null): ReasonPacket {
  if (reader.left === 0) return SUCCESS;
  const { type, at } = reader;
  const reason = reader.byte('reason code');
  if (allowed !== null && !allowed.has(reason)) {
    throw malformed('reason code', at, `${reason} is not for this packet`);
  }
  const properties = reader.left === 0 ? NO_PROPERTIES : readProperties(reader, type);
  reader.finish();
  return { reason, properties };
}

export function decodeDisconnect(
  reader: PacketReader,
  version: Version,
  fromClient = true,
): ReasonPacket {
  if (version < 5) {
    reader.finish();
    return SUCCESS;
  }
  return decodeReason(reader, fromClient ? CLIENT_DISCONNECT_REASONS : null); // [MQTT-3.14.2-1]
}

export function decodeAuth(reader: PacketReader): ReasonPacket {
  return decodeReason(reader, AUTH_REASONS); // [MQTT-3.15.2-1]
}

function encodeReason(type: number, packet: ReasonPacket, version: Version): Buffer {
  body.reset();
  if (version === 5 && (packet.reason !== 0 || packet.properties !== NO_PROPERTIES)) {
    body.byte(packet.reason);
    if (packet.properties !== NO_PROPERTIES) writeProperties(body, packet.properties);
  }
  return body.finish(type << 4);
}

export function encodeDisconnect(packet: ReasonPacket, version: Version): Buffer {
  return encodeReason(DISCONNECT, packet, version);
}

export function encodeAuth(packet: ReasonPacket): Buffer {
  return encodeReason(AUTH, packet, 5);
}
