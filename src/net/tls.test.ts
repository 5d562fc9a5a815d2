/** TLS on listeners with certificates of an authority: names, reload, revocation, identity. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import type { Connection, ListenerPlan } from '#contract';
import { defaults, Metrics, realClock, realTimers, silentLog } from '#kit';
import { Authority } from '../../test/contract/authority.ts';
import { Listeners } from './listeners.ts';
import { LISTENER_OPTIONS, type ListenerSettings, NET_OPTIONS } from './net-options.ts';
import { TlsKeyRing } from './tls/tls-keys.ts';
import { Turn } from './turn.ts';

const folder = mkdtempSync(join(tmpdir(), 'net-tls-'));
after(() => rmSync(folder, { recursive: true }));
const authority = new Authority(join(folder, 'ca'));
const one = authority.issue('one', '/CN=one.test', 'DNS:one.test,DNS:localhost');
const two = authority.issue('two', '/CN=two.test', 'DNS:*.two.test');
const client = authority.issue(
  'client',
  '/O=Plant/OU=Line 7/CN=robot-7',
  'DNS:robot.example,email:robot@example.org,URI:urn:robot:7',
);

interface Rig {
  readonly port: number;
  readonly accepted: Connection[];
  readonly keyRing: TlsKeyRing;
}

async function rig(
  t: TestContext,
  settings: Partial<ListenerSettings>,
  plan: Partial<ListenerPlan> = {},
): Promise<Rig> {
  const keyRing = new TlsKeyRing(realTimers, silentLog);
  const listeners = new Listeners({
    options: defaults(NET_OPTIONS),
    settingsOf: () => ({
      ...defaults(LISTENER_OPTIONS),
      ...{ cert: [one.cert], key: [one.key], watch: false },
      ...settings,
    }),
    keyRing,
    ...{ clock: realClock, turn: new Turn(realTimers), log: silentLog, metrics: new Metrics() },
  });
  t.after(() => {
    listeners.close();
    keyRing.close();
  });
  const accepted: Connection[] = [];
  const whole = { name: 'toy', transport: 'tls', listen: ['127.0.0.1:0'], ...plan } as const;
  await listeners.open(whole, (connection) => {
    accepted.push(connection);
    connection.handle({
      data: (chunk) => void connection.write(chunk),
      drain() {},
      closed() {},
    });
  });
  return { port: listeners.bound('toy')[0]!.port, accepted, keyRing };
}

async function dial(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({
    ...{ port, host: '127.0.0.1', servername: 'one.test', ca: authority.caText },
    ...options,
  });
  await once(socket, 'secureConnect');
  return socket;
}

/** The echo of a text: the server has let the client in. In TLS 1.3 a refusal comes only here. */
async function echo(socket: TLSSocket): Promise<string> {
  socket.write('hello');
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  socket.once('data', (chunk) => resolve(chunk.toString()));
  socket.once('error', reject);
  socket.once('close', () => reject(new Error('closed')));
  return promise;
}

const shown = { cert: readFileSync(client.cert), key: readFileSync(client.key) };

test('of several certificates the one is shown whose name is asked for, else the first M153', async (t) => {
  const { port } = await rig(t, { cert: [one.cert, two.cert], key: [one.key, two.key] });
  for (const [servername, name] of [
    ['one.test', 'one.test'],
    ['a.two.test', 'two.test'],
    ['localhost', 'one.test'],
  ] as const) {
    const socket = await dial(port, { servername });
    assert.equal(socket.getPeerCertificate().subject.CN, name);
    socket.destroy();
  }
  const other = await dial(port, { servername: 'unknown', rejectUnauthorized: false });
  assert.equal(other.getPeerCertificate().subject.CN, 'one.test');
  other.destroy();
});

test('ALPN agrees on the name of the protocol; without it nothing is agreed, another one fails M153', async (t) => {
  const { port } = await rig(t, {}, { alpn: ['mqtt'] });
  const agreed = await dial(port, { ALPNProtocols: ['x', 'mqtt'] });
  assert.equal(agreed.alpnProtocol, 'mqtt');
  agreed.destroy();
  const silent = await dial(port);
  assert.equal(silent.alpnProtocol, false);
  silent.destroy();
  await assert.rejects(dial(port, { ALPNProtocols: ['h2'] }), /no application protocol/i);
});

