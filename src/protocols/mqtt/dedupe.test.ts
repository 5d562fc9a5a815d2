import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { Bench, type TestClient } from './client.fixture.ts';

describe('MQTT: dedupe', () => {
  let bench: Bench;
  let reader: TestClient;
  beforeEach(async () => {
    bench = await Bench.open({ dedupeWindow: 60_000, dedupeIdsMax: 50, receiveMaximum: 20 });
    reader = await bench.connect('reader');
    await reader.subscribed('t/#', { qos: 2 });
  });
  afterEach(() => bench.close());

  async function seen(): Promise<string[]> {
    const packets = await reader.quiet();
    return packets.filter(({ type }) => type === 'PUBLISH').map(({ payload }) => payload!);
  }

  async function send(client: TestClient, id: string, payload: string, retain = false) {
    const userProperties: [string, string][] = [['message-id', id]];
    client.publish({ topic: 't/1', qos: 1, payload, retain, properties: { userProperties } });
    assert.equal((await client.expect('PUBACK')).reason, 0);
  }

  test('a message id that its client used within the window is acknowledged, but not stored again M189 X67', async () => {
    const a = await bench.connect('a');
    await send(a, 'x', 'first');
    await send(a, 'x', 'again');
    await send(a, 'y', 'other id');
    await send(await bench.connect('b'), 'x', 'other client');
    assert.deepEqual(await seen(), ['first', 'other id', 'other client']);
    bench.restart();
    reader = await bench.connect('reader');
    await reader.subscribed('t/#', { qos: 2 });
    await send(await bench.connect('a'), 'x', 'after a restart');
    assert.deepEqual(await seen(), []);
    bench.pass(60_000);
    await send(await bench.connect('a'), 'x', 'after the window');
    assert.deepEqual(await seen(), ['after the window']);
  });

  test('a repeat changes no retained message M189', async () => {
    const a = await bench.connect('a');
    await send(a, 'x', 'first', true);
    await send(a, 'x', 'again', true);
    const late = await bench.connect('late');
    await late.subscribed('t/1');
    assert.equal((await late.expect('PUBLISH')).payload, 'first');
  });

  test('no more message ids are remembered than the option says M189 X67', async () => {
    const a = await bench.connect('a');
    for (let n = 0; n < 60; n++) await send(a, `${n}`, `${n}`);
    assert.equal(bench.host.broker.time.count('dedupe/mqtt'), 50);
    await seen();
    await send(a, '0', 'forgotten');
    await send(a, '59', 'remembered');
    assert.deepEqual(await seen(), ['forgotten']);
  });

  test('identifiers of QoS 2 are remembered until PUBREL, as many as the receive maximum, and over a restart X67 M75', async () => {
    const durable = { clean: false, properties: { sessionExpirySec: 100 } };
    const a = await bench.connect('a', durable);
    for (let packetId = 1; packetId <= 20; packetId++) {
      a.publish({ topic: 't/1', qos: 2, packetId, payload: `${packetId}` });
      await a.expect('PUBREC');
    }
    assert.equal((await seen()).length, 20);
    a.drop();
    await a.closed();
    bench.restart();
    reader = await bench.connect('reader');
    await reader.subscribed('t/#', { qos: 2 });
    const again = await bench.connect('a', durable);
    again.publish({ topic: 't/1', qos: 2, packetId: 7, dup: true });
    await again.expect('PUBREC');
    assert.deepEqual(await seen(), []);
    again.pubrel(7);
    await again.expect('PUBCOMP');
    again.publish({ topic: 't/1', qos: 2, packetId: 7, payload: 'new' });
    await again.expect('PUBREC');
    assert.deepEqual(await seen(), ['new']);
    again.publish({ topic: 't/1', qos: 2, packetId: 21 });
    assert.equal((await again.expect('DISCONNECT')).reason, 0x93);
    await again.closed();
    // The end of the session is the end of its identifiers.
    bench.pass(100_000);
    await seen();
    const { state } = bench.host.broker;
    assert.equal([...state.scan('mqtt.received')].length, 0);
  });
});
