/** PUBACK, PUBREC, PUBREL and PUBCOMP from a client (4.3). */
import {
  decodeAck,
  encodeAck,
  NO_PROPERTIES,
  type PacketReader,
  PUBCOMP,
  PUBREL,
  REASON,
} from '../codec/index.ts';
import type { Link } from '../connection.ts';

export function puback(link: Link, reader: PacketReader): boolean {
  const { packetId } = decodeAck(reader, link.version);
  link.session!.outbound?.acknowledged(packetId);
  link.lanes?.finished(packetId);
  link.progressed = true;
  return true;
}

export function pubrec(link: Link, reader: PacketReader): boolean {
  const { packetId, reason } = decodeAck(reader, link.version);
  const known = link.session!.outbound?.received(packetId, reason) ?? false;
  link.progressed = true;
  if (reason >= 0x80) link.lanes?.finished(packetId);
  if (!known && reason < 0x80) {
    // The client has it: let it forget the identifier.
    const packet = { packetId, reason: REASON.packetIdNotFound, properties: NO_PROPERTIES };
    link.answers.append(encodeAck(PUBREL, packet, link.version));
  }
  return true;
}

/**
 * PUBCOMP follows the commit of "this identifier is free": a new message may use it next (M74).
 */
export function pubrel(link: Link, reader: PacketReader): boolean {
  const { packetId } = decodeAck(reader, link.version);
  const session = link.session!;
  if (!session.receivedEnd(packetId)) {
    const packet = { packetId, reason: REASON.packetIdNotFound, properties: NO_PROPERTIES };
    link.answers.append(encodeAck(PUBCOMP, packet, link.version));
    return true;
  }
  if (!session.durable) {
    link.answers.ack(PUBCOMP << 4, packetId);
    return true;
  }
  const { answers } = link;
  session.store.committed((error) => {
    if (error === null && link.session === session) answers.ack(PUBCOMP << 4, packetId);
  });
  return true;
}

export function pubcomp(link: Link, reader: PacketReader): boolean {
  const { packetId } = decodeAck(reader, link.version);
  link.session!.outbound?.completed(packetId);
  link.lanes?.finished(packetId);
  link.progressed = true;
  return true;
}
