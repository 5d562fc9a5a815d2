import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { WebSocket } from 'ws';
import type { Connection, ListenerPlan } from '#contract';
import { defaults, type Log, type LogFields, Metrics, realClock, realTimers } from '#kit';
import { selfSigned } from '../../test/contract/self-signed.ts';
import { Listeners } from './listeners.ts';
import { LISTENER_OPTIONS, type ListenerSettings, NET_OPTIONS } from './net-options.ts';
import { TlsKeyRing } from './tls/tls-keys.ts';
import { Turn } from './turn.ts';

const folder = mkdtempSync(join(tmpdir(), 'net-test-'));
after(() => rmSync(folder, { recursive: true }));
const signed = selfSigned(folder);

type NetValues = ReturnType<typeof defaults<typeof NET_OPTIONS>>;
type Behaviour = (connection: Connection, chunk: Buffer) => void;

interface Rig {
  readonly listeners: Listeners;
  readonly metrics: Metrics;
  readonly port: number;
  readonly accepted: Connection[];
  readonly lines: { message: string; fields: LogFields }[];
  /** Waits until the first connection was told that it is closed. */
  closed(): Promise<Error | null>;
}

const echo: Behaviour = (connection, chunk) => connection.write(chunk);

async function rig(
  t: TestContext,
  setup: {
    plan?: Partial<ListenerPlan>;
    options?: Partial<NetValues>;
    settings?: Partial<ListenerSettings>;
    onData?: Behaviour;
    onOpen?: (connection: Connection) => void;
  } = {},
): Promise<Rig> {
  const lines: Rig['lines'] = [];
  const write = (message: string, fields: LogFields = {}) => void lines.push({ message, fields });
  const log: Log = { debug: write, info: write, warn: write, error: write, with: () => log };
  const metrics = new Metrics();
  const keyRing = new TlsKeyRing(realTimers, log);
  const listeners = new Listeners({
    options: { ...defaults(NET_OPTIONS), ...setup.options },
    settingsOf: () => ({
      ...defaults(LISTENER_OPTIONS),
      ...setup.options,
      ...{ cert: [signed.cert], key: [signed.key], watch: false },
      ...setup.settings,
    }),
    keyRing,
    clock: realClock,
    turn: new Turn(realTimers),
    log,
    metrics,
  });
  t.after(() => listeners.close());
  const accepted: Connection[] = [];
  const closed = Promise.withResolvers<Error | null>();
  const plan: ListenerPlan = {
    name: 'toy',
    transport: 'tcp',
    listen: ['localhost:0'],
    ...setup.plan,
  };
  await listeners.open(plan, (connection) => {
    accepted.push(connection);
    connection.handle({
      data: (chunk) => (setup.onData ?? echo)(connection, chunk),
      drain() {},
      closed: closed.resolve,
    });
    setup.onOpen?.(connection);
  });
  const port = listeners.bound('toy')[0]!.port;
  return { listeners, metrics, port, accepted, lines, closed: () => closed.promise };
}

async function dial(port: number, host = '127.0.0.1'): Promise<Socket> {
  const socket = connect(port, host);
  await once(socket, 'connect');
  return socket;
}

