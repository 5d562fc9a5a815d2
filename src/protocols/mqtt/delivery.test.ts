import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { Bench, type Shown, type TestClient } from './client.fixture.ts';

describe('MQTT: delivery', () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = await Bench.open();
  });
  afterEach(() => bench.close());

  const DURABLE = { clean: false, properties: { sessionExpirySec: 1000 } };

  /** Publishes with QoS 1 and waits until the messages are with the broker. */
  async function send(
    client: TestClient,
    topic: string,
    payloads: readonly string[],
  ): Promise<void> {
    for (const [index, payload] of payloads.entries()) {
      client.publish({ topic, payload, qos: 1, packetId: index + 1 });
    }
    for (const _ of payloads) await client.expect('PUBACK');
  }

  function ids(packets: readonly Shown[]): (number | undefined)[] {
    return packets.filter((each) => each.type === 'PUBLISH').map((each) => each.packetId);
  }

  test('what waits and what is under way is added up when the metrics are read', async () => {
    const reader = await bench.connect('depth', {
      ...DURABLE,
      properties: { sessionExpirySec: 1000, receiveMaximum: 2 },
    });
    await reader.subscribed('t', { qos: 1 });
    const writer = await bench.connect('w');
    await send(writer, 't', ['1', '2', '3', '4', '5']);
    await reader.quiet();
    bench.host.metrics.read();
    const { queued, inFlight, longestQueue } = bench.room.metrics;
    assert.deepEqual([queued.value, inFlight.value, longestQueue.value], [3, 2, 3]);
  });

  test('an identifier that is in flight is not used again, also when all the numbers have gone by [MQTT-2.2.1-4] M12', async () => {
    const reader = await bench.connect('r');
    await reader.subscribed('t', { qos: 1 });
    const writer = await bench.connect('w');
    const total = 70_000;
    const open = new Set<number>();
    const kept = { id: 0 };
    let received = 0;
    const take = (packets: readonly Shown[]): void => {
      for (const packet of packets) {
        assert.equal(packet.type, 'PUBLISH');
        const id = packet.packetId!;
        assert.ok(id >= 1 && id <= 65_535);
        assert.equal(open.has(id), false, `${id} is in flight`);
        open.add(id);
        received++;
        // The first stays in flight over the wrap of the numbers.
        if (kept.id === 0) kept.id = id;
      }
      for (const id of [...open]) {
        if (id === kept.id) continue;
        open.delete(id);
        reader.puback(id);
      }
    };
    for (let sent = 0; sent < total; sent += 1000) {
      for (let index = 0; index < 1000; index++) {
        writer.publish({ topic: 't', qos: 1, packetId: index + 1 });
      }
      while (received < sent + 1000) take(await reader.quiet());
      await writer.quiet();
    }
    assert.equal(received, total);
    assert.ok(open.has(kept.id));
  });

  test('each answer carries the identifier of its packet [MQTT-2.2.1-5] [MQTT-2.2.1-6] M13', async () => {
    const client = await bench.connect('c');
    client.subscribe(4711, [{ filter: 'a', qos: 2 }]);
    assert.equal((await client.expect('SUBACK')).packetId, 4711);
    client.publish({ topic: 'x', qos: 1, packetId: 65_535 });
    assert.equal((await client.expect('PUBACK')).packetId, 65_535);
    client.publish({ topic: 'x', qos: 2, packetId: 256 });
    assert.equal((await client.expect('PUBREC')).packetId, 256);
    client.pubrel(256);
    assert.equal((await client.expect('PUBCOMP')).packetId, 256);
    client.publish({ topic: 'a', qos: 2, packetId: 9 });
    const packets = await client.quiet();
    assert.equal(packets.find(({ type }) => type === 'PUBREC')?.packetId, 9);
    const packetId = packets.find(({ type }) => type === 'PUBLISH')!.packetId!;
    client.pubrec(packetId);
    assert.equal((await client.expect('PUBREL')).packetId, packetId);
    client.unsubscribe(13, ['a']);
    assert.equal((await client.expect('UNSUBACK')).packetId, 13);
  });

  test('a 3.1.1 session with CleanSession 1 ends with its connection, one with 0 stays for the configured time [MQTT-3.1.2-6] M28', async () => {
    const clean = await bench.connect('c', { version: 4 });
    await clean.subscribed('t', { qos: 1 });
    clean.drop();
    await clean.closed();
    assert.equal(bench.room.sessions.count, 0);
    const kept = await bench.connect('c', { version: 4, clean: false });
    await kept.subscribed('t', { qos: 1 });
    kept.drop();
    await kept.closed();
    bench.pass(3 * 86_400_000);
    const again = bench.client();
    again.connect('c', { version: 4, clean: false });
    assert.equal((await again.expect('CONNACK')).sessionPresent, true);
  });

  test('clean-session-expiry bounds the session of a 3.1.1 client M28', async () => {
    const bounded = await Bench.open({ cleanSessionExpiry: 60_000 });
    const client = await bounded.connect('c', { version: 4, clean: false });
    await client.subscribed('t', { qos: 1 });
    client.drop();
    await client.closed();
    bounded.pass(61_000);
    await client.quiet();
    assert.equal(bounded.room.sessions.count, 0);
    await bounded.close();
  });

  test('client identifiers of 1 to 23 letters and digits are taken, and long ones up to 65535 bytes [MQTT-3.1.3-5] M40', async () => {
    for (const id of ['a', '0123456789abcdefghijklm', 'ABCXYZ', 'x'.repeat(65_535)]) {
      for (const version of [3, 4, 5] as const) {
        const client = await bench.connect(id, { version });
        client.drop();
        await client.closed();
      }
    }
  });

  test('a session belongs to its client identifier, whatever version comes back for it [MQTT-3.1.3-2] M57', async () => {
    const writer = await bench.connect('w');
    const first = await bench.connect('c', { version: 3, clean: false });
    await first.subscribed('t', { qos: 1 });
    first.drop();
    await first.closed();
    await send(writer, 't', ['one']);
    const second = bench.client();
    second.connect('c', { version: 4, clean: false });
    assert.equal((await second.expect('CONNACK')).sessionPresent, true);
    const one = await second.expect('PUBLISH');
    second.puback(one.packetId!);
    second.drop();
    await second.closed();
    await send(writer, 't', ['two']);
    const third = bench.client();
    third.connect('c', DURABLE);
    assert.equal((await third.expect('CONNACK')).sessionPresent, true);
    assert.equal((await third.expect('PUBLISH')).payload, 'two');
  });

  test('DUP is 0 at first and on QoS 0, 1 when sent again, and not passed on [MQTT-3.3.1-1] [MQTT-3.3.1-2] [MQTT-3.3.1-3] M61 M79', async () => {
    for (const version of [4, 5] as const) {
      const packet = version === 5 ? DURABLE : { version, clean: false };
      const reader = await bench.connect(`r${version}`, packet);
      await reader.subscribed('t', { qos: 1 });
      const writer = await bench.connect('w');
      writer.publish({ topic: 't', payload: 'a', qos: 1, packetId: 1, dup: true });
      await writer.expect('PUBACK');
      writer.publish({ topic: 't', payload: 'b' });
      const [first, lossy] = await reader.quiet();
      assert.deepEqual([first?.dup, lossy?.dup], [false, false]);
      // No timer sends it again while the connection is there.
      bench.pass(600_000);
      assert.deepEqual(ids(await reader.quiet()), []);
      reader.drop();
      await reader.closed();
      const again = bench.client();
      again.connect(`r${version}`, packet);
      await again.expect('CONNACK');
      const second = await again.expect('PUBLISH');
      assert.deepEqual([second.dup, second.packetId], [true, first?.packetId]);
      again.puback(second.packetId!);
      writer.drop();
      await writer.closed();
    }
  });

  test('names and filters of 65535 bytes work, and nothing about a name is made alike [MQTT-4.7.3-3] [MQTT-4.7.3-4] M63 M64', async () => {
    const long = `t/${'x'.repeat(65_533)}`;
    const client = await bench.connect('c');
    await client.subscribed(long);
    await client.subscribed('a//b/+');
    await client.subscribed('Case');
    await client.subscribed(' blank');
    const topics = ['a/b/c', 'a//b/c', 'case', 'Case', 'blank', ' blank', 'Case/', long];
    for (const topic of topics) client.publish({ topic });
    const got = (await client.quiet()).map((each) => each.topic);
    assert.deepEqual(got, ['a//b/c', 'Case', ' blank', long]);
  });

  test('after PUBACK an identifier stands for a new message, whatever DUP says [MQTT-4.3.2-5] M72', async () => {
    const reader = await bench.connect('r');
    await reader.subscribed('t');
    const writer = await bench.connect('w');
    for (const payload of ['one', 'two']) {
      writer.publish({ topic: 't', payload, qos: 1, packetId: 7, dup: payload === 'two' });
      assert.equal((await writer.expect('PUBACK')).reason, 0);
    }
    assert.deepEqual(
      (await reader.quiet()).map((each) => each.payload),
      ['one', 'two'],
    );
  });

  test('a QoS 1 message stays in flight until PUBACK, which ends it whatever it says [MQTT-4.3.2-3] [MQTT-4.4.0-2] M73', async () => {
    const properties = { sessionExpirySec: 1000, receiveMaximum: 1 };
    const reader = await bench.connect('r', { clean: false, properties });
    await reader.subscribed('t', { qos: 1 });
    await send(await bench.connect('w'), 't', ['one', 'two']);
    const first = await reader.expect('PUBLISH');
    assert.deepEqual(await reader.quiet(), []);
    reader.ack(4, first.packetId!, 0x97);
    assert.equal((await reader.expect('PUBLISH')).payload, 'two');
    reader.drop();
    await reader.closed();
    const again = bench.client();
    again.connect('r', DURABLE);
    await again.expect('CONNACK');
    const packets = await again.quiet();
    assert.deepEqual(
      packets.map((each) => each.payload),
      ['two'],
    );
  });

  test('the same filter again takes the place of the old subscription without a gap [MQTT-3.8.4-3] M108', async () => {
    const reader = await bench.connect('r', DURABLE);
    await reader.subscribed('t', { qos: 1 });
    const writer = await bench.connect('w');
    const total = 300;
    for (let index = 0; index < total; index++) {
      writer.publish({ topic: 't', payload: `${index}`, qos: 1, packetId: index + 1 });
      if (index % 10 === 0) reader.subscribe(1, [{ filter: 't', qos: index % 20 === 0 ? 2 : 1 }]);
    }
    const got: string[] = [];
    for (let turns = 0; turns < 20 && got.length < total; turns++) {
      for (const packet of await reader.quiet()) {
        if (packet.type === 'PUBLISH') {
          got.push(packet.payload!);
          if (packet.qos === 1) reader.puback(packet.packetId!);
          else reader.pubrec(packet.packetId!);
        } else if (packet.type === 'PUBREL') reader.pubcomp(packet.packetId!);
      }
    }
    assert.deepEqual(
      got,
      Array.from({ length: total }, (_, index) => `${index}`),
    );
    assert.equal(bench.host.broker.subscriptionCount, 1);
  });

  test('PINGREQ gets PINGRESP and nothing else [MQTT-3.12.4-1] M121', async () => {
    for (const version of [3, 4, 5] as const) {
      const client = await bench.connect('c', { version });
      client.send(Buffer.from('c000', 'hex'));
      assert.deepEqual(await client.quiet(), [{ type: 'PINGRESP' }]);
    }
  });

  test('DISCONNECT of the server comes after CONNACK only, in 5.0 only, and without a session expiry [MQTT-3.14.0-1] [MQTT-3.14.2-1] M123', async () => {
    const endings: [(client: TestClient) => void, number][] = [
      [(client) => client.send(Buffer.from('c001ff', 'hex')), 0x81],
      [(client) => client.connect('c'), 0x82],
      [(client) => client.publish({ topic: 'a/+/b' }), 0x90],
      [(client) => client.publish({ topic: '', properties: { topicAlias: 9999 } }), 0x94],
      [(client) => void bench.connect(client.version === 5 ? 'c' : 'd').catch(() => {}), 0x8e],
    ];
    for (const [end, reason] of endings) {
      const client = await bench.connect('c');
      end(client);
      const packet = await client.expect('DISCONNECT');
      assert.equal(packet.reason, reason);
      assert.equal(packet.properties?.sessionExpirySec, undefined);
      await client.closed();
    }
    const old = await bench.connect('o', { version: 4 });
    old.publish({ topic: 'a/+/b' });
    await old.closed();
    assert.deepEqual(await old.quiet(), []);
    const early = bench.client();
    early.send(Buffer.from('e000', 'hex'));
    await early.closed();
    assert.deepEqual(await early.quiet(), []);
  });

  test('problem information is left out where the client asked for none, and where it does not fit [MQTT-3.1.2-29] [MQTT-3.14.2-3] M53 M54', async () => {
    const talkative = await bench.connect('t');
    talkative.publish({ topic: 'a/+/b' });
    const told = await talkative.expect('DISCONNECT');
    assert.ok((told.properties?.reasonString ?? '').length > 0);
    const properties = { requestProblemInformation: 0 as const, maximumPacketSize: 40 };
    const terse = await bench.connect('q', { properties });
    terse.publish({ topic: 'b', qos: 1, packetId: 3 });
    assert.deepEqual((await terse.expect('PUBACK')).properties ?? {}, {});
    terse.subscribe(4, [{ filter: 'a/#/b' }]);
    assert.deepEqual((await terse.expect('SUBACK')).properties ?? {}, {});
    terse.unsubscribe(5, ['nothing']);
    assert.deepEqual((await terse.expect('UNSUBACK')).properties ?? {}, {});
    terse.publish({ topic: 'a/+/b' });
    const short = await terse.expect('DISCONNECT');
    assert.equal(short.properties?.reasonString, undefined);
  });

  test('a property length of zero stands in packets of 5.0 that have properties and need none [MQTT-2.2.2-1] M8', async () => {
    const client = bench.client();
    const chunks: Buffer[] = [];
    const read = client.wire.onData;
    client.wire.onData = (chunk) => {
      chunks.push(Buffer.from(chunk));
      read?.(chunk);
    };
    client.connect('c');
    await client.expect('CONNACK');
    chunks.length = 0;
    client.subscribe(1, [{ filter: 't' }]);
    await client.expect('SUBACK');
    client.publish({ topic: 't', payload: 'x' });
    await client.expect('PUBLISH');
    client.unsubscribe(2, ['t']);
    await client.expect('UNSUBACK');
    const shown = Buffer.concat(chunks).toString('hex');
    assert.equal(shown, '90040001000030050001740078' + 'b0040002000' + '0');
  });

  test('user name and will topic are checked as text, and fields out of their order are malformed [MQTT-3.1.3-1] [MQTT-3.1.3-11] [MQTT-3.1.3-12] M42', async () => {
    const head = '00044d515454 05';
    const body: Record<string, string> = {
      // Flags: will; the client id is followed by will properties, topic and payload.
      'will topic with a surrogate': `${head} 06 003c 00 0001 63 00 0003 eda080 0000`,
      'user name with U+0000': `${head} 82 003c 00 0001 63 0001 00`,
      'a field is missing': `${head} c2 003c 00 0001 63 0001 75`,
      'a field too many': `${head} 02 003c 00 0001 63 0001 75`,
    };
    for (const [what, hex] of Object.entries(body)) {
      const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
      const client = bench.client();
      client.send(Buffer.concat([Buffer.from([0x10, bytes.length]), bytes]));
      await client.closed();
      const [answer] = await client.quiet();
      if (answer !== undefined) assert.deepEqual([what, answer.reason], [what, 0x81]);
    }
  });
});
