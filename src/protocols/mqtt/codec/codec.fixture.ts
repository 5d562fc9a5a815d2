/** Packets as objects and as bytes, and the helpers that this codec's tests share. */
import { ProtocolError } from '#kit';
import {
  type AckPacket,
  AUTH,
  CONNACK,
  CONNECT,
  type ConnectPacket,
  DISCONNECT,
  decodeAck,
  decodeAuth,
  decodeCodes,
  decodeConnack,
  decodeConnect,
  decodeDisconnect,
  decodePublish,
  decodeSubscribe,
  decodeUnsubscribe,
  encodeAck,
  encodeAuth,
  encodeConnack,
  encodeConnect,
  encodeDisconnect,
  encodePublishFilled,
  encodeSuback,
  encodeSubscribe,
  encodeUnsuback,
  encodeUnsubscribe,
  Framer,
  fillProperties,
  NO_PROPERTIES,
  PACKET_TYPES,
  PacketReader,
  PINGREQ,
  PINGREQ_BYTES,
  PINGRESP,
  type Properties,
  PUBACK,
  PUBCOMP,
  PUBLISH,
  PUBREC,
  PUBREL,
  PublishPacket,
  propertyScratch,
  REASON,
  SUBACK,
  SUBSCRIBE,
  UNSUBACK,
  UNSUBSCRIBE,
  type Version,
} from './index.ts';

export interface Fixture {
  readonly name: string;
  readonly version: Version;
  readonly hex: string;
  /** The packet as an object, and its bytes from that object. */
  readonly value: unknown;
  readonly encode: () => Buffer;
}

const hello: ConnectPacket = {
  version: 4,
  bridge: false,
  clean: true,
  keepAliveSec: 60,
  clientId: 'c1',
  properties: NO_PROPERTIES,
  will: null,
  user: null,
  password: null,
};

const will: ConnectPacket = {
  ...hello,
  version: 5,
  properties: { sessionExpirySec: 10, receiveMaximum: 20 },
  will: {
    topic: 'w',
    payload: Buffer.from('bye'),
    qos: 1,
    retain: true,
    properties: {
      willDelaySec: 5,
      userProperties: [
        ['a', 'b'],
        ['a', 'c'],
      ],
    },
  },
  user: 'u',
  password: Buffer.from('p'),
};

const ack: AckPacket = { packetId: 0x1234, reason: 0, properties: NO_PROPERTIES };
const options = { noLocal: true, retainAsPublished: true, retainHandling: 2 } as const;
const subscribe5 = {
  packetId: 10,
  properties: { subscriptionIds: [268_435_455] },
  filters: [{ filter: 'a/#', qos: 1, ...options } as const],
};
const plain = { noLocal: false, retainAsPublished: false, retainHandling: 0 } as const;
const subscribe4 = {
  packetId: 10,
  properties: NO_PROPERTIES,
  filters: [{ filter: 'a', qos: 0, ...plain } as const, { filter: '+', qos: 2, ...plain } as const],
};

export function publishOf(
  version: Version,
  qos: 0 | 1 | 2,
  payload: Buffer,
  properties: Properties = NO_PROPERTIES,
): Buffer {
  propertyScratch.reset();
  if (version === 5) fillProperties(propertyScratch, properties);
  const fields = { topic: 'a/b', payload, qos, retain: true, dup: false, packetId: 7 };
  const { head, payload: rest } = encodePublishFilled(fields, version);
  return Buffer.concat([head, rest]);
}

const published = (qos: number, properties: Properties): object => ({
  ...{ topic: 'a/b', payload: 'hi', qos, retain: true, dup: false },
  packetId: qos === 0 ? 0 : 7,
  properties,
});

