import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { decodeFrame } from './codec.fixture.ts';
import { checkHeader, Framer, PacketReader, packetName, type Version } from './index.ts';

const GOLDEN = path.resolve(import.meta.dirname, '../../../../test/golden/mqtt');
const VERSIONS: Readonly<Record<string, Version>> = { '3.1': 3, '3.1.1': 4, '5': 5 };

interface Seen {
  readonly type: string;
  readonly packet: Record<string, unknown>;
}

function decode(chunks: readonly Buffer[], version: Version): Seen[] {
  const framer = new Framer();
  const reader = new PacketReader();
  const seen: Seen[] = [];
  for (const chunk of chunks) {
    framer.push(chunk);
    while (framer.next(reader, 1 << 20)) {
      checkHeader(reader, version);
      const packet = decodeFrame(reader, version) as Record<string, unknown>;
      seen.push({ type: packetName(reader.type), packet });
      framer.consume();
    }
  }
  return seen;
}

const files = readdirSync(GOLDEN).filter((file) => file.endsWith('.hex'));

test('there is something to compare with', () => assert.equal(files.length, 12));

for (const file of files) {
  const [program, level] = path.basename(file, '.hex').split(/-(?=\d)/) as [string, string];
  const version = VERSIONS[level]!;
  const bytes = Buffer.from(
    readFileSync(path.join(GOLDEN, file), 'utf8').replaceAll('\n', ''),
    'hex',
  );

  test(`what ${program} sends with MQTT ${level} is read, at every split M7`, () => {
    const [hello, ...rest] = decode([bytes], version);
    assert.equal(hello!.type, 'CONNECT');
    assert.equal(hello!.packet['version'], version);
    assert.equal(hello!.packet['clientId'], 'golden');
    const types = rest.map(({ type }) => type);
    if (program === 'mosquitto_sub') {
      assert.equal(types[0], 'SUBSCRIBE');
      const [filter] = rest[0]!.packet['filters'] as { filter: string; qos: number }[];
      assert.deepEqual([filter!.filter, filter!.qos], ['a/+/#', 1]);
    } else {
      assert.deepEqual(types, ['PUBLISH', 'DISCONNECT']);
      const { topic, payload, qos } = rest[0]!.packet;
      assert.deepEqual([topic, payload, qos], ['gq1', 'hello', 1]);
      const { user, password, will } = hello!.packet;
      assert.deepEqual([user, String(password)], ['u', 'p']);
      assert.equal((will as { topic: string }).topic, 'w');
    }
    const whole = decode([bytes], version);
    for (let at = 1; at < bytes.length; at++) {
      assert.deepEqual(decode([bytes.subarray(0, at), bytes.subarray(at)], version), whole);
    }
  });
}

test('properties that clients send are understood M10', () => {
  const bytes = Buffer.from(
    readFileSync(path.join(GOLDEN, 'mqttjs-5.hex'), 'utf8').replaceAll('\n', ''),
    'hex',
  );
  const [hello, message] = decode([bytes], 5);
  assert.deepEqual(hello!.packet['properties'], {
    receiveMaximum: 10,
    userProperties: [
      ['a', 'b'],
      ['a', 'c'],
    ],
  });
  assert.deepEqual(message!.packet['properties'], {
    messageExpirySec: 9,
    correlationData: Buffer.from('x'),
  });
});
