import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { Bench, type TestClient } from './client.fixture.ts';
import { NO_PROPERTIES, type Properties, type WillPacket } from './codec/index.ts';

describe('MQTT: will', () => {
  let bench: Bench;
  let reader: TestClient;
  beforeEach(async () => {
    bench = await Bench.open();
    reader = await bench.connect('reader', {
      clean: false,
      properties: { sessionExpirySec: 9999 },
    });
    await reader.subscribed('w/#', { qos: 2 });
  });
  afterEach(() => bench.close());

  function will(
    properties: Properties = NO_PROPERTIES,
    rest: Partial<WillPacket> = {},
  ): WillPacket {
    return {
      topic: 'w/1',
      payload: Buffer.from('gone'),
      qos: 1,
      retain: false,
      properties,
      ...rest,
    };
  }

  async function willsSeen(): Promise<number> {
    return (await reader.quiet()).filter((each) => each.type === 'PUBLISH').length;
  }

  test('the will is published on every ending but DISCONNECT 0 [MQTT-3.1.2-8] [MQTT-3.14.4-3] M33 M37', async () => {
    const lost = await bench.connect('a', { will: will() });
    lost.drop();
    assert.equal(await willsSeen(), 1);
    const wrong = await bench.connect('a', { will: will() });
    wrong.send(Buffer.from([0, 0]));
    assert.equal(await willsSeen(), 1);
    const silent = await bench.connect('a', { will: will(), keepAliveSec: 1 });
    bench.pass(2000);
    await silent.expect('DISCONNECT');
    assert.equal(await willsSeen(), 1);
    const taken = await bench.connect('a', { will: will() });
    const polite = await bench.connect('a', { will: will() });
    await taken.expect('DISCONNECT');
    assert.equal(await willsSeen(), 1);
    polite.send(Buffer.from([0xe0, 0]));
    await polite.closed();
    assert.equal(await willsSeen(), 0);
    const asked = await bench.connect('a', { will: will() });
    asked.send(Buffer.from([0xe0, 1, 4]));
    assert.equal(await willsSeen(), 1);
    const old = await bench.connect('a', { version: 4, will: will() });
    old.send(Buffer.from([0xe0, 0]));
    await old.closed();
    assert.equal(await willsSeen(), 0);
  });

  test('QoS, retain and properties of the will are obeyed [MQTT-3.1.2-14] [MQTT-3.1.2-15] M34 M36', async () => {
    const properties: Properties = {
      payloadFormat: 1,
      messageExpirySec: 100,
      contentType: 'text/plain',
      responseTopic: 'r',
      correlationData: Buffer.from('c'),
      userProperties: [
        ['b', '1'],
        ['a', '2'],
        ['b', '3'],
      ],
    };
    const client = await bench.connect('a', { will: will(properties, { qos: 2, retain: true }) });
    client.drop();
    const got = await reader.expect('PUBLISH');
    assert.equal(got.qos, 2);
    assert.deepEqual(got.properties, properties);
    const late = await bench.connect('late');
    await late.subscribed('w/1');
    assert.equal((await late.expect('PUBLISH')).retain, true);
  });

  test('a delayed will waits, and a reconnect in time cancels it [MQTT-3.1.3-9] M35', async () => {
    const options = {
      clean: false,
      properties: { sessionExpirySec: 100 },
      will: will({ willDelaySec: 10 }),
    };
    const first = await bench.connect('a', options);
    first.drop();
    await first.closed();
    bench.pass(8000);
    assert.equal(await willsSeen(), 0);
    const second = await bench.connect('a', options);
    bench.pass(20_000);
    assert.equal(await willsSeen(), 0);
    second.drop();
    await second.closed();
    bench.pass(11_000);
    assert.equal(await willsSeen(), 1);
    bench.pass(200_000);
    assert.equal(await willsSeen(), 0);
  });

  test('the end of the session is the latest time for the will [MQTT-3.1.3-9] M35', async () => {
    const client = await bench.connect('a', {
      properties: { sessionExpirySec: 5 },
      will: will({ willDelaySec: 100 }),
    });
    client.drop();
    await client.closed();
    bench.pass(4000);
    assert.equal(await willsSeen(), 0);
    bench.pass(2000);
    assert.equal(await willsSeen(), 1);
    const other = await bench.connect('a', {
      properties: { sessionExpirySec: 50 },
      will: will({ willDelaySec: 100 }),
    });
    other.drop();
    await other.closed();
    await bench.connect('a', { clean: true });
    assert.equal(await willsSeen(), 1);
  });

  test('a delayed will survives a restart, and comes at its time M35', async () => {
    const client = await bench.connect('a', {
      properties: { sessionExpirySec: 100 },
      will: will({ willDelaySec: 20, userProperties: [['k', 'v']] }),
    });
    client.drop();
    await client.closed();
    bench.pass(5000);
    await bench.room.close();
    bench.restart();
    reader = await bench.connect('reader', {
      clean: false,
      properties: { sessionExpirySec: 9999 },
    });
    bench.pass(14_000);
    assert.equal(await willsSeen(), 0);
    bench.pass(2000);
    const got = await reader.expect('PUBLISH');
    assert.deepEqual(got.properties, { userProperties: [['k', 'v']] });
  });

  test('a crash ends connections: their wills come at the next start, to all sessions M33', async () => {
    await bench.connect('a', { will: will() });
    // Stored behind the will's own session, and without a client when the server goes down.
    const durable = { clean: false, properties: { sessionExpirySec: 9999 } };
    const late = await bench.connect('late', durable);
    await late.subscribed('w/#', { qos: 1 });
    late.drop();
    await late.closed();
    // No close: the old room is left as a crash leaves it.
    bench.restart();
    const again = await bench.connect('late', durable);
    assert.equal((await again.expect('PUBLISH')).payload, 'gone');
  });

  test('a will that may not be published refuses the connection M38', async () => {
    bench.host.broker.principals.putRule({
      id: 'r',
      effect: 'deny',
      principal: 'anonymous',
      actions: ['publish'],
      pattern: 'w/1',
    });
    for (const [version, reason] of [
      [5, 0x87],
      [4, 5],
    ] as const) {
      const client = bench.client();
      client.connect('a', { version, will: will() });
      assert.equal((await client.expect('CONNACK')).reason, reason);
      await client.closed();
    }
    assert.equal(await willsSeen(), 0);
  });
});