export const FIXTURES: readonly Fixture[] = [
  {
    name: 'CONNECT 3.1',
    version: 3,
    hex: '10 10 0006 4d5149736470 03 02 003c 0002 6331',
    value: { ...hello, version: 3 },
    encode: () => encodeConnect({ ...hello, version: 3 }),
  },
  {
    name: 'CONNECT 3.1.1',
    version: 4,
    hex: '10 0e 0004 4d515454 04 02 003c 0002 6331',
    value: hello,
    encode: () => encodeConnect(hello),
  },
  {
    name: 'CONNECT 3.1.1 of a bridge',
    version: 4,
    hex: '10 0e 0004 4d515454 84 02 003c 0002 6331',
    value: { ...hello, bridge: true },
    encode: () => encodeConnect({ ...hello, bridge: true }),
  },
  {
    name: 'CONNECT 5 with everything',
    version: 5,
    hex:
      '10 39 0004 4d515454 05 ee 003c 08 11 0000000a 21 0014 0002 6331 ' +
      '13 18 00000005 26 0001 61 0001 62 26 0001 61 0001 63 0001 77 0003 627965 0001 75 0001 70',
    value: will,
    encode: () => encodeConnect(will),
  },
  {
    name: 'CONNACK 3.1.1',
    version: 4,
    hex: '20 02 01 00',
    value: { sessionPresent: true, reason: 0, properties: NO_PROPERTIES },
    encode: () => encodeConnack({ sessionPresent: true, reason: 0, properties: NO_PROPERTIES }, 4),
  },
  {
    name: 'CONNACK 5',
    version: 5,
    hex: '20 06 00 87 03 22 0040',
    value: { sessionPresent: false, reason: 0x87, properties: { topicAliasMaximum: 64 } },
    encode: () =>
      encodeConnack(
        { sessionPresent: true, reason: 0x87, properties: { topicAliasMaximum: 64 } },
        5,
      ),
  },
  {
    name: 'PUBLISH QoS 0 of 3.1.1',
    version: 4,
    hex: '31 07 0003 612f62 6869',
    value: published(0, NO_PROPERTIES),
    encode: () => publishOf(4, 0, Buffer.from('hi')),
  },
  {
    name: 'PUBLISH QoS 1 of 5 without properties [MQTT-2.2.2-1] M8',
    version: 5,
    hex: '33 0a 0003 612f62 0007 00 6869',
    value: published(1, NO_PROPERTIES),
    encode: () => publishOf(5, 1, Buffer.from('hi')),
  },
  {
    name: 'PUBLISH QoS 2 of 5 with properties',
    version: 5,
    hex: '35 19 0003 612f62 0007 0f 02 0000003c 0b 01 0b ffffff7f 23 0005 6869',
    value: published(2, {
      messageExpirySec: 60,
      subscriptionIds: [1, 268_435_455],
      topicAlias: 5,
    }),
    encode: () =>
      publishOf(5, 2, Buffer.from('hi'), {
        messageExpirySec: 60,
        subscriptionIds: [1, 268_435_455],
        topicAlias: 5,
      }),
  },
  ...(
    [
      [PUBACK, '40'],
      [PUBREC, '50'],
      [PUBREL, '62'],
      [PUBCOMP, '70'],
    ] as const
  ).map(
    ([type, first]): Fixture => ({
      name: `${PACKET_TYPES[type]!.name}`,
      version: 5,
      hex: `${first} 02 1234`,
      value: ack,
      encode: () => encodeAck(type, ack, 5),
    }),
  ),
  {
    name: 'PUBACK with a reason',
    version: 5,
    hex: '40 03 1234 87',
    value: { ...ack, reason: 0x87 },
    encode: () => encodeAck(PUBACK, { ...ack, reason: 0x87 }, 5),
  },
  {
    name: 'SUBSCRIBE 3.1.1',
    version: 4,
    hex: '82 0a 000a 0001 61 00 0001 2b 02',
    value: subscribe4,
    encode: () => encodeSubscribe(subscribe4, 4),
  },
  {
    name: 'SUBSCRIBE 5',
    version: 5,
    hex: '82 0e 000a 05 0b ffffff7f 0003 612f23 2d',
    value: subscribe5,
    encode: () => encodeSubscribe(subscribe5, 5),
  },
  {
    name: 'SUBACK 5',
    version: 5,
    hex: '90 05 000a 00 01 8f',
    value: { packetId: 10, properties: NO_PROPERTIES, codes: [1, 0x8f] },
    encode: () => encodeSuback({ packetId: 10, properties: NO_PROPERTIES, codes: [1, 0x8f] }, 5),
  },
  {
    name: 'UNSUBSCRIBE 3.1.1',
    version: 4,
    hex: 'a2 05 000a 0001 61',
    value: { packetId: 10, properties: NO_PROPERTIES, filters: ['a'] },
    encode: () => encodeUnsubscribe({ packetId: 10, properties: NO_PROPERTIES, filters: ['a'] }, 4),
  },
  {
    name: 'UNSUBACK 5',
    version: 5,
    hex: 'b0 04 000a 00 11',
    value: { packetId: 10, properties: NO_PROPERTIES, codes: [0x11] },
    encode: () => encodeUnsuback({ packetId: 10, properties: NO_PROPERTIES, codes: [0x11] }, 5),
  },
  {
    name: 'UNSUBACK 3.1.1 has no codes',
    version: 4,
    hex: 'b0 02 000a',
    value: { packetId: 10, properties: NO_PROPERTIES, codes: [] },
    encode: () => encodeUnsuback({ packetId: 10, properties: NO_PROPERTIES, codes: [0] }, 4),
  },
  {
    name: 'PINGREQ',
    version: 4,
    hex: 'c0 00',
    value: {},
    encode: () => PINGREQ_BYTES,
  },
  {
    name: 'DISCONNECT',
    version: 5,
    hex: 'e0 07 04 05 11 00000000',
    value: { reason: 4, properties: { sessionExpirySec: 0 } },
    encode: () => encodeDisconnect({ reason: 4, properties: { sessionExpirySec: 0 } }, 5),
  },
  {
    name: 'AUTH',
    version: 5,
    hex: 'f0 06 18 04 15 0001 78',
    value: { reason: 0x18, properties: { authenticationMethod: 'x' } },
    encode: () => encodeAuth({ reason: 0x18, properties: { authenticationMethod: 'x' } }),
  },
];

