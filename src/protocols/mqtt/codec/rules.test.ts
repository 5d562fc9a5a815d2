import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProtocolError } from '#kit';
import { decodeAll, publishOf, reasonOfDecoding } from './codec.fixture.ts';
import {
  AUTH,
  checkFromClient,
  checkHeader,
  decodePublish,
  Framer,
  PACKET_TYPES,
  PacketReader,
  PROPERTY_ROWS,
  type Properties,
  PUBLISH,
  PublishPacket,
  readProperties,
  WILL,
  writeProperties,
} from './index.ts';
import { PacketWriter } from './writer.ts';

test('remaining lengths up to 268435455; a fifth length byte is malformed [MQTT-1.5.5-1] M4', () => {
  const framer = new Framer();
  const reader = new PacketReader();
  framer.push(Buffer.from('30ffffff7f', 'hex'));
  assert.equal(framer.next(reader, 1 << 29), false);
  assert.equal(reasonOfDecoding('30 ffffffff 01'), 0x81);
  assert.equal(reasonOfDecoding('82 0f 000a 06 0b ffffffff7f 0003 612f23 2d'), 0x81);
});

test('a longer form than needed is malformed in 5.0 and accepted in 3.x M4', () => {
  const framer = new Framer();
  const reader = new PacketReader();
  framer.push(Buffer.from('c08000', 'hex'));
  assert.equal(framer.next(reader, 100), true);
  checkHeader(reader, 4);
  assert.throws(() => checkHeader(reader, 5), { wireCode: 0x81 });
  assert.equal(reasonOfDecoding('82 0a 000a 03 0b 8100 0001 61 00'), 0x81);
});

test('a frame over the limit is refused before its body comes M15', () => {
  const framer = new Framer();
  const reader = new PacketReader();
  framer.push(Buffer.from('308008', 'hex'));
  assert.throws(() => framer.next(reader, 1026), { wireCode: 0x95 });
  assert.equal(framer.next(reader, 1027), false);
});

test('announcing a large packet takes no memory before it comes', () => {
  const framer = new Framer();
  const reader = new PacketReader();
  framer.push(Buffer.from('30ffffff07', 'hex'));
  assert.equal(framer.next(reader, 1 << 28), false);
  const before = process.memoryUsage().arrayBuffers;
  for (let count = 0; count < 100; count++) framer.push(Buffer.of(1));
  assert.ok(process.memoryUsage().arrayBuffers - before < 100_000);
});

test('a packet of one byte per chunk is put together once, and what was read before stays intact', () => {
  const payload = Buffer.alloc(70_000, 1).map((_, index) => index % 251);
  const bytes = publishOf(4, 0, Buffer.from(payload));
  const framer = new Framer();
  const reader = new PacketReader();
  const packet = new PublishPacket();
  const seen: Buffer[] = [];
  for (const part of [bytes, bytes]) {
    for (let at = 0; at < part.length; at += 7) {
      framer.push(part.subarray(at, at + 7));
      while (framer.next(reader, 1 << 20)) {
        decodePublish(reader, 4, packet);
        seen.push(packet.payload);
        framer.consume();
      }
    }
  }
  assert.equal(seen.length, 2);
  for (const each of seen) assert.ok(each.equals(Buffer.from(payload)));
});

test('reserved flags are malformed, in every packet type [MQTT-2.1.3-1] M5 M6', () => {
  for (let header = 0; header < 256; header++) {
    const reader = new PacketReader();
    reader.header = header;
    const row = PACKET_TYPES[header >> 4];
    const legal = row?.flags === null || (row !== undefined && row.flags === (header & 15));
    for (const version of [4, 5] as const) {
      if (legal && row!.fromClient && row!.since <= version) checkHeader(reader, version);
      else assert.throws(() => checkHeader(reader, version), ProtocolError, `${header}`);
    }
  }
});