test('TLS 1.2 can be refused, and the list of ciphers is kept to M153', async (t) => {
  const modern = await rig(t, { minVersion: '1.3' });
  await assert.rejects(dial(modern.port, { maxVersion: 'TLSv1.2' }), /protocol version/i);
  const narrow = await rig(t, { ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384' });
  const socket = await dial(narrow.port, { maxVersion: 'TLSv1.2' });
  assert.equal(socket.getCipher().name, 'ECDHE-ECDSA-AES256-GCM-SHA384');
  socket.destroy();
  const ciphers = 'ECDHE-ECDSA-AES128-GCM-SHA256';
  await assert.rejects(dial(narrow.port, { maxVersion: 'TLSv1.2', ciphers }), /handshake failure/i);
});

test('new files are used by new handshakes, and open connections go on M153', async (t) => {
  const cert = join(folder, 'live.pem');
  const key = join(folder, 'live.key');
  copyFileSync(one.cert, cert);
  copyFileSync(one.key, key);
  const { port, keyRing } = await rig(t, { cert: [cert], key: [key] });
  const before = await dial(port);
  assert.equal(await echo(before), 'hello');
  copyFileSync(two.cert, cert);
  // The key does not fit yet: nothing changes.
  await assert.rejects(keyRing.reload(), /cannot be used/);
  const between = await dial(port);
  assert.equal(between.getPeerCertificate().subject.CN, 'one.test');
  copyFileSync(two.key, key);
  assert.equal(await keyRing.reload(), 1);
  assert.equal(await keyRing.reload(), 0);
  for (const servername of ['a.two.test', 'unknown']) {
    const socket = await dial(port, { servername, rejectUnauthorized: false });
    assert.equal(socket.getPeerCertificate().subject.CN, 'two.test');
    socket.destroy();
  }
  assert.equal(await echo(before), 'hello');
  assert.equal(await echo(between), 'hello');
  before.destroy();
  between.destroy();
});

test('changed files are seen by themselves, also when they are replaced by a rename M153', async (t) => {
  const place = mkdtempSync(join(folder, 'watched-'));
  const [cert, key] = [join(place, 'live.pem'), join(place, 'live.key')];
  copyFileSync(one.cert, cert);
  copyFileSync(one.key, key);
  const settings = { cert: [cert], key: [key], watch: true };
  const { port, keyRing } = await rig(t, settings);
  const keys = (await keyRing.keysFor({ ...defaults(LISTENER_OPTIONS), ...settings }))!;
  const { promise: changed, resolve } = Promise.withResolvers<void>();
  keys.onChange(() => resolve());
  copyFileSync(two.cert, join(place, 'new.pem'));
  copyFileSync(two.key, join(place, 'new.key'));
  renameSync(join(place, 'new.key'), key);
  renameSync(join(place, 'new.pem'), cert);
  await changed;
  const socket = await dial(port, { rejectUnauthorized: false });
  assert.equal(socket.getPeerCertificate().subject.CN, 'two.test');
  socket.destroy();
});

test('an OCSP response is stapled to the certificate that it is about, and to no other M153', async (t) => {
  const ocsp = authority.attest(one);
  const settings = { cert: [one.cert, two.cert], key: [one.key, two.key], ocsp: [ocsp] };
  const { port } = await rig(t, settings);
  for (const [servername, expected] of [
    ['one.test', readFileSync(ocsp)],
    ['a.two.test', null],
  ] as const) {
    const about = { port, host: '127.0.0.1', servername, ca: authority.caText, requestOCSP: true };
    const socket = connect(about);
    const stapled = once(socket, 'OCSPResponse');
    await once(socket, 'secureConnect');
    assert.deepEqual((await stapled)[0], expected);
    socket.destroy();
  }
});

test('a client must show a good certificate where one is required, and may where it is optional M153', async (t) => {
  const required = await rig(t, { ca: authority.ca });
  const good = await dial(required.port, shown);
  assert.equal(await echo(good), 'hello');
  good.destroy();
  await assert.rejects(dial(required.port).then(echo));
  const foreign = new Authority(join(folder, 'foreign')).issue('stranger', '/CN=x', 'DNS:x');
  const strange = { cert: readFileSync(foreign.cert), key: readFileSync(foreign.key) };
  await assert.rejects(dial(required.port, strange).then(echo));
  const optional = await rig(t, { ca: authority.ca, verify: 'optional' });
  const without = await dial(optional.port);
  assert.equal(await echo(without), 'hello');
  assert.equal(optional.accepted[0]!.peer.identity, undefined);
  without.destroy();
  await assert.rejects(dial(optional.port, strange).then(echo));
});

test('a revoked client is refused as soon as the list was loaded again M153', async (t) => {
  const settings = { ca: authority.ca, crl: authority.crl };
  const { port, keyRing } = await rig(t, settings);
  const revoked = authority.issue('revoked', '/CN=gone', 'DNS:gone');
  const own = { cert: readFileSync(revoked.cert), key: readFileSync(revoked.key) };
  const before = await dial(port, own);
  assert.equal(await echo(before), 'hello');
  const session = before.getSession();
  before.destroy();
  authority.revoke(revoked);
  assert.equal(await keyRing.reload(), 1);
  await assert.rejects(dial(port, own).then(echo));
  await assert.rejects(dial(port, { ...own, session: session! }).then(echo));
  const other = await dial(port, shown);
  assert.equal(await echo(other), 'hello');
  other.destroy();
});

test('a certificate names the user and the client, each from the part that was chosen M154', async (t) => {
  const digest = /^[0-9a-f]{64}$/;
  for (const [source, expected] of [
    ['none', null],
    ['cn', 'robot-7'],
    ['dn', 'CN=robot-7,OU=Line 7,O=Plant'],
    ['san-dns', 'robot.example'],
    ['san-email', 'robot@example.org'],
    ['san-uri', 'urn:robot:7'],
    ['digest', digest],
  ] as const) {
    const settings = { ca: authority.ca, identityUser: source, identityClientId: source };
    const { port, accepted } = await rig(t, settings);
    const socket = await dial(port, shown);
    assert.equal(await echo(socket), 'hello');
    const { identity } = accepted[0]!.peer;
    assert.equal(identity?.commonName, 'robot-7');
    if (expected instanceof RegExp) assert.match(identity.user!, expected);
    else assert.equal(identity.user, expected);
    assert.equal(identity.clientId, identity.user);
    socket.destroy();
  }
});

test('rules make the name of the user from the certificate K74 M154', async (t) => {
  const identityUserRules = 'RULE:^CN=(.*?),OU=Line 7,.*$/$1/U,DEFAULT';
  const settings = { ca: authority.ca, identityUser: 'dn', identityUserRules };
  const { port, accepted } = await rig(t, settings);
  const socket = await dial(port, shown);
  assert.equal(await echo(socket), 'hello');
  assert.equal(accepted[0]!.peer.identity?.user, 'ROBOT-7');
  socket.destroy();
});

test('settings that cannot work stop the start with a sentence M153', async (t) => {
  for (const [settings, sentence] of [
    [{ cert: [one.cert], key: [] }, /needed together/],
    [{ cert: [one.cert], key: [two.key] }, /cannot be used/],
    [{ verify: 'required' }, /needs the authorities/],
    [{ crl: authority.crl }, /none are asked for/],
    [{ ca: '/nowhere/ca.pem' }, /tls\.ca/],
    [{ identityUserRules: 'RULE:a/b' }, /is no rule/],
  ] as const) {
    await assert.rejects(rig(t, settings as Partial<ListenerSettings>), sentence);
  }
});

test('an upgrade in place asks for the certificate as well, and knows who showed it M153 M154 N45', async (t) => {
  const { port, accepted } = await upgrading(t);
  const good = await dial(port, shown);
  assert.equal(await echo(good), 'hello');
  assert.equal(accepted[0]!.peer.identity?.user, 'robot-7');
  assert.equal(accepted[0]!.encrypted, true);
  good.destroy();
  await assert.rejects(dial(port).then(echo));
});

async function upgrading(t: TestContext): Promise<Rig> {
  const keyRing = new TlsKeyRing(realTimers, silentLog);
  const listeners = new Listeners({
    options: defaults(NET_OPTIONS),
    settingsOf: () => ({
      ...defaults(LISTENER_OPTIONS),
      ...{ cert: [one.cert], key: [one.key], ca: authority.ca, watch: false, identityUser: 'cn' },
    }),
    keyRing,
    ...{ clock: realClock, turn: new Turn(realTimers), log: silentLog, metrics: new Metrics() },
  });
  t.after(() => listeners.close());
  const accepted: Connection[] = [];
  const plan = {
    name: 'toy',
    transport: 'tcp',
    listen: ['127.0.0.1:0'],
    upgradable: true,
  } as const;
  await listeners.open(plan, (connection) => {
    accepted.push(connection);
    connection.handle({
      data(chunk) {
        if (connection.encrypted || chunk[0] !== 0x16) connection.write(chunk);
        else connection.startTls(chunk);
      },
      drain() {},
      closed() {},
    });
  });
  return { port: listeners.bound('toy')[0]!.port, accepted, keyRing };
}
