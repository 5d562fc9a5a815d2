/** How a client of each protocol opens a connection, sent to ports where it does not belong. */

const u32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
};

/** MQTT 3.1.1 CONNECT with client id `x`. */
export const MQTT_CONNECT = Buffer.from([
  0x10, 0x0d, 0x00, 0x04, 0x4d, 0x51, 0x54, 0x54, 0x04, 0x02, 0x00, 0x3c, 0x00, 0x01, 0x78,
]);

/** The start of a TLS 1.2 ClientHello record of 512 bytes. */
const TLS_HELLO = Buffer.concat([
  Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]),
  Buffer.alloc(506, 0x5a),
]);

/** Kafka ApiVersions version 0, correlation id 7, client id `x`. */
const KAFKA_API_VERSIONS = Buffer.concat([
  u32(11),
  Buffer.from([0x00, 0x12, 0x00, 0x00, 0x00, 0x00, 0x00, 0x07, 0x00, 0x01, 0x78]),
]);

export const OPENINGS: Readonly<Record<string, Buffer>> = {
  HTTP: Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n'),
  TLS: TLS_HELLO,
  MQTT: MQTT_CONNECT,
  Kafka: KAFKA_API_VERSIONS,
  NATS: Buffer.from('CONNECT {"verbose":false,"headers":true}\r\nPING\r\n'),
  AMQP: Buffer.from('AMQP\x00\x00\x09\x01', 'latin1'),
  SSH: Buffer.from('SSH-2.0-OpenSSH_9.2\r\n'),
};

/** Announcements of far more bytes than any server should take, after a valid opening if needed. */
export const OVERSIZED: readonly {
  readonly listener: 'mqtt' | 'kafka' | 'nats' | 'amqp';
  readonly what: string;
  readonly bytes: Buffer;
}[] = [
  {
    listener: 'mqtt',
    what: 'an MQTT PUBLISH of 256 MiB [MQTT-3.1.2-24] M15',
    bytes: Buffer.concat([
      MQTT_CONNECT,
      Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f, 0x00, 0x01, 0x61]),
    ]),
  },
  {
    listener: 'mqtt',
    what: 'an MQTT CONNECT of 256 MiB M15',
    bytes: Buffer.from([0x10, 0xff, 0xff, 0xff, 0x7f, 0x00, 0x04, 0x4d, 0x51, 0x54, 0x54]),
  },
  {
    listener: 'mqtt',
    what: 'an MQTT length of five bytes [MQTT-1.5.5-1] M4',
    bytes: Buffer.from([0x10, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x00]),
  },
  { listener: 'kafka', what: 'a Kafka request of 2 GiB K8', bytes: u32(0x7fffffff) },
  { listener: 'kafka', what: 'a Kafka request of negative size K8', bytes: u32(0xffffffff) },
  {
    listener: 'kafka',
    what: 'a Kafka request with an array of 2 billion elements K8',
    bytes: Buffer.concat([
      u32(15),
      Buffer.from([0x00, 0x03, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x00, 0x01, 0x78]),
      u32(0x7fffffff),
    ]),
  },
  {
    listener: 'nats',
    what: 'a NATS PUB of 2 GB N11',
    bytes: Buffer.from('CONNECT {}\r\nPUB big 2000000000\r\n'),
  },
  {
    listener: 'nats',
    what: 'a NATS line without an end N12',
    bytes: Buffer.concat([Buffer.from('CONNECT {}\r\nSUB '), Buffer.alloc(1024 * 1024, 0x61)]),
  },
  {
    listener: 'amqp',
    what: 'an AMQP frame of 2 GiB A2',
    bytes: Buffer.concat([
      Buffer.from('AMQP\x00\x00\x09\x01', 'latin1'),
      Buffer.from([1, 0, 0]),
      u32(0x7fffffff),
    ]),
  },
];
