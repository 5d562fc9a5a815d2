/** PINGREQ and DISCONNECT from a client, and a second CONNECT. */
import {
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
    link.session!.expirySec = cappedExpirySec(sessionExpirySec, link.options);
  }
  // Only a plain goodbye takes the will back [MQTT-3.1.2-10].
  const will = link.version === 5 && reason !== REASON.success;
  link.endReason = reason;
  link.finish();
  link.detach(will);
  return true;
}

export function secondConnect(): boolean {
  throw protocolError('packet type', 0, 'a second CONNECT'); // [MQTT-3.1.0-2]
}
