import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { Bench, publishBytes } from './client.fixture.ts';

describe('MQTT: connection', () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = await Bench.open();
  });
  afterEach(() => bench.close());

  const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex');
  const PING = bytes('c000');

  test('all three versions connect; CONNACK is the first packet and comes once [MQTT-3.2.0-1] M23 M46', async () => {
    for (const version of [3, 4, 5] as const) {
      const client = bench.client();
      client.connect(`v${version}`, { version });
      const connack = await client.expect('CONNACK');
      assert.deepEqual([connack.reason, connack.sessionPresent], [0, false]);
      client.send(PING);
      await client.expect('PINGRESP');
      assert.deepEqual(await client.quiet(), []);
    }
  });

  test('CONNACK of 5.0 tells limits that exist and no others M49', async () => {
    const client = bench.client();
    client.connect('c');
    assert.deepEqual((await client.expect('CONNACK')).properties, {
      maximumPacketSize: 16 << 20,
      topicAliasMaximum: 64,
    });
  });

  test('a first packet that is not CONNECT closes without an answer [MQTT-3.1.0-1] M20', async () => {
    for (const first of ['c000', '00', '11', '474554202f20485454502f312e310d0a', '300500016161']) {
      const client = bench.client();
      client.send(bytes(first));
      await client.closed();
      assert.deepEqual(await client.quiet(), []);
    }
  });

  test('a second CONNECT closes with 0x82 [MQTT-3.1.0-2] M21', async () => {
    const client = await bench.connect('c');
    client.connect('c');
    assert.equal((await client.expect('DISCONNECT')).reason, 0x82);
    await client.closed();
  });

  test('who sends no CONNECT is closed after the connect timeout M22', async () => {
    const client = bench.client();
    bench.pass(9000);
    client.send(bytes('10'));
    assert.equal(client.wire.isClosed, false);
    bench.pass(1500);
    await client.closed();
  });

  test('levels that are not served get 0x84, or 1 in the form of 3.x [MQTT-3.1.2-2] M23', async () => {
    const six = bench.client();
    six.send(bytes('10 0e 0004 4d515454 06 02 003c 0002 6331'));
    assert.equal((await six.expect('CONNACK')).reason, 0x84);
    await six.closed();
    const two = bench.client();
    two.version = 4;
    two.send(bytes('10 0e 0004 4d515454 02 02 003c 0002 6331'));
    assert.equal((await two.expect('CONNACK')).reason, 1);
    await two.closed();
  });

  test('a CONNECT with its reserved flag set is refused with 0x81 in 5.0 and closed in 3.1.1 [MQTT-3.1.2-3] M14 M26', async () => {
    const five = bench.client();
    five.send(bytes('10 0f 0004 4d515454 05 03 003c 00 0002 6331'));
    assert.equal((await five.expect('CONNACK')).reason, 0x81);
    await five.closed();
    const four = bench.client();
    four.send(bytes('10 0e 0004 4d515454 04 03 003c 0002 6331'));
    await four.closed();
    assert.deepEqual(await four.quiet(), []);
  });

  test('packets sent behind CONNECT are handled after CONNACK [MQTT-3.1.4-5] M45', async () => {
    const client = bench.client();
    client.connect('c', { user: 'admin', password: Buffer.from('robustmq') });
    client.publish({ topic: 'a', qos: 1, packetId: 4 });
    client.send(PING);
    await client.expect('CONNACK');
    const rest = (await client.quiet()).map((each) => each.type).sort();
    assert.deepEqual(rest, ['PINGRESP', 'PUBACK']);
  });

  test('wrong passwords are refused, and nothing behind them is handled [MQTT-3.1.4-6] M44 M48 M56', async () => {
    const durable = { clean: false, properties: { sessionExpirySec: 100 } };
    const owner = await bench.connect('c', durable);
    for (const [version, reason] of [
      [5, 0x86],
      [4, 4],
    ] as const) {
      const thief = bench.client();
      thief.connect('c', { version, user: 'admin', password: Buffer.from('wrong') });
      thief.publish({ topic: 'stolen', qos: 1, packetId: 1, retain: true });
      const connack = await thief.expect('CONNACK');
      assert.deepEqual([connack.reason, connack.sessionPresent], [reason, false]);
      await thief.closed();
    }
    owner.send(PING);
    await owner.expect('PINGRESP');
    assert.equal(bench.host.broker.lastValues.count, 0);
  });

  test('without credentials one may come from this machine only M177', async () => {
    const remote = bench.client({ peer: { loopback: false, address: '192.0.2.1' } });
    remote.connect('c');
    assert.equal((await remote.expect('CONNACK')).reason, 0x87);
    await remote.closed();
  });

  test('an empty user name with no password names nobody, with a password it is refused M39 M177', async () => {
    for (const [peer, password, reason] of [
      [{}, null, 0],
      [{}, Buffer.alloc(0), 0],
      [{}, Buffer.from('x'), 0x86],
      [{ loopback: false, address: '192.0.2.1' }, null, 0x87],
    ] as const) {
      const client = bench.client({ peer });
      client.connect('c', { user: '', password });
      assert.equal((await client.expect('CONNACK')).reason, reason);
    }
  });

  test('an empty client identifier gets one in 5.0, needs a clean session in 3.1.1, and is refused in 3.1 M24 M41', async () => {
    const names = new Set<string>();
    for (let count = 0; count < 2; count++) {
      const client = bench.client();
      client.connect('');
      names.add((await client.expect('CONNACK')).properties!.assignedClientId!);
    }
    assert.equal(names.size, 2);
    const clean = bench.client();
    clean.connect('', { version: 4 });
    assert.equal((await clean.expect('CONNACK')).reason, 0);
    for (const refused of [
      { version: 4, clean: false },
      { version: 3, clean: true },
    ] as const) {
      const client = bench.client();
      client.connect('', refused);
      assert.equal((await client.expect('CONNACK')).reason, 2);
      await client.closed();
    }
  });

  test('an unknown authentication method is refused with 0x8C; AUTH without one is 0x82 M141 M142', async () => {
    const client = bench.client();
    client.connect('c', { properties: { authenticationMethod: 'GS2' } });
    assert.equal((await client.expect('CONNACK')).reason, 0x8c);
    const other = await bench.connect('c');
    other.send(bytes('f000'));
    assert.equal((await other.expect('DISCONNECT')).reason, 0x82);
  });

  test('silence of 1.5 times the keep alive ends the connection with 0x8D [MQTT-3.1.2-22] M30', async () => {
    const client = await bench.connect('c', { keepAliveSec: 10 });
    bench.pass(9000);
    client.send(PING);
    await client.expect('PINGRESP');
    bench.pass(14_000);
    assert.deepEqual(await client.quiet(), []);
    bench.pass(1000);
    assert.equal((await client.expect('DISCONNECT')).reason, 0x8d);
    await client.closed();
  });

  test('a keep alive of 0 never ends the connection M30', async () => {
    const client = await bench.connect('c', { keepAliveSec: 0 });
    bench.pass(200_000);
    client.send(PING);
    await client.expect('PINGRESP');
  });

  test('the server keep alive is told and enforced [MQTT-3.2.2-21] M31', async () => {
    const other = await Bench.open({ keepAliveMax: 60_000 });
    for (const keepAliveSec of [0, 120]) {
      const client = other.client();
      client.connect(`c${keepAliveSec}`, { keepAliveSec });
      assert.equal((await client.expect('CONNACK')).properties!.serverKeepAliveSec, 60);
      other.pass(91_000);
      assert.equal((await client.expect('DISCONNECT')).reason, 0x8d);
    }
    await other.close();
  });

  test('a packet over the announced maximum is refused with 0x95 before its body comes M15', async () => {
    const other = await Bench.open({ packetBytesMax: 2048 });
    const client = await other.connect('c');
    client.send(bytes('30 8020'));
    assert.equal((await client.expect('DISCONNECT')).reason, 0x95);
    await client.closed();
    await other.close();
  });

  test('protocol errors get their reason in 5.0 and a close in 3.1.1 [MQTT-4.13.1-1] M14 M60 M62', async () => {
    const cases: readonly (readonly [hex: string, hex4: string, reason: number])[] = [
      ['36 06 0001 61 0001 00', '36 05 0001 61 0001', 0x81],
      ['30 04 0001 23 00', '30 03 0001 23', 0x90],
      ['30 05 0002 c328 00', '30 04 0002 c328', 0x81],
      ['30 03 0000 00', '30 02 0000', 0x82],
      ['60 02 0001', '60 02 0001', 0x81],
      ['80 06 000a 00 0001 61 00', '80 06 000a 0001 61 00', 0x81],
      ['20 03 00 00 00', '20 02 00 00', 0x82],
      ['30 06 0001 61 02 0b 01', '00 00', 0x82],
    ];
    for (const [hex, hex4, reason] of cases) {
      const five = await bench.connect('five');
      five.send(bytes(hex));
      assert.equal((await five.expect('DISCONNECT')).reason, reason, hex);
      await five.closed();
      const four = await bench.connect('four', { version: 4 });
      four.send(bytes(hex4));
      await four.closed();
      assert.deepEqual(await four.quiet(), []);
    }
  });

  test('a response topic with a wildcard is a protocol error [MQTT-3.3.2-14] M67', async () => {
    const client = await bench.connect('c');
    client.publish({ topic: 'a', properties: { responseTopic: 'a/#' } });
    assert.equal((await client.expect('DISCONNECT')).reason, 0x82);
  });

  test('a bad filter gets 0x8F and leaves the others alone; 3.1.1 gets 0x80 M103 M106', async () => {
    const five = await bench.connect('five');
    five.subscribe(8, [
      { filter: 'a#', qos: 1 },
      { filter: 'ok/+', qos: 2 },
      { filter: '#/a' },
      { filter: 'a/b+/c' },
      { filter: '$share//a' },
      { filter: '$share/g+/a' },
      { filter: '$share/g' },
      { filter: '$share/g/ok', qos: 1 },
    ]);
    const suback = await five.expect('SUBACK');
    assert.equal(suback.packetId, 8);
    assert.deepEqual(suback.codes, [0x8f, 2, 0x8f, 0x8f, 0x8f, 0x8f, 0x8f, 1]);
    const four = await bench.connect('four', { version: 4 });
    four.subscribe(9, [{ filter: 'a#' }, { filter: 'b', qos: 1 }]);
    assert.deepEqual((await four.expect('SUBACK')).codes, [0x80, 1]);
  });

  test('no local on a shared subscription is a protocol error [MQTT-3.8.3-4] M111', async () => {
    const client = await bench.connect('c');
    client.subscribe(1, [{ filter: '$share/g/a', noLocal: true }]);
    assert.equal((await client.expect('DISCONNECT')).reason, 0x82);
  });

  test('first-level wildcards do not see $ topics, a filter that names them does [MQTT-4.7.2-1] M104 M105', async () => {
    const client = await bench.connect('c');
    client.subscribe(1, [{ filter: '#' }, { filter: '+/x' }]);
    await client.expect('SUBACK');
    const writer = await bench.connect('w');
    writer.publish({ topic: '$own/x' });
    assert.deepEqual(await client.quiet(), []);
    client.unsubscribe(2, ['#', '+/x']);
    await client.expect('UNSUBACK');
    await client.subscribed('$own/#');
    await client.subscribed('sport/#');
    await client.subscribed('e/+/e');
    for (const topic of ['$own/x', 'sport', 'sport/a/b', 'sports', 'e//e', 'a//b']) {
      writer.publish({ topic });
    }
    const seen = (await client.quiet()).map((each) => each.topic);
    assert.deepEqual(seen, ['$own/x', 'sport', 'sport/a/b', 'e//e']);
  });

  test('UNSUBSCRIBE answers per filter and stops messages; what is in flight ends [MQTT-3.10.4-3] M120', async () => {
    const client = await bench.connect('c');
    await client.subscribed('a', { qos: 2 });
    const writer = await bench.connect('w');
    writer.publish({ topic: 'a', qos: 2, packetId: 1 });
    const { packetId } = await client.expect('PUBLISH');
    client.unsubscribe(77, ['a', 'A', 'a/']);
    const unsuback = await client.expect('UNSUBACK');
    assert.deepEqual([unsuback.packetId, unsuback.codes], [77, [0, 0x11, 0x11]]);
    writer.publish({ topic: 'a', qos: 2, packetId: 2 });
    client.pubrec(packetId!);
    assert.equal((await client.expect('PUBREL')).packetId, packetId);
    client.pubcomp(packetId!);
    assert.deepEqual(await client.quiet(), []);
  });

  test('DISCONNECT may change the session expiry, but not raise it from zero [MQTT-3.14.2-2] M122', async () => {
    const first = await bench.connect('c', { properties: { sessionExpirySec: 100 } });
    first.send(bytes('e0 07 00 05 11 00000000'));
    await first.closed();
    assert.equal(bench.room.sessions.count, 0);
    const second = await bench.connect('c');
    second.send(bytes('e0 07 00 05 11 00000001'));
    assert.equal((await second.expect('DISCONNECT')).reason, 0x82);
  });

  test('nothing behind DISCONNECT is handled [MQTT-3.14.4-2] M122', async () => {
    const reader = await bench.connect('reader');
    await reader.subscribed('a');
    const writer = await bench.connect('writer');
    const late = publishBytes({ topic: 'a' }, 5);
    writer.send(Buffer.concat([bytes('e000'), late]));
    writer.send(late);
    await writer.closed();
    assert.deepEqual(await reader.quiet(), []);
  });

  test('a bridge gets its own messages not back, and retain flags as published M25', async () => {
    const bridge = await bench.connect('bridge', { version: 4, bridge: true });
    await bridge.subscribed('#', { qos: 1 });
    bridge.publish({ topic: 'own', qos: 1, packetId: 1 });
    await bridge.expect('PUBACK');
    assert.deepEqual(await bridge.quiet(), []);
    const writer = await bench.connect('writer');
    writer.publish({ topic: 'other', payload: 'r', retain: true });
    assert.equal((await bridge.expect('PUBLISH')).retain, true);
  });

  test('the server says goodbye with 0x8B when it stops M163', async () => {
    const client = await bench.connect('c');
    const closing = bench.room.close();
    assert.equal((await client.expect('DISCONNECT')).reason, 0x8b);
    await closing;
    const late = bench.client();
    await late.closed();
  });

  test('admin lists connections and sessions', async () => {
    await bench.connect('c', { clean: false, properties: { sessionExpirySec: 5 } });
    const [connection] = [...bench.room.list('connections')];
    assert.deepEqual([connection!['client'], connection!['version']], ['c', 5]);
    const [session] = [...bench.room.list('sessions')];
    assert.deepEqual([session!['client'], session!['expirySec']], ['c', 5]);
    assert.deepEqual([...bench.room.list('other')], []);
  });
});
