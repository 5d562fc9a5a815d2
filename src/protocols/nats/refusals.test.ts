import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { ManualTimers, openTestHost } from '../../../test/contract/test-host.ts';
import { dial, Rig, ready, said } from './client.fixture.ts';

const rig = new Rig();
describe('NATS: refusals', () => {
  before(() => rig.start());
  afterEach(() => rig.closeInstances());
  after(() => rig.stop());

  test('errors that end the connection have the words that clients compare N11', async () => {
    for (const [bytes, words] of [
      ['FOO\r\n', 'Unknown Protocol Operation'],
      ['PUB a b c d\r\n', 'Parser Error'],
      ['CONNECT {"verbose":1}\r\n', 'Parser Error'],
      ['CONNECT nonsense\r\n', 'Parser Error'],
      [`PUB a ${(1 << 20) + 1}\r\n`, 'Maximum Payload Violation'],
      [`SUB ${'x'.repeat(5000)} 1\r\n`, 'Maximum Control Line Exceeded'],
      ['HPUB a 4 4\r\nabcd\r\n', 'Parser Error'],
      ['CONNECT {"auth_token":"t"}\r\n', 'Authorization Violation'],
      ['CONNECT {"nkey":"U"}\r\n', 'Authorization Violation'],
      ['CONNECT {"user":"admin","pass":"wrong"}\r\n', 'Authorization Violation'],
      ['CONNECT {"tls_required":true}\r\n', 'Secure Connection - TLS Required'],
      ['CONNECT {"protocol":2}\r\n', 'invalid client protocol'],
      ['CONNECT {"no_responders":true}\r\n', 'no responders requires headers support'],
    ] as const) {
      const client = await ready(rig.open());
      client.send(bytes);
      await client.closed;
      assert.equal(client.take().toString(), `-ERR '${words}'\r\n`, bytes);
    }
  });

  test('invalid subjects are told and leave the connection open N6 N11 N16', async () => {
    const client = await ready(rig.open(), 'CONNECT {"verbose":false,"pedantic":true}\r\n');
    client.send('SUB a..b 1\r\nSUB a.>.b 1\r\nPUB a.* 1\r\nx\r\nPUB .a 1\r\nx\r\nPING\r\n');
    assert.equal(
      await said(client),
      "-ERR 'Invalid Subject'\r\n-ERR 'Invalid Subject'\r\n" +
        "-ERR 'Invalid Publish Subject'\r\n-ERR 'Invalid Publish Subject'\r\nPONG\r\n",
    );
    const lenient = await ready(rig.open());
    lenient.send('SUB a.* 1\r\nPUB a.* 1\r\nx\r\nPUB .a 1\r\nx\r\nPING\r\n');
    assert.equal(await said(lenient), 'MSG a.* 1 1\r\nx\r\nPONG\r\n');
  });

  test('replies under names of servers are refused, and nothing is delivered N22', async () => {
    const client = await ready(rig.open());
    client.send('SUB r 1\r\nPUB r _R_.x 1\r\na\r\nPING\r\n');
    assert.equal(
      await said(client),
      `-ERR 'Permissions Violation for Publish with Reply of "_R_.x"'\r\nPONG\r\n`,
    );
  });

  test('a right that is missing is told by name and leaves the connection open N11 N46', async () => {
    const { principals } = rig.host.broker;
    const rule = { principal: 'anonymous', effect: 'deny', pattern: 'secret/#' } as const;
    principals.putRule({ ...rule, id: 'n46', actions: ['publish', 'subscribe'] });
    const instance = rig.open();
    const client = await ready(instance);
    client.send(
      'SUB secret.a 1\r\nSUB secret.> q 2\r\nPUB secret.a 1\r\nx\r\nSUB open 3\r\nPUB open 0\r\n\r\n',
    );
    const text = await said(client);
    principals.removeRule('n46');
    assert.deepEqual(text.split('\r\n'), [
      `-ERR 'Permissions Violation for Subscription to "secret.a"'`,
      `-ERR 'Permissions Violation for Subscription to "secret.>" using queue "q"'`,
      `-ERR 'Permissions Violation for Publish to "secret.a"'`,
      'MSG open 3 0',
      '',
      '',
    ]);
  });

  test('user and password are checked before any further command is read N4 N40', async () => {
    const client = dial(rig.open());
    client.take();
    client.send(
      'CONNECT {"user":"admin","pass":"robustmq","verbose":false}\r\nSUB x 1\r\nPUB x 1\r\ny\r\nPING\r\n',
    );
    assert.equal((await client.readThrough('PONG\r\n')).toString(), 'MSG x 1 1\r\ny\r\nPONG\r\n');
  });

  test('where a token is set, it or user and password are needed, and let in from anywhere N4 N40', async () => {
    const instance = rig.open({ token: 's3cret' });
    const far = { peer: { loopback: false, address: '192.0.2.1' } };
    for (const peer of [{}, far]) {
      const client = dial(instance, peer);
      assert.equal(JSON.parse(client.take().toString().slice(5)).auth_required, true);
      client.send('CONNECT {"auth_token":"s3cret","verbose":false}\r\nPING\r\n');
      assert.equal(await said(client), 'PONG\r\n');
      // A second CONNECT has to prove itself as well.
      client.send('CONNECT {"verbose":false}\r\nPING\r\n');
      await client.closed;
      assert.equal(client.take().toString(), "-ERR 'Authorization Violation'\r\n");
    }
    const user = dial(instance);
    user.take();
    user.send('CONNECT {"user":"admin","pass":"robustmq","verbose":false}\r\nPING\r\n');
    assert.equal((await user.readThrough('PONG\r\n')).toString(), 'PONG\r\n');
    for (const first of [
      'SUB a 1\r\n',
      'CONNECT {}\r\n',
      'CONNECT {"auth_token":"s3cre"}\r\n',
      'CONNECT {"auth_token":"S3cret"}\r\n',
      'CONNECT {"auth_token":"x","user":"admin","pass":"robustmq"}\r\n',
      'CONNECT {"user":"s3cret"}\r\n',
    ]) {
      const client = dial(instance);
      client.take();
      client.send(first);
      await client.closed;
      assert.equal(client.take().toString(), "-ERR 'Authorization Violation'\r\n", first);
    }
  });

  test('credentials are needed away from loopback, and CONNECT has its time N1 N14', async () => {
    const timers = new ManualTimers();
    const slow = await openTestHost({ timers });
    const far = { peer: { loopback: false, address: '192.0.2.1' } };
    const instance = rig.open({}, slow);
    const silent = dial(instance, far);
    assert.equal(JSON.parse(silent.take().toString().slice(5)).auth_required, true);
    timers.pass(1999);
    assert.equal(silent.take().length, 0);
    timers.pass(1);
    await silent.closed;
    assert.equal(silent.take().toString(), "-ERR 'Authentication Timeout'\r\n");
    for (const first of ['PING\r\n', 'CONNECT {}\r\n', 'SUB a 1\r\n']) {
      const client = dial(instance, far);
      client.take();
      client.send(first);
      await client.closed;
      assert.equal(client.take().toString(), "-ERR 'Authorization Violation'\r\n");
    }
    assert.equal(timers.count, 0);
    await rig.close(slow);
  });

  test('a silent client is pinged, and is stale after two unanswered pings N13', async () => {
    const timers = new ManualTimers();
    const slow = await openTestHost({ timers });
    const instance = rig.open({}, slow);
    const client = dial(instance);
    client.send('CONNECT {"verbose":false}\r\n');
    client.take();
    timers.pass(2000);
    assert.equal(await said(client), 'PING\r\n');
    client.send('PONG\r\n');
    timers.pass(120_000);
    assert.equal(await said(client), '');
    timers.pass(120_000);
    assert.equal(await said(client), 'PING\r\n');
    timers.pass(120_000);
    assert.equal(await said(client), 'PING\r\n');
    timers.pass(120_000);
    await client.closed;
    assert.equal(client.take().toString(), "-ERR 'Stale Connection'\r\n");
    assert.equal(timers.count, 0);
    await rig.close(slow);
  });

  test('a client that does not read is closed at its bound, and nobody else waits for it N15', async () => {
    const instance = rig.open({ pendingBytesMax: 1 << 20, stallTime: 0 });
    const [slow, fast, writer] = [
      await ready(instance),
      await ready(instance),
      await ready(instance),
    ];
    slow.send('SUB s 1\r\n');
    fast.send('SUB s 1\r\n');
    slow.hold();
    const body = 'x'.repeat(100_000);
    for (let index = 0; index < 30; index++) {
      writer.send(`PUB s ${body.length}\r\n${body}\r\n`);
      await turn();
    }
    await slow.closed;
    assert.match(slow.connection.destroyReason ?? '', /^Slow Consumer/);
    assert.equal((await said(fast)).split('MSG').length - 1, 30);
  });

  test('bytes that do not leave within the write deadline close the connection N15', async () => {
    const timers = new ManualTimers();
    const host2 = await openTestHost({ timers });
    const instance = rig.open({ stallTime: 0 }, host2);
    const [slow, writer] = [await ready(instance), await ready(instance)];
    slow.send('SUB s 1\r\n');
    slow.hold();
    const body = 'x'.repeat(100_000);
    writer.send(`PUB s ${body.length}\r\n${body}\r\nPUB s ${body.length}\r\n${body}\r\n`);
    await turn();
    timers.pass(9_999);
    assert.equal(slow.connection.destroyReason, null);
    timers.pass(1);
    await slow.closed;
    assert.match(slow.connection.destroyReason ?? '', /^Slow Consumer/);
    await rig.close(host2);
  });

  test('a publisher pauses while its subscriber is far behind, and only for a moment N15', async () => {
    const timers = new ManualTimers();
    const host2 = await openTestHost({ timers });
    const instance = rig.open({ pendingBytesMax: 1 << 20 }, host2);
    const [slow, writer] = [await ready(instance), await ready(instance)];
    slow.send('SUB s 1\r\n');
    slow.hold();
    const body = 'x'.repeat(200_000);
    const frame = `PUB s ${body.length}\r\n${body}\r\n`;
    for (let index = 0; index < 3; index++) {
      writer.send(frame);
      await turn();
    }
    assert.equal(writer.connection.paused, true);
    timers.pass(10);
    assert.equal(writer.connection.paused, false);
    writer.send(frame);
    await turn();
    assert.equal(writer.connection.paused, true);
    slow.release();
    assert.equal(writer.connection.paused, false);
    await rig.close(host2);
  });

  test('a client that asks and never reads the answers is closed at its bound N15', async () => {
    const client = await ready(rig.open({ pendingBytesMax: 200_000 }));
    client.hold();
    for (let index = 0; index < 20; index++) {
      client.send('PING\r\n'.repeat(5000));
      await turn();
    }
    await client.closed;
    assert.match(client.connection.destroyReason ?? '', /^Slow Consumer/);
  });

  test('subscriptions of one client are bounded N12', async () => {
    const client = await ready(rig.open({ subscriptionsMax: 2 }));
    client.send('SUB a 1\r\nSUB b 2\r\nSUB c 3\r\nUNSUB 1\r\nSUB d 4\r\nPING\r\n');
    assert.equal(await said(client), "-ERR 'maximum subscriptions exceeded'\r\nPONG\r\n");
  });

  test('connections are bounded N11 N12', async () => {
    const instance = rig.open({ connectionsMax: 1 });
    const first = dial(instance);
    const second = dial(instance);
    assert.equal(second.take().toString(), "-ERR 'Maximum Connections Exceeded'\r\n");
    first.close();
    await first.closed;
    assert.match(dial(instance).take().toString(), /^INFO/);
  });

  test('a TLS handshake in the first byte upgrades the connection where TLS is configured N45', async () => {
    const instance = rig.open({ tlsRequired: true });
    const upgradable = { terms: { upgradable: true } };
    const client = dial(instance, upgradable);
    const info = JSON.parse(client.take().toString().slice(5));
    assert.equal(info.tls_available, true);
    assert.equal(info.tls_required, true);
    client.send(Buffer.of(0x16, 3, 1, 0, 5));
    assert.equal(client.connection.encrypted, true);
    client.send('CONNECT {"verbose":false,"tls_required":true}\r\nPING\r\n');
    assert.equal(await said(client), 'PONG\r\n');
    const plain = dial(instance, upgradable);
    plain.take();
    plain.send('CONNECT {"verbose":false}\r\n');
    await plain.closed;
    assert.equal(plain.take().toString(), "-ERR 'Secure Connection - TLS Required'\r\n");
  });
});
