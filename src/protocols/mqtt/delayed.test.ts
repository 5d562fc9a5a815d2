import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { slashPattern } from '#broker';
import { Bench, type TestClient } from './client.fixture.ts';
import { NO_PROPERTIES, type Properties, type WillPacket } from './codec/index.ts';

const DURABLE = { clean: false, properties: { sessionExpirySec: 9999 } };

describe('MQTT: delayed', () => {
  let bench: Bench;
  let reader: TestClient;
  beforeEach(async () => {
    bench = await Bench.open({ delayedMax: 5 });
    reader = await bench.connect('reader', DURABLE);
    await reader.subscribed('t/#', { qos: 2 });
  });
  afterEach(() => bench.close());

  async function seen(): Promise<string[]> {
    const packets = await reader.quiet();
    return packets.filter(({ type }) => type === 'PUBLISH').map(({ payload }) => payload!);
  }

  /** Stops the room in order, lets time pass, and starts again; the reader comes back. */
  async function away(ms: number): Promise<void> {
    await bench.room.close();
    bench.pass(ms);
    bench.restart();
    reader = await bench.connect('reader', DURABLE);
  }

  test('a delayed message comes at its time, to the tenth of a second, as it was sent M182', async () => {
    const client = await bench.connect('a');
    const properties: Properties = {
      contentType: 'text/plain',
      correlationData: Buffer.from('c'),
      userProperties: [['k', 'v']],
    };
    client.publish({ topic: '$delayed/10/t/1', payload: 'x', qos: 2, packetId: 7, properties });
    assert.equal((await client.expect('PUBREC')).reason, 0);
    client.pubrel(7);
    await client.expect('PUBCOMP');
    bench.pass(9900);
    assert.deepEqual(await seen(), []);
    bench.pass(100);
    const got = await reader.expect('PUBLISH');
    assert.deepEqual([got.topic, got.payload, got.qos], ['t/1', 'x', 2]);
    assert.deepEqual(got.properties, properties);
    bench.pass(20_000);
    assert.deepEqual(await seen(), []);
  });

  test('messages that are due together come in the order in which they were sent M182', async () => {
    const client = await bench.connect('a');
    for (let n = 0; n < 4; n++) client.publish({ topic: '$delayed/3/t/1', payload: `${n}` });
    await client.quiet();
    bench.pass(3000);
    assert.deepEqual(await seen(), ['0', '1', '2', '3']);
  });

  test('a retained delayed message is kept when it is published, and its expiry begins then M182', async () => {
    const client = await bench.connect('a');
    const properties: Properties = { messageExpirySec: 5 };
    client.publish({ topic: '$delayed/60/t/r', payload: 'x', retain: true, qos: 1, properties });
    await client.expect('PUBACK');
    assert.equal(bench.host.broker.lastValues.count, 0);
    bench.pass(60_000);
    const got = await reader.expect('PUBLISH');
    assert.deepEqual(got.properties, { messageExpirySec: 5 });
    assert.equal(bench.host.broker.lastValues.count, 1);
    bench.pass(5000);
    await reader.quiet();
    assert.equal(bench.host.broker.lastValues.count, 0, 'the last value expires by itself');
  });

  test('names that say no time or no topic are refused M182', async () => {
    const client = await bench.connect('a');
    const wrong = ['x/t', '/t', '5', '5/', '42949671/t', '-1/t', '1/$delayed/1/t', ''];
    for (const rest of wrong) {
      client.publish({ topic: `$delayed/${rest}`, qos: 1, packetId: 3 });
      assert.equal((await client.expect('PUBACK')).reason, 0x90, rest);
    }
    client.publish({ topic: '$delayed/42949670/t/1', qos: 1, packetId: 3 });
    assert.equal((await client.expect('PUBACK')).reason, 0);
    assert.equal(bench.room.delayed.count, 1);
  });

  test('the rights count when it is sent, and again when it is published M182 X31', async () => {
    const deny = (id: string, pattern: string): void =>
      bench.host.broker.principals.putRule({
        ...{ id, effect: 'deny', principal: '*', actions: ['publish'], pattern },
      });
    const client = await bench.connect('a');
    client.publish({ topic: '$delayed/5/t/1', qos: 1, packetId: 1 });
    await client.expect('PUBACK');
    deny('r', 't/#');
    client.publish({ topic: '$delayed/5/t/1', qos: 1, packetId: 2 });
    assert.equal((await client.expect('PUBACK')).reason, 0x87);
    bench.pass(6000);
    assert.deepEqual(await seen(), []);
    assert.equal(bench.room.delayed.count, 0);
  });

  test('no more delayed messages are kept than the option says M182', async () => {
    const client = await bench.connect('a');
    for (let n = 0; n < 6; n++) {
      client.publish({ topic: '$delayed/5/t/1', qos: 1, packetId: n + 1 });
      assert.equal((await client.expect('PUBACK')).reason, n < 5 ? 0 : 0x97);
    }
  });

  test('delayed messages are listed and can be cancelled M182 X69', async () => {
    const client = await bench.connect('a');
    client.publish({ topic: '$delayed/500/t/late', payload: 'abc', qos: 1 });
    client.publish({ topic: '$delayed/5/t/soon', payload: 'abc', retain: true });
    await client.quiet();
    const rows = [...bench.room.list('delayed')];
    assert.deepEqual(
      rows.map(({ topic, client: who, qos, retain, bytes }) => [topic, who, qos, retain, bytes]),
      [
        ['t/soon', 'a', 0, true, 3],
        ['t/late', 'a', 1, false, 3],
      ],
    );
    assert.equal(bench.host.broker.time.cancel('mqtt.delayed', String(rows[0]!['id'])), true);
    bench.pass(6000);
    assert.deepEqual(await seen(), []);
    bench.pass(600_000);
    assert.deepEqual(await seen(), ['abc']);
  });

  test('what fell due while the server was down finds the sessions of before M182 X69', async () => {
    const client = await bench.connect('a');
    client.publish({ topic: '$delayed/5/t/1', payload: 'overdue', qos: 1 });
    client.publish({ topic: '$delayed/50/t/1', payload: 'later', qos: 1, packetId: 2 });
    await client.expect('PUBACK');
    await client.expect('PUBACK');
    await away(20_000);
    assert.deepEqual(await seen(), ['overdue']);
    bench.pass(30_000);
    assert.deepEqual(await seen(), ['later']);
  });

  test('a session ends at its time, to the tenth of a second M29 X69', async () => {
    const short = { clean: false, properties: { sessionExpirySec: 30 } };
    (await bench.connect('s', short)).drop();
    await reader.quiet();
    bench.pass(29_900);
    await reader.quiet();
    assert.equal(bench.room.sessions.count, 2);
    bench.pass(100);
    await reader.quiet();
    assert.equal(bench.room.sessions.count, 1);
    const client = bench.client();
    client.connect('s', short);
    assert.equal((await client.expect('CONNACK')).sessionPresent, false);
  });

  test('the time of a session goes on while the server is down M29 X69', async () => {
    const present = async (): Promise<boolean> => {
      const client = bench.client();
      client.connect('s', { clean: false, properties: { sessionExpirySec: 30 } });
      const { sessionPresent } = await client.expect('CONNACK');
      client.drop();
      await client.closed();
      return sessionPresent!;
    };
    await present();
    await away(29_000);
    assert.equal(await present(), true);
    await away(31_000);
    await reader.quiet();
    assert.equal(bench.room.sessions.count, 1);
    assert.equal(await present(), false);
  });

  test('a reconnect takes the end of the session back M29', async () => {
    const short = { clean: false, properties: { sessionExpirySec: 30 } };
    (await bench.connect('s', short)).drop();
    await reader.quiet();
    bench.pass(20_000);
    await bench.connect('s', short);
    bench.pass(100_000);
    await reader.quiet();
    assert.equal(bench.room.sessions.count, 2);
  });

  /** Messages that wait for a session, as admin shows them. */
  function queued(clientId: string): unknown {
    return [...bench.room.list('sessions')].find(({ client }) => client === clientId)?.['queued'];
  }

  test('expired messages leave the queue of a session that is away at their time M68 X69', async () => {
    const away = await bench.connect('s', DURABLE);
    await away.subscribed('e/#', { qos: 1 });
    away.drop();
    await away.closed();
    const client = await bench.connect('a');
    const send = async (packetId: number, messageExpirySec: number): Promise<void> => {
      client.publish({ topic: 'e/1', qos: 1, packetId, properties: { messageExpirySec } });
      await client.expect('PUBACK');
    };
    await send(1, 5);
    await send(2, 7);
    await send(3, 60);
    assert.equal(queued('s'), 3);
    bench.pass(5000);
    await reader.quiet();
    assert.equal(queued('s'), 2);
    await bench.room.close();
    bench.restart();
    await new Promise((resolve) => setImmediate(resolve));
    bench.pass(2000);
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(queued('s'), 1);
  });

  function will(properties: Properties = NO_PROPERTIES): WillPacket {
    return { topic: 't/w', payload: Buffer.from('will'), qos: 1, retain: false, properties };
  }

  test('a delayed will that fell due while the server was down comes at the start M35 X69', async () => {
    const client = await bench.connect('a', {
      properties: { sessionExpirySec: 500 },
      will: will({ willDelaySec: 20 }),
    });
    client.drop();
    await client.closed();
    await away(60_000);
    assert.deepEqual(await seen(), ['will']);
  });

  test('the rights of a delayed will are asked again when it is published M38 X31', async () => {
    const client = await bench.connect('a', {
      properties: { sessionExpirySec: 500 },
      will: will({ willDelaySec: 20 }),
    });
    client.drop();
    await client.closed();
    bench.host.broker.principals.putRule({
      ...{ id: 'r', effect: 'deny', principal: '*', actions: ['publish'], pattern: 't/#' },
    });
    bench.pass(30_000);
    assert.deepEqual(await seen(), []);
  });

  test('a delayed will of a session that a clean start ends comes at once, although its client is back M35', async () => {
    const client = await bench.connect('a', {
      properties: { sessionExpirySec: 500 },
      will: will({ willDelaySec: 400 }),
    });
    client.drop();
    await client.closed();
    await bench.connect('a', { clean: true });
    assert.deepEqual(await seen(), ['will']);
    assert.equal([...bench.host.broker.lastValues.match(slashPattern('#')!)].length, 0);
  });
});