export const bytesOf = (fixture: Fixture): Buffer =>
  Buffer.from(fixture.hex.replaceAll(' ', ''), 'hex');

export function decodeFrame(reader: PacketReader, version: Version): unknown {
  switch (reader.type) {
    case CONNECT:
      return decodeConnect(reader);
    case CONNACK:
      return decodeConnack(reader, version);
    case PUBLISH: {
      const packet = new PublishPacket();
      decodePublish(reader, version, packet);
      const { qos, retain, dup, packetId, properties } = packet;
      const [topic, payload] = [packet.topic.toString(), packet.payload.toString()];
      return { topic, payload, qos, retain, dup, packetId, properties };
    }
    case PUBACK:
    case PUBREC:
    case PUBREL:
    case PUBCOMP:
      return decodeAck(reader, version);
    case SUBSCRIBE:
      return decodeSubscribe(reader, version);
    case UNSUBSCRIBE:
      return decodeUnsubscribe(reader, version);
    case SUBACK:
    case UNSUBACK:
      return decodeCodes(reader, version);
    case DISCONNECT:
      return decodeDisconnect(reader, version);
    case AUTH:
      return decodeAuth(reader);
    case PINGREQ:
    case PINGRESP:
      reader.finish();
      return {};
    default:
      throw new ProtocolError('packet type', 0, 'unknown', REASON.malformedPacket);
  }
}

export function decodeAll(
  chunks: readonly Buffer[],
  version: Version,
  packetBytesMax = 1 << 20,
): unknown[] {
  const framer = new Framer();
  const reader = new PacketReader();
  const packets: unknown[] = [];
  for (const chunk of chunks) {
    framer.push(chunk);
    while (framer.next(reader, packetBytesMax)) {
      packets.push(decodeFrame(reader, version));
      framer.consume();
    }
  }
  return packets;
}

export function reasonOfDecoding(hex: string, version: Version = 5): number | undefined {
  try {
    decodeAll([Buffer.from(hex.replaceAll(' ', ''), 'hex')], version);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return error.wireCode;
  }
  return 0;
}
