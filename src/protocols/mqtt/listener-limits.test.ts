import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Bench, type TestClient } from './client.fixture.ts';

const TIGHT = { listener: 'tight' };

describe('limits of one listener', () => {
  let bench: Bench;
  let round = 0;

  before(async () => {
    const tight = {
      packetBytesMax: 2048,
      receiveMaximum: 2,
      keepAliveMax: 30_000,
      sessionExpiryMax: 60_000,
      topicAliasMax: 3,
      qosMax: 1,
      retainAvailable: false,
      wildcardAvailable: false,
      sharedAvailable: false,
      subscriptionIdsAvailable: false,
      subscriptionsMax: 2,
      topicLevelsMax: 4,
      denyAction: 'disconnect',
    };
    bench = await Bench.open({}, {}, { tight });
  });
  after(() => bench.close());

  const connect = (): Promise<TestClient> => bench.connect(`tight-${++round}`, {}, TIGHT);

  test('are told in CONNACK, and clients of others hear nothing of them M159', async () => {
    const client = bench.client(TIGHT);
    client.connect('told', { keepAliveSec: 90, properties: { sessionExpirySec: 900 } });
    assert.deepEqual((await client.expect('CONNACK')).properties, {
      maximumPacketSize: 2048,
      receiveMaximum: 2,
      serverKeepAliveSec: 30,
      sessionExpirySec: 60,
      topicAliasMaximum: 3,
      maximumQos: 1,
      retainAvailable: 0,
      wildcardAvailable: 0,
      sharedAvailable: 0,
      subscriptionIdsAvailable: 0,
    });
    const free = bench.client();
    free.connect('free', { keepAliveSec: 90 });
    const { properties } = await free.expect('CONNACK');
    assert.deepEqual(properties, { maximumPacketSize: 16 << 20, topicAliasMaximum: 64 });
  });

  for (const [what, reason, breach] of [
    ['a packet that is too large', 0x95, (one) => one.publish({ topic: 'a', payload: big })],
    ['a QoS that is too high', 0x9b, (one) => one.publish({ topic: 'a', qos: 2 })],
    ['a retained message', 0x9a, (one) => one.publish({ topic: 'a', retain: true })],
    [
      'a topic alias beyond them',
      0x94,
      (one) => one.publish({ topic: 'a', properties: { topicAlias: 4 } }),
    ],
    ['a topic with too many levels', 0x90, (one) => one.publish({ topic: 'a/b/c/d/e' })],
    ['a wildcard', 0xa2, (one) => one.subscribe(1, [{ filter: 'a/+' }])],
    ['a shared subscription', 0x9e, (one) => one.subscribe(1, [{ filter: '$share/g/a' }])],
    [
      'a subscription identifier',
      0xa1,
      (one) => one.subscribe(1, [{ filter: 'a' }], { subscriptionIds: [7] }),
    ],
    ['what may not be published', 0x87, (one) => one.publish({ topic: '$SYS/x' })],
  ] as [string, number, (client: TestClient) => void][]) {
    test(`${what} ends a version 5 client with its own reason code M159`, async () => {
      const client = await connect();
      breach(client);
      assert.equal((await client.expect('DISCONNECT')).reason, reason);
      await client.closed();
    });
  }

  test('more unacknowledged messages than allowed are 0x93 M159', async () => {
    const client = await connect();
    const qos = 1;
    const burst = [1, 2, 3, 4].map((packetId) => ({ topic: 'a', qos, packetId }) as const);
    for (const each of burst) client.publish(each);
    const answers = await client.quiet();
    assert.equal(answers.find(({ type }) => type === 'DISCONNECT')?.reason, 0x93);
  });

  test('one subscription too many is 0x97, a QoS is granted as far as it goes M159', async () => {
    const client = await connect();
    client.subscribe(1, [{ filter: 'a', qos: 2 }, { filter: 'b' }, { filter: 'c' }]);
    assert.deepEqual((await client.expect('SUBACK')).codes, [1, 0, 0x97]);
  });

  test('a 3.1.1 client hears 0x80 for a filter that there is not M159', async () => {
    const client = await bench.connect('old', { version: 4 }, TIGHT);
    client.subscribe(1, [{ filter: 'a/#' }, { filter: '$share/g/a' }, { filter: 'a' }]);
    assert.deepEqual((await client.expect('SUBACK')).codes, [0x80, 0x80, 0]);
  });

  test('the keep alive of the listener is what holds M159', async () => {
    const client = bench.client(TIGHT);
    client.connect('silent', { keepAliveSec: 0 });
    await client.expect('CONNACK');
    bench.pass(46_000);
    assert.equal((await client.expect('DISCONNECT')).reason, 0x8d);
  });

  test('who may not come in hears why when it has sent CONNECT M159', async () => {
    for (const [why, version, reason] of [
      ['connect-rate', 5, 0x9f],
      ['connect-rate', 4, 3],
      ['connections', 5, 0x97],
      ['connections', 4, 3],
    ] as const) {
      const client = bench.client();
      const link = [...bench.room.links()].at(-1)!;
      link.evict({ why, text: 'no', reference: null });
      client.connect('late', { version });
      assert.equal((await client.expect('CONNACK')).reason, reason);
      await client.closed();
    }
    assert.equal(bench.room.sessions.get('late'), undefined);
  });
});

const big = Buffer.alloc(3000);
