/** PINGREQ, DISCONNECT and AUTH from a client, and a second CONNECT. */
import {
  decodeAuth,
  decodeDisconnect,
  type PacketReader,
  PINGRESP_BYTES,
  protocolError,
  REASON,
} from '../codec/index.ts';
import type { Link } from '../connection.ts';
import { cappedExpirySec } from './connect.ts';

export function pingreq(link: Link, reader: PacketReader): boolean {
  reader.finish();
  link.output.append(PINGRESP_BYTES);
  return true;
}

/** Nothing that follows is handled [MQTT-3.14.4-2]. */
export function disconnect(link: Link, reader: PacketReader): boolean {
  const { reason, properties } = decodeDisconnect(reader, link.version);
  const { sessionExpirySec } = properties;
  if (sessionExpirySec !== undefined) {
    if (link.connectExpirySec === 0 && sessionExpirySec > 0) {
      throw protocolError('Session Expiry Interval', 0, 'was zero in CONNECT'); // [MQTT-3.14.2-2]
    }
    link.session!.expirySec = cappedExpirySec(sessionExpirySec, link.room.options);
  }
  // Only a plain goodbye takes the will back [MQTT-3.1.2-10].
  const will = link.version === 5 && reason !== REASON.success;
  link.endReason = reason;
  link.finish();
  link.detach(will);
  return true;
}

/** No method was agreed on in CONNECT, so there is nothing to go on with [MQTT-4.12.0-6]. */
export function auth(_link: Link, reader: PacketReader): boolean {
  decodeAuth(reader);
  throw protocolError('packet type', 0, 'AUTH without an authentication method');
}

export function secondConnect(): boolean {
  throw protocolError('packet type', 0, 'a second CONNECT'); // [MQTT-3.1.0-2]
}
