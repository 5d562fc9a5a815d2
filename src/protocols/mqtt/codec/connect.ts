/** CONNECT and CONNACK, 3.1, 3.1.1 and 5.0 (sections 3.1 and 3.2). */
import { ProtocolError } from '#kit';
import { CONNACK, CONNECT } from './packet-types.ts';
import {
  NO_PROPERTIES,
  type Properties,
  readProperties,
  WILL,
  writeProperties,
} from './properties.ts';
import { malformed, type PacketReader, protocolError } from './reader.ts';
import { connackReturnCode, REASON } from './reason-codes.ts';
import type { Version } from './version.ts';
import { body } from './writer.ts';

export interface WillPacket {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly properties: Properties;
}

export interface ConnectPacket {
  readonly version: Version;
  /**
   * The level had its high bit set: a Mosquitto bridge, which wants its own messages not back.
   */
  readonly bridge: boolean;
  /** Clean Start of 5.0, Clean Session of 3.x. */
  readonly clean: boolean;
  readonly keepAliveSec: number;
  readonly clientId: string;
  readonly properties: Properties;
  readonly will: WillPacket | null;
  readonly user: string | null;
  readonly password: Buffer | null;
}

export interface ConnackPacket {
  readonly sessionPresent: boolean;
  /** A version 5 reason code in every version; 3.x carries the return code that fits best. */
  readonly reason: number;
  readonly properties: Properties;
}

const BRIDGE_BIT = 0x80;

function readVersion(reader: PacketReader): { version: Version; bridge: boolean } {
  const name = reader.text('protocol name');
  const at = reader.at;
  const level = reader.byte('protocol level');
  // Mosquitto marks a bridge by this bit, in 3.1 and 3.1.1 only.
  const bridge = (level & BRIDGE_BIT) !== 0;
  const version = bridge ? level & ~BRIDGE_BIT : level;
  if (name === 'MQIsdp' && version === 3) return { version, bridge };
  if (name === 'MQTT' && (version === 4 || (version === 5 && !bridge))) return { version, bridge };
  // [MQTT-3.1.2-1] [MQTT-3.1.2-2]
  const detail = `"${name.slice(0, 16)}" level ${level} is not served`;
  throw new ProtocolError('protocol level', at, detail, REASON.unsupportedVersion);
}

function readWill(reader: PacketReader, version: Version, flags: number): WillPacket {
  const properties = version === 5 ? readProperties(reader, WILL) : NO_PROPERTIES;
  const topic = reader.text('will topic');
  const payload = reader.binary('will message');
  const qos = ((flags >> 3) & 3) as 0 | 1 | 2;
  return { topic, payload, qos, retain: (flags & 0x20) !== 0, properties };
}

function checkFlags(flags: number, version: Version, at: number): void {
  if ((flags & 1) !== 0) throw malformed('connect flags', at, 'reserved bit is set'); // [MQTT-3.1.2-3]
  const willQos = (flags >> 3) & 3;
  if (willQos === 3) throw malformed('will QoS', at, 'is 3'); // [MQTT-3.1.2-12]
  if ((flags & 4) === 0 && (flags & 0x38) !== 0) {
    throw malformed('connect flags', at, 'will QoS or retain without a will'); // [MQTT-3.1.2-11]
  }
  if (version < 5 && (flags & 0xc0) === 0x40) {
    throw malformed('connect flags', at, 'password without a user name'); // [MQTT-3.1.2-22] of 3.1.1
  }
}

export function decodeConnect(reader: PacketReader): ConnectPacket {
  const { version, bridge } = readVersion(reader);
  if (version === 5 && reader.padded) {
    throw malformed('remaining length', 1, 'is not in its shortest form');
  }
  const flagsAt = reader.at;
  const flags = reader.byte('connect flags');
  checkFlags(flags, version, flagsAt);
  const keepAliveSec = reader.u16('keep alive');
  const properties = version === 5 ? readProperties(reader, CONNECT) : NO_PROPERTIES;
  if (properties.authenticationData !== undefined) {
    if (properties.authenticationMethod === undefined) {
      throw protocolError('Authentication Data', reader.at, 'comes without a method');
    }
  }
  const clientId = reader.text('client identifier');
  const will = (flags & 4) !== 0 ? readWill(reader, version, flags) : null;
  const user = (flags & 0x80) !== 0 ? reader.text('user name') : null;
  const password = (flags & 0x40) !== 0 ? reader.binary('password') : null;
  reader.finish();
  return {
    version,
    bridge,
    clean: (flags & 2) !== 0,
    keepAliveSec,
    clientId,
    properties,
    will,
    user,
    password,
  };
}

export function encodeConnect(packet: ConnectPacket): Buffer {
  body.reset();
  body.text(packet.version === 3 ? 'MQIsdp' : 'MQTT');
  body.byte(packet.version | (packet.bridge ? BRIDGE_BIT : 0));
  let flags = packet.clean ? 2 : 0;
  if (packet.will !== null) {
    flags |= 4 | (packet.will.qos << 3) | (packet.will.retain ? 0x20 : 0);
  }
  if (packet.user !== null) flags |= 0x80;
  if (packet.password !== null) flags |= 0x40;
  body.byte(flags);
  body.u16(packet.keepAliveSec);
  if (packet.version === 5) writeProperties(body, packet.properties);
  body.text(packet.clientId);
  if (packet.will !== null) {
    if (packet.version === 5) writeProperties(body, packet.will.properties);
    body.text(packet.will.topic);
    body.binary(packet.will.payload);
  }
  if (packet.user !== null) body.text(packet.user);
  if (packet.password !== null) body.binary(packet.password);
  return body.finish(CONNECT << 4);
}

export function decodeConnack(reader: PacketReader, version: Version): ConnackPacket {
  const flagsAt = reader.at;
  const flags = reader.byte('acknowledge flags');
  if ((flags & 0xfe) !== 0) throw malformed('acknowledge flags', flagsAt, 'reserved bits are set');
  const reason = reader.byte('reason code');
  const properties = version === 5 ? readProperties(reader, CONNACK) : NO_PROPERTIES;
  reader.finish();
  return { sessionPresent: flags === 1, reason, properties };
}

/** Session present is never sent with a refusal [MQTT-3.2.2-6]. */
export function encodeConnack(packet: ConnackPacket, version: Version): Buffer {
  body.reset();
  // MQTT 3.1 has no flags there: the byte is reserved.
  body.byte(packet.sessionPresent && packet.reason === 0 && version > 3 ? 1 : 0);
  body.byte(version === 5 ? packet.reason : connackReturnCode(packet.reason));
  if (version === 5) writeProperties(body, packet.properties);
  return body.finish(CONNACK << 4);
}
