/**
 * codec: bytes to packets and back, for MQTT 3.1, 3.1.1 and 5.0. Three layers: `framer` cuts the
 * stream into packets, one decode and one encode function per packet, and tables for what the
 * specification gives as tables. No I/O, no clock, no session.
 */
export { type AckPacket, decodeAck, encodeAck } from './ack.ts';
export {
  type ConnackPacket,
  type ConnectPacket,
  decodeConnack,
  decodeConnect,
  encodeConnack,
  encodeConnect,
  type WillPacket,
} from './connect.ts';
export {
  decodeAuth,
  decodeDisconnect,
  encodeAuth,
  encodeDisconnect,
  PINGREQ_BYTES,
  PINGRESP_BYTES,
} from './disconnect.ts';
export { Framer } from './framer.ts';
export { checkHeader } from './header.ts';
export * from './packet-types.ts';
export {
  fillProperties,
  NO_PROPERTIES,
  PROPERTY_ROWS,
  type Properties,
  readProperties,
  type UserProperty,
  WILL,
  writeProperties,
} from './properties.ts';
export {
  checkFromClient,
  decodePublish,
  type EncodedPublish,
  encodePublishFilled,
  INLINE_BYTES_MAX,
  NO_PAYLOAD,
  PassingPublish,
  PublishPacket,
} from './publish.ts';
export { malformed, PacketReader, protocolError } from './reader.ts';
export { REASON, reasonSentence } from './reason-codes.ts';
export {
  decodeCodes,
  decodeSubscribe,
  decodeUnsubscribe,
  encodeSuback,
  encodeSubscribe,
  encodeUnsuback,
  encodeUnsubscribe,
  type FilterRequest,
} from './subscribe.ts';
export type { Version } from './version.ts';
export {
  PacketWriter,
  properties as propertyScratch,
} from './writer.ts';
