import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { ScramClient, type ScramName } from '../../../test/contract/scram-client.ts';
import { Bench, type Shown, type TestClient } from './client.fixture.ts';
import { encodeAuth, REASON } from './codec/index.ts';

const REMOTE = { peer: { address: '192.0.2.1', loopback: false } };
const ALLOWED = { qos: 1, topic: 't', payload: 'x' } as const;

describe('MQTT: enhanced login', () => {
  let bench: Bench;

  beforeEach(async () => {
    bench = await Bench.open();
    await bench.host.broker.principals.setUser('joe', 'secret', { superuser: false });
  });
  afterEach(() => bench.close());

  function authenticate(client: TestClient, reason: number, method: string, data?: Buffer): void {
    const properties = {
      authenticationMethod: method,
      ...(data === undefined ? {} : { authenticationData: data }),
    };
    client.send(encodeAuth({ reason, properties }));
  }

  /** Connects by SCRAM; the answer to the last message. */
  async function login(
    client: TestClient,
    method: ScramName,
    user = 'joe',
    password = 'secret',
  ): Promise<{ readonly answer: Shown; readonly side: ScramClient }> {
    const side = new ScramClient(method, user, password);
    const properties = { authenticationMethod: method, authenticationData: side.first };
    client.connect('c1', { properties });
    const first = await client.expect('AUTH');
    assert.equal(first.reason, REASON.continueAuthentication);
    assert.equal(first.properties!.authenticationMethod, method);
    const data = side.final(first.properties!.authenticationData!);
    authenticate(client, REASON.continueAuthentication, method, data);
    return { answer: await client.next(), side };
  }

  describe('enhanced authentication', () => {
    for (const method of ['SCRAM-SHA-256', 'SCRAM-SHA-512'] as const) {
      it(`${method}: the exchange ends in CONNACK with the server's signature [MQTT-4.12.0-1] M140 M145`, async () => {
        const client = bench.client(REMOTE);
        const { answer, side } = await login(client, method);
        assert.equal(answer.type, 'CONNACK');
        assert.equal(answer.reason, REASON.success);
        assert.equal(answer.properties!.authenticationMethod, method);
        assert.equal(answer.properties!.authenticationData!.toString(), side.signature);
        client.publish({ ...ALLOWED, packetId: 1 });
        assert.equal((await client.expect('PUBACK')).reason, REASON.success);
      });

      it(`${method}: a wrong proof and an unknown user are refused alike M140`, async () => {
        for (const [user, password] of [
          ['joe', 'guess'],
          ['nobody', 'secret'],
        ] as const) {
          const client = bench.client(REMOTE);
          const { answer } = await login(client, method, user, password);
          assert.deepEqual([answer.type, answer.reason], ['CONNACK', REASON.notAuthorized]);
          await client.closed();
        }
      });
    }

    it('the first data may come in AUTH after an empty request for it M140', async () => {
      const client = bench.client(REMOTE);
      const method = 'SCRAM-SHA-256';
      const side = new ScramClient(method, 'joe', 'secret');
      client.connect('c1', { properties: { authenticationMethod: method } });
      assert.equal((await client.expect('AUTH')).properties!.authenticationData, undefined);
      authenticate(client, REASON.continueAuthentication, method, side.first);
      const { properties } = await client.expect('AUTH');
      const data = side.final(properties!.authenticationData!);
      authenticate(client, REASON.continueAuthentication, method, data);
      assert.equal((await client.expect('CONNACK')).reason, REASON.success);
    });

    it('a method that nobody knows is refused M141', async () => {
      for (const authenticationMethod of ['GS2-KRB5', 'SCRAM-SHA-1', 'PLAIN', '']) {
        const client = bench.client();
        client.connect('c1', { properties: { authenticationMethod } });
        const { reason } = await client.expect('CONNACK');
        assert.equal(reason, REASON.badAuthenticationMethod);
        await client.closed();
      }
    });

    it('nothing but AUTH and DISCONNECT may come before CONNACK [MQTT-3.1.2-30] M140', async () => {
      const client = bench.client(REMOTE);
      const side = new ScramClient('SCRAM-SHA-256', 'joe', 'secret');
      const properties = {
        authenticationMethod: 'SCRAM-SHA-256',
        authenticationData: side.first,
      };
      client.connect('c1', { properties });
      await client.expect('AUTH');
      client.publish(ALLOWED);
      assert.equal((await client.expect('CONNACK')).reason, REASON.protocolError);
      await client.closed();

      const leaving = bench.client(REMOTE);
      leaving.connect('c1', { properties });
      await leaving.expect('AUTH');
      leaving.send(Buffer.from([0xe0, 0]));
      await leaving.closed();
    });

    it('AUTH without a method in CONNECT, or with another one, is a protocol error [MQTT-4.12.0-6] M142', async () => {
      const plain = await bench.connect('c1');
      authenticate(plain, REASON.reAuthenticate, 'SCRAM-SHA-256');
      assert.equal((await plain.expect('DISCONNECT')).reason, REASON.protocolError);

      const other = bench.client(REMOTE);
      await login(other, 'SCRAM-SHA-256');
      authenticate(other, REASON.reAuthenticate, 'SCRAM-SHA-512');
      assert.equal((await other.expect('DISCONNECT')).reason, REASON.protocolError);
      await other.closed();
    });

    it('a reason code that does not belong here is a protocol error [MQTT-3.15.2-1] M144', async () => {
      for (const reason of [REASON.success, REASON.continueAuthentication]) {
        const client = bench.client(REMOTE);
        await login(client, 'SCRAM-SHA-256');
        authenticate(client, reason, 'SCRAM-SHA-256');
        assert.equal((await client.expect('DISCONNECT')).reason, REASON.protocolError);
      }
      const odd = bench.client(REMOTE);
      await login(odd, 'SCRAM-SHA-256');
      odd.send(Buffer.from([0xf0, 2, 0x04, 0]));
      assert.equal((await odd.expect('DISCONNECT')).reason, REASON.malformedPacket);
    });

    it('a client that is connected proves itself again while messages flow [MQTT-4.12.1-1] M143', async () => {
      const client = bench.client(REMOTE);
      const method = 'SCRAM-SHA-512';
      await login(client, method);
      const side = new ScramClient(method, 'joe', 'secret');
      authenticate(client, REASON.reAuthenticate, method, side.first);
      const { properties } = await client.expect('AUTH');
      client.publish({ ...ALLOWED, packetId: 2 });
      await client.expect('PUBACK');
      const data = side.final(properties!.authenticationData!);
      authenticate(client, REASON.continueAuthentication, method, data);
      const done = await client.expect('AUTH');
      assert.equal(done.reason, REASON.success);
      assert.equal(done.properties!.authenticationData!.toString(), side.signature);
    });

    it('a proof that fails, or is of another user, ends the connection [MQTT-4.12.1-2] M143', async () => {
      await bench.host.broker.principals.setUser('ann', 'secret', { superuser: false });
      for (const [user, password] of [
        ['joe', 'guess'],
        ['ann', 'secret'],
      ] as const) {
        const client = bench.client(REMOTE);
        const method = 'SCRAM-SHA-256';
        await login(client, method);
        const side = new ScramClient(method, user, password);
        authenticate(client, REASON.reAuthenticate, method, side.first);
        const { properties } = await client.expect('AUTH');
        const data = side.final(properties!.authenticationData!);
        authenticate(client, REASON.continueAuthentication, method, data);
        assert.equal((await client.expect('DISCONNECT')).reason, REASON.notAuthorized);
        await client.closed();
      }
    });

    it('a client that does not prove itself in time is refused M140', async () => {
      const client = bench.client(REMOTE);
      client.connect('c1', { properties: { authenticationMethod: 'SCRAM-SHA-256' } });
      await client.expect('AUTH');
      bench.pass(bench.options.connectTimeout + 1000);
      assert.equal((await client.expect('CONNACK')).reason, REASON.notAuthorized);
      await client.closed();
    });
  });

  describe('rights of clients', () => {
    it('a client of a user that is removed has to leave at once M177', async () => {
      const password = Buffer.from('secret');
      const client = await bench.connect('c1', { user: 'joe', password }, REMOTE);
      bench.host.broker.principals.removeUser('joe');
      assert.equal((await client.expect('DISCONNECT')).reason, REASON.notAuthorized);
      await client.closed();
    });

    it('a subscription that is not allowed any more ends, the others stay M176', async () => {
      const client = await bench.connect('c1');
      await client.subscribed('a/#');
      await client.subscribed('b/#');
      const rule = { id: 'r', effect: 'deny', principal: '*', actions: ['subscribe'] } as const;
      bench.host.broker.principals.putRule({ ...rule, pattern: 'a/x' });
      await client.quiet();
      const other = await bench.connect('c2');
      for (const topic of ['a/y', 'b/y']) other.publish({ topic, payload: topic });
      const got = await client.quiet();
      assert.deepEqual(
        got.map(({ topic }) => topic),
        ['b/y'],
      );
    });

    it('rules with the client identifier hold for its own topics only M174', async () => {
      const rule = { effect: 'allow', principal: '*', actions: ['all'] } as const;
      bench.host.broker.principals.putRule({ ...rule, id: 'r', pattern: 'd/${clientid}/#' });
      const client = await bench.connect('c1');
      client.publish({ topic: 'd/c1/x', qos: 1, packetId: 1 });
      assert.ok((await client.expect('PUBACK')).reason! < 0x80);
      client.publish({ topic: 'd/c2/x', qos: 1, packetId: 2 });
      assert.equal((await client.expect('PUBACK')).reason, REASON.notAuthorized);
      client.subscribe(3, [{ filter: 'd/c1/#' }, { filter: 'd/+/x' }]);
      assert.deepEqual((await client.expect('SUBACK')).codes, [0, REASON.notAuthorized]);
    });

    it('a will is published by the rules of its client, also after a crash M38 M174', async () => {
      const rule = { effect: 'allow', principal: '*', actions: ['all'] } as const;
      const { principals } = bench.host.broker;
      principals.putRule({ ...rule, id: 'r', pattern: 'w/${clientid}' });
      principals.putRule({ ...rule, id: 's', pattern: 'seen/#' });
      const payload = Buffer.from('gone');
      const will = { topic: 'w/c1', payload, qos: 0, retain: true, properties: {} } as const;
      const foreign = bench.client();
      foreign.connect('c2', { will });
      assert.equal((await foreign.expect('CONNACK')).reason, REASON.notAuthorized);
      await bench.connect('c1', { will, properties: { sessionExpirySec: 60 } });
      bench.restart();
      const watcher = await bench.connect('c1', { clean: false });
      await watcher.subscribed('w/c1');
      assert.equal((await watcher.expect('PUBLISH')).payload, 'gone');
    });

    it('a certificate names user and client identifier; a banned client stays out M178', async () => {
      const identity = { commonName: 'dev', digest: '', user: 'joe', clientId: 'dev-1' };
      const options = { peer: { ...REMOTE.peer, identity } };
      const client = bench.client(options);
      client.connect('other');
      const connack = await client.expect('CONNACK');
      assert.equal(connack.properties!.assignedClientId, 'dev-1');
      const banned = bench.client({ ...options, refuses: ({ clientId }) => clientId && 'banned' });
      banned.connect('other');
      assert.equal((await banned.expect('CONNACK')).reason, REASON.banned);
      await banned.closed();
    });
  });
});