async function everything(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

function metricOf(metrics: Metrics, name: string): number {
  const instrument = metrics.families.get(name)!.series[0]!.instrument;
  return 'value' in instrument ? instrument.value : Number.NaN;
}

test('localhost:0 opens the same port on both loopback addresses', async (t) => {
  const { listeners, port } = await rig(t);
  const bound = listeners.bound('toy');
  assert.deepEqual(
    bound.map((one) => one.port),
    bound.map(() => port),
  );
  for (const { address } of bound) {
    const socket = await dial(port, address);
    socket.end('hello');
    assert.equal(await everything(socket), 'hello');
  }
});

test('writes of one turn leave as one chunk and are counted', async (t) => {
  const { port, metrics } = await rig(t, {
    onData(connection) {
      for (const text of ['a', 'b', 'c']) connection.write(Buffer.from(text));
      assert.equal(connection.pendingBytes, 3);
    },
  });
  const socket = await dial(port);
  socket.write('x');
  const [chunk] = (await once(socket, 'data')) as [Buffer];
  assert.equal(chunk.toString(), 'abc');
  socket.destroy();
  assert.equal(metricOf(metrics, 'robustmq_net_received_bytes_total'), 1);
  assert.equal(metricOf(metrics, 'robustmq_net_sent_bytes_total'), 3);
});

test('the peer is known, and known to be this machine', async (t) => {
  const { port, accepted, closed } = await rig(t);
  const socket = await dial(port);
  const { localPort } = socket;
  socket.end('x');
  await everything(socket);
  const [connection] = accepted;
  assert.deepEqual(connection!.peer, { address: '127.0.0.1', port: localPort, loopback: true });
  assert.equal(connection!.encrypted, false);
  assert.equal(await closed(), null);
});

test('of many that speak and hang up at once every one is heard to its end M162', async (t) => {
  const heard = new Map<number, string>();
  const { port, metrics } = await rig(t, {
    onData(connection, chunk) {
      heard.set(connection.id, (heard.get(connection.id) ?? '') + chunk.toString());
    },
  });
  const sockets = await Promise.all(Array.from({ length: 400 }, () => dial(port)));
  for (const socket of sockets) socket.end('first');
  await Promise.all(sockets.map((socket) => once(socket.resume(), 'close')));
  assert.equal(heard.size, 400);
  assert.deepEqual([...new Set(heard.values())], ['first']);
  assert.equal(metricOf(metrics, 'robustmq_net_connections_total'), 400);
});

test('many that are silent keep nobody from being heard, and are heard later M162 M159', async (t) => {
  const { port } = await rig(t);
  const silent = await Promise.all(Array.from({ length: 300 }, () => dial(port)));
  const heard = async (socket: Socket): Promise<string> => {
    socket.write('hello');
    return String((await once(socket, 'data'))[0]);
  };
  const late = await dial(port);
  assert.equal(await heard(late), 'hello');
  const answers = await Promise.all(silent.map(heard));
  assert.deepEqual([...new Set(answers)], ['hello']);
  for (const socket of [...silent, late]) socket.destroy();
});

test('end sends what is queued, even when the client still talks', async (t) => {
  const { port } = await rig(t, {
    onData(connection) {
      connection.write(Buffer.alloc(1_000_000, 'z'));
      connection.end();
      assert.equal(connection.write(Buffer.from('late')), false);
    },
  });
  const socket = await dial(port);
  socket.write('x'.repeat(200_000));
  socket.write('y'.repeat(200_000));
  assert.equal((await everything(socket)).length, 1_000_000);
});

test('a client that does not hang up after end is cut after the linger time', async (t) => {
  const { port, closed } = await rig(t, {
    options: { lingerTimeout: 50 },
    onData: (connection) => connection.end(),
  });
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.write('x');
  socket.resume();
  await once(socket, 'end');
  assert.equal(await closed(), null);
  socket.destroy();
});

test('a slow reader makes write answer false, and drain comes when all was taken', async (t) => {
  let drained = 0;
  let connection!: Connection;
  const { promise, resolve } = Promise.withResolvers<void>();
  const { listeners } = await rig(t);
  await listeners.open({ name: 'slow', transport: 'tcp', listen: [':0'] }, (opened) => {
    connection = opened;
    opened.handle({
      data() {
        while (opened.write(Buffer.alloc(64 * 1024)));
      },
      drain() {
        drained++;
        assert.equal(opened.pendingBytes, 0);
        resolve();
      },
      closed() {},
    });
  });
  const socket = await dial(listeners.bound('slow')[0]!.port);
  socket.write('x');
  await once(socket, 'readable');
  socket.resume();
  await promise;
  assert.equal(drained, 1);
  assert.equal(connection.write(Buffer.alloc(1)), true);
  socket.destroy();
});

test('an exception of a protocol ends its connection only, with a line in the log', async (t) => {
  const { port, lines } = await rig(t, {
    onData(connection, chunk) {
      if (chunk.toString() === 'bad') throw new Error('a mistake');
      connection.write(chunk);
    },
  });
  const good = await dial(port);
  const bad = await dial(port);
  bad.write('bad');
  bad.on('error', () => {});
  await once(bad, 'close');
  good.end('good');
  assert.equal(await everything(good), 'good');
  assert.match(lines[0]!.message, /unexpected exception/);
  assert.match(String(lines[0]!.fields['reason']), /a mistake/);
});

test('connections beyond the limit are refused and counted K14', async (t) => {
  const { port, metrics } = await rig(t, { options: { connectionsMax: 1 } });
  const first = await dial(port);
  first.write('x');
  await once(first, 'data');
  const second = connect(port, '127.0.0.1');
  second.on('error', () => {});
  await once(second, 'close');
  assert.equal(metricOf(metrics, 'robustmq_net_connections_refused_total'), 1);
  first.end();
  await everything(first);
});

test('a server that is full can still be looked at through its HTTP listener', async (t) => {
  const { listeners, port } = await rig(t, { options: { connectionsMax: 1 } });
  await listeners.openHttp('admin', [':0'], (socket) => socket.end('hello'));
  const first = await dial(port);
  const admin = await dial(listeners.bound('admin')[0]!.port);
  assert.equal(await everything(admin), 'hello');
  first.destroy();
});

test('a connection that says nothing is closed in time, one that spoke is not', async (t) => {
  const { port, lines } = await rig(t, { options: { firstBytesTimeout: 100 } });
  const spoken = await dial(port);
  spoken.write('x');
  await once(spoken, 'data');
  const silent = await dial(port);
  await once(silent, 'close');
  assert.match(String(lines[0]!.fields['reason']), /sent nothing within 100 ms/);
  spoken.end('y');
  assert.equal(await everything(spoken), 'y');
});

test('beyond the bound of silent connections the oldest one goes', async (t) => {
  const { port, lines } = await rig(t, { options: { halfOpenMax: 2 } });
  const sockets = [await dial(port), await dial(port), await dial(port)];
  await once(sockets[0]!, 'close');
  assert.match(String(lines[0]!.fields['reason']), /too many connections/);
  assert.equal(sockets[1]!.closed, false);
  for (const socket of sockets) socket.destroy();
});

test('a port in use is reported in one sentence', async (t) => {
  const { listeners, port } = await rig(t);
  await assert.rejects(
    listeners.open({ name: 'other', transport: 'tcp', listen: [`127.0.0.1:${port}`] }, () => {}),
    /The listener other cannot open 127\.0\.0\.1:\d+: the port is in use/,
  );
});

test('TLS is a transport like any other', async (t) => {
  const { port, accepted } = await rig(t, { plan: { transport: 'tls' } });
  const socket = connectTls({ port, host: 'localhost', ca: signed.ca });
  await once(socket, 'secureConnect');
  socket.end('secret');
  assert.equal(await everything(socket), 'secret');
  assert.equal(accepted[0]!.encrypted, true);
});

test('plain bytes on a TLS listener end in a close and a line in the log', async (t) => {
  const { port, lines, accepted } = await rig(t, { plan: { transport: 'tls' } });
  const socket = await dial(port);
  socket.on('error', () => {});
  socket.end('GET / HTTP/1.1\r\n\r\n');
  await once(socket.resume(), 'close');
  assert.equal(lines[0]!.message, 'connection refused: TLS handshake failed');
  assert.equal(accepted.length, 0);
});

test('a connection turns into TLS in place, with and without bytes read ahead', async (t) => {
  for (const readAhead of [false, true]) {
    const { port } = await rig(t, {
      plan: { upgradable: true },
      onOpen(connection) {
        connection.write(Buffer.from('hello\n'));
        if (!readAhead) connection.startTls();
      },
      onData(connection, chunk) {
        if (chunk[0] === 0x16) {
          connection.startTls(chunk);
          assert.equal(connection.encrypted, false);
        } else {
          assert.equal(connection.encrypted, true);
          connection.write(chunk);
        }
      },
    });
    const raw = await dial(port);
    const [greeting] = (await once(raw, 'data')) as [Buffer];
    assert.equal(greeting.toString(), 'hello\n');
    const socket = connectTls({ socket: raw, servername: 'localhost', ca: signed.ca });
    await once(socket, 'secureConnect');
    socket.end('secret');
    assert.equal(await everything(socket), 'secret');
  }
});

const webSocketPlan: Partial<ListenerPlan> = {
  transport: 'ws',
  path: '/toy',
  subprotocols: ['toy', 'toy2'],
};

function refusalOf(socket: WebSocket): Promise<number> {
  return new Promise((resolve) => {
    socket.on('unexpected-response', (_request, response) => resolve(response.statusCode ?? 0));
  });
}

test('a WebSocket carries bytes in binary messages, whatever their borders', async (t) => {
  for (const transport of ['ws', 'wss'] as const) {
    const { port, accepted, closed } = await rig(t, { plan: { ...webSocketPlan, transport } });
    const socket = new WebSocket(`${transport}://localhost:${port}/toy`, ['no', 'toy2', 'toy'], {
      ca: signed.ca,
    });
    await once(socket, 'open');
    assert.equal(socket.protocol, 'toy');
    socket.send(Buffer.from('hello'));
    const [answer] = (await once(socket, 'message')) as [Buffer];
    assert.equal(answer.toString(), 'hello');
    assert.equal(accepted[0]!.encrypted, transport === 'wss');
    assert.equal(accepted[0]!.peer.loopback, true);
    accepted[0]!.end();
    const [code] = (await once(socket, 'close')) as [number];
    assert.equal(code, 1000);
    assert.equal(await closed(), null);
  }
});

test('a WebSocket with a foreign origin, path, host or subprotocol is refused', async (t) => {
  const { port, metrics } = await rig(t, { plan: webSocketPlan });
  const url = `ws://127.0.0.1:${port}/toy`;
  const origin = new WebSocket(url, ['toy'], { origin: 'https://evil.example' });
  assert.equal(await refusalOf(origin), 403);
  const host = new WebSocket(url, ['toy'], { headers: { host: 'evil.example' } });
  assert.equal(await refusalOf(host), 403);
  const path = new WebSocket(`ws://127.0.0.1:${port}/other`, ['toy']);
  assert.equal(await refusalOf(path), 404);
  assert.equal(await refusalOf(new WebSocket(url, ['other'])), 400);
  assert.equal(await refusalOf(new WebSocket(url)), 400);
  assert.equal(metricOf(metrics, 'robustmq_net_connections_refused_total'), 5);
  const page = new WebSocket(url, ['toy'], { origin: 'http://localhost:3000' });
  await once(page, 'open');
  page.terminate();
});

test('a text message closes a binary-only WebSocket, a large one closes any', async (t) => {
  const { port } = await rig(t, { plan: webSocketPlan, options: { websocketMessageMax: 1024 } });
  for (const [message, code] of [
    ['text', 1003],
    [Buffer.alloc(1025), 1009],
  ] as const) {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/toy`, ['toy']);
    await once(socket, 'open');
    socket.send(message);
    assert.equal(((await once(socket, 'close')) as [number])[0], code);
  }
});

const V2_FROM_10_0_0_9 = Buffer.from(
  '0d0a0d0a000d0a515549540a2111000c0a0000090a00000100500051',
  'hex',
);

test('a PROXY header names the peer and ends the trust in loopback', async (t) => {
  const headers = [Buffer.from('PROXY TCP4 10.0.0.9 10.0.0.1 80 81\r\n'), V2_FROM_10_0_0_9];
  for (const header of headers) {
    const { port, accepted } = await rig(t, { options: { proxyListeners: ['toy'] } });
    const socket = await dial(port);
    socket.write(header.subarray(0, 9));
    socket.write(header.subarray(9));
    socket.end('hello');
    assert.equal(await everything(socket), 'hello');
    assert.deepEqual(accepted[0]!.peer, { address: '10.0.0.9', port: 80, loopback: false });
  }
});

test('a PROXY header stands in front of TLS and WebSocket as well', async (t) => {
  const options = { proxyListeners: ['toy'] };
  const tls = await rig(t, { plan: { transport: 'tls' }, options });
  const raw = await dial(tls.port);
  raw.write(V2_FROM_10_0_0_9);
  const socket = connectTls({ socket: raw, servername: 'localhost', ca: signed.ca });
  socket.end('secret');
  assert.equal(await everything(socket), 'secret');
  assert.equal(tls.accepted[0]!.peer.address, '10.0.0.9');

  const ws = await rig(t, { plan: webSocketPlan, options });
  const behind = await dial(ws.port);
  behind.write(V2_FROM_10_0_0_9);
  const webSocket = new WebSocket(`ws://localhost/toy`, ['toy'], {
    createConnection: () => behind,
  });
  await once(webSocket, 'open');
  webSocket.send(Buffer.from('hello'));
  const [answer] = (await once(webSocket, 'message')) as [Buffer];
  assert.equal(answer.toString(), 'hello');
  assert.equal(ws.accepted[0]!.peer.loopback, false);
  webSocket.terminate();
});

test('a connection without its PROXY header is refused', async (t) => {
  const { port, accepted, lines } = await rig(t, { options: { proxyListeners: ['toy'] } });
  const socket = await dial(port);
  socket.on('error', () => {});
  socket.write('CONNECT {}\r\n');
  await once(socket, 'close');
  assert.equal(accepted.length, 0);
  assert.equal(lines[0]!.message, 'connection refused: no valid PROXY header');
});