test('each property is accepted in its packets and refused in all others M9', () => {
  const sample: Readonly<Record<string, string>> = {
    flag: '01',
    u16: '0001',
    u32: '00000001',
    varint: '01',
    text: '000161',
    binary: '000161',
    pair: '000161000162',
  };
  const allowed: Readonly<Record<number, readonly number[]>> = {
    1: [0, 3],
    2: [0, 3],
    3: [0, 3],
    8: [0, 3],
    9: [0, 3],
    11: [3, 8],
    17: [1, 2, 14],
    18: [2],
    19: [2],
    21: [1, 2, 15],
    22: [1, 2, 15],
    23: [1],
    24: [0],
    25: [1],
    26: [2],
    28: [2, 14],
    31: [2, 4, 5, 6, 7, 9, 11, 14, 15],
    33: [1, 2],
    34: [1, 2],
    35: [3],
    36: [2],
    37: [2],
    38: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 15],
    39: [1, 2],
    40: [2],
    41: [2],
    42: [2],
  };
  assert.equal(PROPERTY_ROWS.length, 27);
  for (const row of PROPERTY_ROWS) {
    const one = row.id.toString(16).padStart(2, '0') + sample[row.type];
    for (let packet = WILL; packet <= AUTH; packet++) {
      const read = (hex: string): Properties => {
        const reader = new PacketReader();
        const size = (hex.length / 2).toString(16).padStart(2, '0');
        reader.bytes = Buffer.from(size + hex, 'hex');
        reader.end = reader.bytes.length;
        return readProperties(reader, packet);
      };
      if (!allowed[row.id]!.includes(packet)) {
        assert.throws(() => read(one), { wireCode: 0x81 }, `${row.title} in ${packet}`);
        continue;
      }
      const value = read(one);
      assert.notEqual(value[row.name], undefined);
      const twice = row.type === 'pair' || (row.name === 'subscriptionIds' && packet === PUBLISH);
      if (twice) assert.equal((read(one + one)[row.name] as unknown[]).length, 2);
      else assert.throws(() => read(one + one), { wireCode: 0x82 });
      const writer = new PacketWriter();
      writeProperties(writer, value);
      assert.equal(writer.bytes.toString('hex', 1, writer.at), one);
    }
  }
});

test('an unknown property is malformed; values out of range are protocol errors M9 M69 M110', () => {
  assert.equal(reasonOfDecoding('30 06 0001 61 02 7f 00'), 0x81);
  assert.equal(reasonOfDecoding('30 06 0001 61 02 01 02'), 0x82);
  assert.equal(reasonOfDecoding('30 07 0001 61 03 23 0000'), 0x94);
  assert.equal(reasonOfDecoding('82 09 000a 02 0b 00 0001 61 00'), 0x82);
  assert.equal(reasonOfDecoding('10 12 0004 4d515454 05 02 003c 03 21 0000 0002 6331'), 0x82);
  assert.equal(reasonOfDecoding('10 14 0004 4d515454 05 02 003c 05 27 00000000 0002 6331'), 0x82);
});

test('ill-formed UTF-8, surrogates and U+0000 are malformed; U+FEFF stays [MQTT-1.5.4-1..3] M1 M2 M3', () => {
  const subscribe = (text: string): string => {
    const size = (n: number, digits: number): string => n.toString(16).padStart(digits, '0');
    const bytes = text.length / 2;
    return `82${size(bytes + 6, 2)}000a00${size(bytes, 4)}${text}00`;
  };
  const bad = ['ff', 'c080', 'eda080', 'edbfbf', 'f4908080', 'e282', '6100', '80'];
  for (const text of bad) assert.equal(reasonOfDecoding(subscribe(text)), 0x81, text);
  const [packet] = decodeAll([Buffer.from(subscribe('efbbbf61'), 'hex')], 5) as [
    { filters: { filter: string }[] },
  ];
  assert.equal(packet.filters[0]!.filter, '\ufeffa');
});

test('packet identifier 0 is a protocol error; QoS 0 has none [MQTT-2.2.1-2] [MQTT-2.2.1-3] M11', () => {
  assert.equal(reasonOfDecoding('32 06 0001 61 0000 00'), 0x82);
  assert.equal(reasonOfDecoding('82 07 0000 00 0001 61 00'), 0x82);
  assert.equal(reasonOfDecoding('a2 06 0000 00 0001 61'), 0x82);
  assert.equal(reasonOfDecoding('40 02 0000'), 0x82);
});

