/**
 * The packet types of MQTT: number, name, required flags, and who may send them. One row each.
 */
import type { Version } from './version.ts';

export const CONNECT = 1;
export const CONNACK = 2;
export const PUBLISH = 3;
export const PUBACK = 4;
export const PUBREC = 5;
export const PUBREL = 6;
export const PUBCOMP = 7;
export const SUBSCRIBE = 8;
export const SUBACK = 9;
export const UNSUBSCRIBE = 10;
export const UNSUBACK = 11;
export const PINGREQ = 12;
export const PINGRESP = 13;
export const DISCONNECT = 14;
export const AUTH = 15;

export type PacketType = number;

export interface PacketTypeRow {
  readonly type: PacketType;
  readonly name: string;
  /** The only value that the low four bits may have; null: they carry meaning (PUBLISH). */
  readonly flags: number | null;
  readonly since: Version;
  /** True when a client may send it, so that a server can meet it. */
  readonly fromClient: boolean;
}

const row = (
  type: PacketType,
  name: string,
  flags: number | null,
  fromClient: boolean,
  since: Version = 3,
): PacketTypeRow => ({ type, name, flags, since, fromClient });

const ROWS: readonly PacketTypeRow[] = [
  row(CONNECT, 'CONNECT', 0, true),
  row(CONNACK, 'CONNACK', 0, false),
  row(PUBLISH, 'PUBLISH', null, true),
  row(PUBACK, 'PUBACK', 0, true),
  row(PUBREC, 'PUBREC', 0, true),
  row(PUBREL, 'PUBREL', 2, true),
  row(PUBCOMP, 'PUBCOMP', 0, true),
  row(SUBSCRIBE, 'SUBSCRIBE', 2, true),
  row(SUBACK, 'SUBACK', 0, false),
  row(UNSUBSCRIBE, 'UNSUBSCRIBE', 2, true),
  row(UNSUBACK, 'UNSUBACK', 0, false),
  row(PINGREQ, 'PINGREQ', 0, true),
  row(PINGRESP, 'PINGRESP', 0, false),
  row(DISCONNECT, 'DISCONNECT', 0, true),
  row(AUTH, 'AUTH', 0, true, 5),
];

/** Rows by type number; index 0 is the reserved type and has no row. */
export const PACKET_TYPES: readonly (PacketTypeRow | undefined)[] = [undefined, ...ROWS];

export function packetName(type: PacketType): string {
  return PACKET_TYPES[type]?.name ?? `packet type ${type}`;
}
