import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { Bench, type TestClient } from './client.fixture.ts';
import { checkMountPoint, mountPointOf } from './mount.ts';

const PLANT = { listener: 'plant' };
const TENANTS = { listener: 'tenants' };
const SESSION = { clean: false, properties: { sessionExpirySec: 600 } };

describe('a mount point', () => {
  let bench: Bench;
  let inside: TestClient;
  let outside: TestClient;
  let round = 0;

  before(async () => {
    const listeners = {
      plant: { mountPoint: 'plant' },
      tenants: { mountPoint: 'tenants/${clientid}/' },
    };
    bench = await Bench.open({}, {}, listeners);
  });
  beforeEach(async () => {
    round++;
    inside = await bench.connect(`inside-${round}`, {}, PLANT);
    outside = await bench.connect(`outside-${round}`);
  });
  after(() => bench.close());

  test('stands before the topics and filters of its clients, who do not see it M150', async () => {
    await inside.subscribed('a/+', { qos: 1 });
    await outside.subscribed('plant/#', { qos: 1 });
    inside.publish({ topic: 'a/b', payload: 'one', qos: 1 });
    assert.equal((await outside.expect('PUBLISH')).topic, 'plant/a/b');
    const both = [await inside.next(), await inside.next()];
    assert.deepEqual(both.map(({ type, topic }) => topic ?? type).sort(), ['PUBACK', 'a/b']);
    outside.publish({ topic: 'plant/a/c', payload: 'two' });
    outside.publish({ topic: 'a/b', payload: 'elsewhere' });
    const two = await inside.expect('PUBLISH');
    assert.deepEqual([two.topic, two.payload], ['a/c', 'two']);
    inside.unsubscribe(5, ['a/+', 'plant/a/+']);
    assert.deepEqual((await inside.expect('UNSUBACK')).codes, [0, 0x11]);
    assert.deepEqual(await inside.quiet(), []);
  });

  test('hides names that begin with $, and what lies beside it M150', async () => {
    inside.subscribe(1, [{ filter: '#' }, { filter: '$SYS/#' }]);
    assert.deepEqual((await inside.expect('SUBACK')).codes, [0, 0]);
    for (const topic of ['plant', 'plant/$x', 'planter/a', 'other']) outside.publish({ topic });
    inside.publish({ topic: '$SYS/x', qos: 1 });
    assert.equal((await inside.expect('PUBACK')).reason, 0x87);
    outside.publish({ topic: 'plant/seen' });
    assert.equal((await inside.expect('PUBLISH')).topic, 'seen');
  });

  test('holds for retained messages, wills and response topics M150', async () => {
    await outside.subscribed('plant/#');
    const properties = { responseTopic: 'answers/1', contentType: 'x' };
    inside.publish({ topic: 'kept', payload: 'r', retain: true, properties });
    const seen = await outside.expect('PUBLISH');
    assert.deepEqual(
      [seen.topic, seen.properties?.responseTopic, seen.properties?.contentType],
      ['plant/kept', 'plant/answers/1', 'x'],
    );
    await inside.subscribed('+');
    const kept = await inside.expect('PUBLISH');
    assert.deepEqual(
      [kept.topic, kept.retain, kept.properties],
      ['kept', true, { responseTopic: 'answers/1', contentType: 'x' }],
    );
    outside.publish({ topic: 'plant/asked', properties: { responseTopic: 'far/away' } });
    await outside.expect('PUBLISH');
    assert.deepEqual((await inside.expect('PUBLISH')).properties, {});
    const will = {
      topic: 'last',
      payload: Buffer.from('bye'),
      qos: 0 as const,
      retain: false,
      properties: { responseTopic: 'answers/2' },
    };
    const dying = await bench.connect(`dying-${round}`, { will }, PLANT);
    dying.drop();
    const bye = await outside.expect('PUBLISH');
    assert.deepEqual([bye.topic, bye.payload], ['plant/last', 'bye']);
    assert.equal(bye.properties?.responseTopic, 'plant/answers/2');
    assert.equal((await inside.expect('PUBLISH')).topic, 'last');
    inside.publish({ topic: 'kept', retain: true });
    await inside.expect('PUBLISH');
  });

  test('holds inside of the forms that wrap a name M150', async () => {
    inside.subscribe(1, [
      { filter: '$share/g/s' },
      { filter: '$queue/q' },
      { filter: '$exclusive/e' },
      { filter: '$share/g' },
    ]);
    assert.deepEqual((await inside.expect('SUBACK')).codes, [0, 0, 0, 0x8f]);
    for (const name of ['s', 'q', 'e']) {
      outside.publish({ topic: name });
      outside.publish({ topic: `plant/${name}` });
      assert.equal((await inside.expect('PUBLISH')).topic, name);
    }
    await inside.subscribed('later');
    inside.publish({ topic: '$delayed/5/later', qos: 1 });
    assert.equal((await inside.expect('PUBACK')).reason, 0);
    bench.pass(6000);
    assert.equal((await inside.expect('PUBLISH')).topic, 'later');
    assert.deepEqual(await inside.quiet(), []);
  });

  test('may be the name of the client, where that can be a level M150', async () => {
    const joe = await bench.connect('joe', {}, TENANTS);
    await outside.subscribed('tenants/#');
    joe.publish({ topic: 'x' });
    assert.equal((await outside.expect('PUBLISH')).topic, 'tenants/joe/x');
    const sly = bench.client(TENANTS);
    sly.connect('joe/x');
    assert.equal((await sly.expect('CONNACK')).reason, 0x87);
  });

  test('of another listener ends what a session has outside of it M150', async () => {
    const id = `roamer-${round}`;
    const first = await bench.connect(id, SESSION);
    first.subscribe(1, [
      { filter: 'free/#', qos: 1 },
      { filter: 'plant/x', qos: 1 },
    ]);
    await first.expect('SUBACK');
    first.drop();
    outside.publish({ topic: 'free/1', qos: 1, packetId: 1 });
    outside.publish({ topic: 'plant/x', qos: 1, packetId: 2 });
    await outside.expect('PUBACK');
    await outside.expect('PUBACK');
    const again = bench.client(PLANT);
    again.connect(id, SESSION);
    assert.equal((await again.expect('CONNACK')).sessionPresent, true);
    assert.equal((await again.expect('PUBLISH')).topic, 'x');
    outside.publish({ topic: 'free/2', qos: 1, packetId: 3 });
    await outside.expect('PUBACK');
    assert.deepEqual(await again.quiet(), []);
    assert.equal(bench.room.sessions.get(id)?.subscriptionCount, 1);
  });

  test('is checked at the start, and rules see the whole name M82 M150', async () => {
    for (const wrong of ['a/#', '+/b', '$SYS', '/a', 'a//b', '${user}/a']) {
      assert.throws(() => checkMountPoint(wrong), /are meant/, wrong);
    }
    for (const right of ['', 'a', 'a/b/', '${username}', 'x-${clientid}/y']) checkMountPoint(right);
    assert.equal(mountPointOf('${username}', 'c', '$SYS'), null);
    bench.host.broker.principals.putRule({
      ...{ id: 'no-secrets', effect: 'deny', principal: '*', actions: ['publish', 'subscribe'] },
      pattern: 'plant/secret/#',
    });
    inside.publish({ topic: 'secret/1', qos: 1 });
    assert.equal((await inside.expect('PUBACK')).reason, 0x87);
    inside.subscribe(2, [{ filter: 'secret/#' }]);
    assert.deepEqual((await inside.expect('SUBACK')).codes, [0x87]);
  });
});
