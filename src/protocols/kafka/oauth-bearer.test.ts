import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { BrokerError } from '#kit';
import { ManualTimers, openTestHost, type TestHost } from '../../../test/contract/test-host.ts';
import { Client, openRoom } from './client.fixture.ts';
import { KAFKA } from './error-codes.ts';
import { metadata } from './messages/03-metadata.ts';
import { saslHandshake } from './messages/17-sasl-handshake.ts';
import { saslAuthenticate } from './messages/36-sasl-authenticate.ts';
import { readBearerMessage } from './oauth-bearer.ts';
import type { Room } from './room.ts';

const PEER = { address: '192.0.2.1', loopback: false };
const message = (token: string, name = '') =>
  Buffer.from(`n,${name === '' ? '' : `a=${name}`},\x01auth=Bearer ${token}\x01\x01`);

describe('OAUTHBEARER', () => {
  const timers = new ManualTimers();
  let host: TestHost;
  let room: Room;
  before(async () => {
    host = await openTestHost({ timers, clock: timers.clock });
    room = openRoom(host, { failedAuthenticationDelay: 0 });
    await host.broker.principals.setUser('ann', 'secret', { superuser: true });
    await host.broker.principals.setUser('bob', 'secret', { superuser: true });
  });
  after(async () => {
    const closing = room.close();
    timers.pass(10_000);
    await closing;
    await host.close();
  });

  /** What tokens are worth is the server's matter: here one is a name, and holds a minute. */
  function accept(): void {
    host.broker.principals.tokens = {
      check(token) {
        if (token === 'forged') return Promise.reject(new BrokerError('bad-credentials'));
        return Promise.resolve({ user: token, endsAtMs: timers.clock.nowMs() + 60_000 });
      },
    };
  }

  async function logIn(client: Client, authBytes: Buffer) {
    const { errorCode } = await client.ask(saslHandshake, 1, { mechanism: 'OAUTHBEARER' });
    assert.equal(errorCode, KAFKA.NONE);
    client.send(saslAuthenticate, 2, { authBytes });
    const answer = client.receive(saslAuthenticate, 2);
    let isThere = false;
    answer.then(() => {
      isThere = true;
    });
    while (!isThere) {
      timers.pass(0);
      await new Promise((resolve) => setImmediate(resolve));
    }
    return answer;
  }

  it('is told only where the tokens of somebody count K74', async () => {
    const client = new Client(room, { peer: PEER });
    const refused = await client.ask(saslHandshake, 1, { mechanism: 'OAUTHBEARER' });
    assert.equal(refused.errorCode, KAFKA.UNSUPPORTED_SASL_MECHANISM);
    assert.ok(!refused.mechanisms.includes('OAUTHBEARER'));
    accept();
    const other = new Client(room, { peer: PEER });
    const told = await other.ask(saslHandshake, 1, { mechanism: 'OAUTHBEARER' });
    assert.ok(told.mechanisms.includes('OAUTHBEARER'));
  });

  it('logs in a user for as long as the token holds; then a new one must come K74', async () => {
    accept();
    const client = new Client(room, { peer: PEER });
    const answer = await logIn(client, message('ann', 'ann'));
    assert.deepEqual([answer.errorCode, answer.sessionLifetimeMs], [KAFKA.NONE, 60_000]);
    timers.pass(59_000);
    assert.equal((await client.ask(metadata, 8, { topics: [] })).controllerId, 0);
    assert.equal((await logIn(client, message('ann'))).errorCode, KAFKA.NONE);
    timers.pass(59_000);
    assert.equal((await client.ask(metadata, 8, { topics: [] })).controllerId, 0);
    timers.pass(1_000);
    client.send(metadata, 8, { topics: [] });
    await client.memory.closed;
  });

  it('refuses a bad token, an unknown user, another name, and another user later K74', async () => {
    accept();
    for (const bytes of [message('forged'), message('nobody'), message('ann', 'bob')]) {
      const client = new Client(room, { peer: PEER });
      const answer = await logIn(client, bytes);
      assert.equal(answer.errorCode, KAFKA.SASL_AUTHENTICATION_FAILED);
      await client.memory.closed;
    }
    const client = new Client(room, { peer: PEER });
    assert.equal((await logIn(client, message('ann'))).errorCode, KAFKA.NONE);
    const other = await logIn(client, message('bob'));
    assert.equal(other.errorCode, KAFKA.SASL_AUTHENTICATION_FAILED);
  });

  it('reads what RFC 7628 says, and nothing else K74', () => {
    const good = 'n,a=a=2Cb=3D,\x01host=x\x01auth=bearer to.k-en\x01port=1\x01\x01';
    assert.deepEqual(readBearerMessage(Buffer.from(good)), {
      ...{ authorizationId: 'a,b=', token: 'to.k-en' },
    });
    const wrong = [
      '',
      '\x01',
      'n,,\x01\x01',
      'n,,\x01auth=Bearer \x01\x01',
      'n,,\x01auth=Basic x\x01\x01',
      'n,,\x01auth=Bearer x\x01',
      'n,,\x01auth=Bearer x\x01auth=Bearer y\x01\x01',
      'y,,\x01auth=Bearer x\x01\x01',
      'p=tls-unique,,\x01auth=Bearer x\x01\x01',
      'n,,\x01auth=Bearer x\x01\x01more',
    ];
    for (const text of wrong) {
      assert.throws(() => readBearerMessage(Buffer.from(text)), { code: 'malformed' }, text);
    }
    assert.throws(() => readBearerMessage(Buffer.of(0x6e, 0xff)), { code: 'malformed' });
  });
});
