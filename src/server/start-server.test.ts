import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { BrokerError } from '#kit';
import { selfSigned } from '../../test/contract/self-signed.ts';
import { toy } from '../../test/contract/toy/index.ts';
import type { RunningServer } from './running-server.ts';
import { startServer } from './start-server.ts';

/** Servers of a folder: they write into it until they are closed. */
const serversOf = new Map<string, RunningServer[]>();

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'server-test-'));
  serversOf.set(folder, []);
  t.after(async () => {
    for (const server of serversOf.get(folder)!) await server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

async function start(
  t: TestContext,
  folder: string,
  set: Record<string, unknown> = {},
): Promise<RunningServer> {
  const server = await startServer({
    protocols: [toy],
    freePorts: true,
    set: { 'server.data-dir': folder, ...set },
  });
  const servers = serversOf.get(folder);
  if (servers === undefined) t.after(() => server.close());
  else servers.push(server);
  return server;
}

async function refusalOf(starting: Promise<RunningServer>): Promise<string> {
  try {
    await (await starting).close();
  } catch (error) {
    assert.ok(error instanceof BrokerError, String(error));
    return error.message;
  }
  throw new assert.AssertionError({ message: 'the server started' });
}

test('a stopped server starts again on its folder with the same id and streams', async (t) => {
  const folder = folderFor(t);
  const first = await start(t, folder);
  first.broker.streams.create('kept');
  await first.broker.streams.durable();
  assert.equal(await first.close(), true);
  const second = await start(t, folder);
  assert.equal(second.serverId, first.serverId);
  assert.ok(second.broker.streams.get('kept'));
});

test('a second server on a folder in use is refused', async (t) => {
  const folder = folderFor(t);
  const first = await start(t, folder);
  assert.match(await refusalOf(start(t, folder)), /in use|locked|another/i);
  await first.close();
  await start(t, folder);
});

test('a listener that others can reach is refused until a user is set up for them', async (t) => {
  const folder = folderFor(t);
  const exposed = { 'toy.listen': '0.0.0.0:0' };
  assert.match(
    await refusalOf(start(t, folder, exposed)),
    /The listener toy on 0\.0\.0\.0:0 could be reached by others.*set auth\.user and auth\.password/,
  );
  const admin = { 'admin.listen': '[::]:0' };
  assert.match(await refusalOf(start(t, folder, admin)), /The listener admin/);
  const half = { ...exposed, 'auth.user': 'ops' };
  assert.match(await refusalOf(start(t, folder, half)), /needed together/);

  const user = { 'auth.user': 'ops', 'auth.password': 'secret' };
  const server = await start(t, folder, { ...exposed, ...user });
  const { broker } = server;
  const credentials = { user: 'ops', password: 'secret', loopback: false };
  assert.equal((await broker.authenticate(credentials)).superuser, true);
  await server.close();
  // The user is stored: the password need not stay in the configuration.
  await start(t, folder, exposed);
});

test('a largest message that storage could not hold is refused', async (t) => {
  const set = { 'storage.wal-file-size': '16MiB', 'server.message-max': '8MiB' };
  const text = await refusalOf(start(t, folderFor(t), set));
  assert.match(text, /set storage\.wal-file-size to at least 18874368/);
  await start(t, folderFor(t), { ...set, 'server.message-max': '7MiB' });
});

test('the first user comes from this machine only', async (t) => {
  const { broker } = await start(t, folderFor(t));
  const credentials = { user: 'admin', password: 'robustmq' };
  assert.equal((await broker.authenticate({ ...credentials, loopback: true })).superuser, true);
  await assert.rejects(broker.authenticate({ ...credentials, loopback: false }), {
    code: 'not-authorized',
  });
});

test('a start that fails half-way leaves nothing open', async (t) => {
  const folder = folderFor(t);
  const taken = createServer();
  taken.listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.after(() => taken.close());
  const { port } = taken.address() as AddressInfo;
  const text = await refusalOf(start(t, folder, { 'admin.listen': `127.0.0.1:${port}` }));
  assert.match(text, /The listener admin cannot open 127\.0\.0\.1:\d+: the port is in use/);
  await start(t, folder);
});

test('TLS listeners open when a certificate is configured, and a bad one stops the start', async (t) => {
  const folder = folderFor(t);
  const { cert, key, ca } = selfSigned(folder);
  const secure = {
    ...toy,
    listeners: () => [{ name: 'toy-tls', transport: 'tls', listen: [':0'] }] as const,
  };
  const set = { 'server.data-dir': join(folder, 'data'), 'admin.listen': ':0' };
  const given = { protocols: [secure as unknown as typeof toy], set };
  const plain = await startServer(given);
  assert.throws(() => plain.port('toy-tls'), /not open/);
  await plain.close();
  const wrong = { ...given, set: { ...set, 'tls.cert': key, 'tls.key': cert } };
  assert.match(await refusalOf(startServer(wrong)), /tls\.cert .* cannot be used/);
  const server = await startServer({ ...given, set: { ...set, 'tls.cert': cert, 'tls.key': key } });
  t.after(() => server.close());
  const socket = connectTls({ port: server.port('toy-tls'), host: 'localhost', ca });
  socket.write('SUB x\n');
  const [chunk] = (await once(socket, 'data')) as [Buffer];
  assert.equal(chunk.toString(), 'OK\n');
  socket.destroy();
});

test('a client that does not leave is cut when the time to stop is over O23', async (t) => {
  const server = await start(t, folderFor(t), {
    'server.stop-timeout': '100ms',
    'server.linger-timeout': '1h',
  });
  const socket = connect({ port: server.port('toy'), host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => {});
  socket.write('SUB x\n');
  await once(socket, 'data');
  const closed = once(socket.resume(), 'close');
  assert.equal(await server.close(), true);
  await assert.rejects(once(connect(server.port('toy'), '127.0.0.1'), 'connect'));
  socket.end();
  await closed;
});

test('an in-process server is ready and gone within a second', async (t) => {
  const before = performance.now();
  await (await start(t, folderFor(t))).close();
  assert.ok(performance.now() - before < 5_000);
});