test('QoS 3 is malformed in PUBLISH, SUBSCRIBE and the will [MQTT-3.3.1-4] M32 M60 M102', () => {
  assert.equal(reasonOfDecoding('36 06 0001 61 0001 00'), 0x81);
  assert.equal(reasonOfDecoding('82 07 000a 00 0001 61 03'), 0x81);
  assert.equal(reasonOfDecoding('82 07 000a 00 0001 61 30'), 0x81);
  assert.equal(reasonOfDecoding('82 07 000a 00 0001 61 40'), 0x81);
  assert.equal(reasonOfDecoding('82 06 000a 0001 61 04', 4), 0x81);
  assert.equal(
    reasonOfDecoding('10 16 0004 4d515454 04 1e 003c 0002 6331 0001 77 0003 627965'),
    0x81,
  );
});

test('CONNECT flags that contradict each other are malformed [MQTT-3.1.2-3] [MQTT-3.1.2-11] M26 M32 M39', () => {
  const connect = (flags: string, level = '04'): string =>
    level === '05'
      ? `10 0f 0004 4d515454 05 ${flags} 003c 00 0002 6331`
      : `10 0e 0004 4d515454 ${level} ${flags} 003c 0002 6331`;
  for (const flags of ['03', '22', '0a', '12', '1a', '42']) {
    assert.equal(reasonOfDecoding(connect(flags)), 0x81, flags);
  }
  assert.equal(reasonOfDecoding(connect('42', '05')), 0x81); // the password itself is missing
  assert.equal(reasonOfDecoding('10 12 0004 4d515454 05 42 003c 00 0002 6331 0001 70'), 0);
});

test('other protocol names and levels get 0x84 [MQTT-3.1.2-1] [MQTT-3.1.2-2] M23', () => {
  assert.equal(reasonOfDecoding('10 0e 0004 4d515454 06 02 003c 0002 6331'), 0x84);
  assert.equal(reasonOfDecoding('10 0e 0004 4d515454 03 02 003c 0002 6331'), 0x84);
  assert.equal(reasonOfDecoding('10 0e 0004 6d717474 04 02 003c 0002 6331'), 0x84);
  assert.equal(reasonOfDecoding('10 0e 0004 4d515454 85 02 003c 0002 6331'), 0x84);
});

test('SUBSCRIBE and UNSUBSCRIBE need a filter, of at least one character M100 M101', () => {
  assert.equal(reasonOfDecoding('82 03 000a 00'), 0x82);
  assert.equal(reasonOfDecoding('a2 03 000a 00'), 0x82);
  assert.equal(reasonOfDecoding('82 06 000a 00 0000 00'), 0x82);
  assert.equal(reasonOfDecoding('82 02 000a', 4), 0x82);
});

test('a subscription identifier in a message of a client is a protocol error [MQTT-3.3.4-6] M86', () => {
  const packet = new PublishPacket();
  packet.properties = { subscriptionIds: [1] };
  assert.throws(() => checkFromClient(packet), { wireCode: 0x82 });
});

test('reason codes that a packet does not know are malformed [MQTT-3.15.2-1] M144', () => {
  assert.equal(reasonOfDecoding('40 03 0001 01'), 0x81);
  assert.equal(reasonOfDecoding('62 03 0001 80'), 0x81);
  assert.equal(reasonOfDecoding('f0 01 01'), 0x81);
  assert.equal(reasonOfDecoding('e0 01 8e'), 0x81);
});

test('bytes behind the last field are malformed', () => {
  assert.equal(reasonOfDecoding('40 03 0001 00', 4), 0x81);
  assert.equal(reasonOfDecoding('10 0f 0004 4d515454 04 02 003c 0002 6331 00'), 0x81);
  assert.equal(reasonOfDecoding('e0 01 00', 4), 0x81);
});

test('an error of a decoder names the field and the byte', () => {
  assert.throws(() => decodeAll([Buffer.from('8207000a000001ff00', 'hex')], 5), {
    field: 'topic filter',
    code: 'malformed',
  });
});
