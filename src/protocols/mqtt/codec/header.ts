/** Checks of the first byte that hold for every packet: type and flags (section 2.1). */
import { PACKET_TYPES, PUBLISH } from './packet-types.ts';
import { malformed, type PacketReader, protocolError } from './reader.ts';
import type { Version } from './version.ts';

/** Throws when the first byte is not one that a client of this version may send. */
export function checkHeader(reader: PacketReader, version: Version): void {
  const { type } = reader;
  if (type === PUBLISH && !reader.padded) return;
  const row = PACKET_TYPES[type];
  if (row === undefined || row.since > version) throw malformed('packet type', 0, `${type}`);
  // MQTT 3.1 lets PUBREL, SUBSCRIBE and UNSUBSCRIBE be sent again with DUP set.
  const ignored = version === 3 && row.flags === 2 ? 8 : 0;
  if (row.flags !== null && (reader.header & 15 & ~ignored) !== row.flags) {
    throw malformed('flags', 0, `${reader.header & 15} in ${row.name}`); // [MQTT-2.1.3-1]
  }
  // 3.x does not forbid a longer form of the remaining length, 5.0 does [MQTT-1.5.5-1].
  if (reader.padded && version === 5) {
    throw malformed('remaining length', 1, 'is not in its shortest form');
  }
  if (!row.fromClient) throw protocolError('packet type', 0, `${row.name} sent by a client`);
}
