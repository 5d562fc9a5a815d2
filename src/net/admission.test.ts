/** Rates, bans, flapping, addresses behind proxies: who comes in, and how fast. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { WebSocket } from 'ws';
import type { Connection, Eviction, ListenerPlan } from '#contract';
import { crc32c, defaults, Metrics, ProtocolError, realClock, realTimers, silentLog } from '#kit';
import { BanList, type BanStore } from './bans/ban-list.ts';
import { Gatekeeper } from './bans/gatekeeper.ts';
import { TokenBucket } from './limits/token-bucket.ts';
import { Listeners } from './listeners.ts';
import { LISTENER_OPTIONS, type ListenerSettings, NET_OPTIONS } from './net-options.ts';
import { readProxyHeader } from './proxy-header.ts';
import { TlsKeyRing } from './tls/tls-keys.ts';
import { Turn } from './turn.ts';

/** The definitions of a server, without its disk. */
function memoryStore(): BanStore {
  const kinds = new Map<string, Map<string, unknown>>();
  const watchers = new Set<(name: string, value: never) => void>();
  const of = (kind: string) => {
    if (!kinds.has(kind)) kinds.set(kind, new Map());
    return kinds.get(kind)!;
  };
  return {
    list: (kind) => [...of(kind)] as [string, never][],
    put(kind, name, value) {
      of(kind).set(name, value);
      for (const watcher of watchers) watcher(name, value as never);
    },
    remove(kind, name) {
      of(kind).delete(name);
      for (const watcher of watchers) watcher(name, undefined as never);
    },
    watch(_kind, watcher) {
      watchers.add(watcher as never);
      return () => watchers.delete(watcher as never);
    },
  };
}

/** A clock and timers that stand until they are moved. */
class Hand {
  ms = 1_000_000;
  #waiting: { at: number; call: () => void }[] = [];
  readonly clock = {
    nowMs: () => this.ms,
    nowNs: () => BigInt(this.ms) * 1_000_000n,
    monotonicMs: () => this.ms,
  };
  readonly timers = {
    after: (delayMs: number, call: () => void) => {
      const entry = { at: this.ms + delayMs, call };
      this.#waiting.push(entry);
      const cancel = (): void => {
        this.#waiting = this.#waiting.filter((other) => other !== entry);
      };
      return { cancel };
    },
    soon: (call: () => void) => void setImmediate(call),
  };

  get armed(): number {
    return this.#waiting.length;
  }

  move(ms: number): void {
    this.ms += ms;
    const due = this.#waiting.filter(({ at }) => at <= this.ms);
    this.#waiting = this.#waiting.filter(({ at }) => at > this.ms);
    for (const { call } of due) call();
  }
}

interface Rig {
  readonly port: number;
  readonly accepted: Connection[];
  readonly evictions: Eviction[];
  readonly bans: BanList;
  readonly listeners: Listeners;
}

async function rig(
  t: TestContext,
  settings: Partial<ListenerSettings>,
  plan: Partial<ListenerPlan> = {},
): Promise<Rig> {
  const bans = new BanList(memoryStore(), realClock, realTimers);
  const limits = { flappingCount: 0, flappingWindow: 1000, flappingBan: 1000 };
  const listeners = new Listeners({
    options: defaults(NET_OPTIONS),
    settingsOf: () => ({ ...defaults(LISTENER_OPTIONS), ...settings }),
    keyRing: new TlsKeyRing(realTimers, silentLog),
    admission: new Gatekeeper(bans, limits, realClock, silentLog),
    ...{ clock: realClock, turn: new Turn(realTimers), log: silentLog, metrics: new Metrics() },
  });
  t.after(() => {
    listeners.close();
    bans.close();
  });
  const accepted: Connection[] = [];
  const evictions: Eviction[] = [];
  const whole = { name: 'toy', transport: 'tcp', listen: ['127.0.0.1:0'], ...plan } as const;
  await listeners.open(whole, (connection) => {
    accepted.push(connection);
    let messagesIn = 0;
    connection.handle({
      get messagesIn() {
        return messagesIn;
      },
      data(chunk) {
        messagesIn += chunk.length;
        connection.write(chunk);
      },
      drain() {},
      closed() {},
      evict(eviction) {
        evictions.push(eviction);
        connection.end();
      },
    });
  });
  return { port: listeners.bound('toy')[0]!.port, accepted, evictions, bans, listeners };
}

async function dial(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

/** True when the server talks with it. */
async function echoes(socket: Socket): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  socket.once('data', () => resolve(true));
  socket.once('close', () => resolve(false));
  socket.write('x');
  return promise;
}

test('a bucket gives a burst of one second, then its rate, and a debt is waited for exactly M159', () => {
  const bucket = new TokenBucket(100, 0);
  assert.equal(bucket.take(100, 0), 0);
  assert.equal(bucket.take(50, 0), 500);
  assert.equal(Math.round(bucket.take(0, 499)), 1);
  assert.equal(bucket.take(0, 500), 0);
  assert.equal(Math.round(bucket.waitFor(1, 500)), 10);
  assert.equal(bucket.waitFor(1, 510), 0);
  assert.equal(Math.round(bucket.take(101, 10_000)), 10);
});

test('a client over its rate of bytes is read more slowly, and loses nothing M159', async (t) => {
  const { port } = await rig(t, { clientByteRate: 200_000 });
  const socket = await dial(port);
  const startMs = performance.now();
  socket.write(Buffer.alloc(300_000, 'x'));
  let bytes = 0;
  for await (const chunk of socket) {
    bytes += (chunk as Buffer).length;
    if (bytes === 300_000) break;
  }
  // The burst of a second is free, the other half of it is not: chunks of 64 KiB round it down.
  assert.ok(performance.now() - startMs > 150);
  socket.destroy();
});

test('a client over its rate of messages may be told and closed instead M159', async (t) => {
  const { port, evictions } = await rig(t, { clientMessageRate: 10, rateAction: 'disconnect' });
  const socket = await dial(port);
  socket.write(Buffer.alloc(11));
  await once(socket.resume(), 'close');
  assert.equal(evictions[0]!.why, 'message-rate');
});

test('connections beyond the rate wait for their turn in order M159 K14', async (t) => {
  const { port, accepted } = await rig(t, { connectRate: 5 });
  const startMs = performance.now();
  const sockets: Socket[] = [];
  for (let index = 0; index < 7; index++) sockets.push(await dial(port));
  assert.deepEqual(await Promise.all(sockets.map(echoes)), Array(7).fill(true));
  assert.ok(performance.now() - startMs >= 390);
  assert.deepEqual(
    accepted.map(({ peer }) => peer.port),
    sockets.map(({ localPort }) => localPort),
  );
  for (const socket of sockets) socket.destroy();
});

test('connections beyond the rate may hear so instead of waiting M159 K14', async (t) => {
  const { port, evictions } = await rig(t, { connectRate: 3, connectRateAction: 'refuse' });
  const sockets: Socket[] = [];
  for (let index = 0; index < 5; index++) sockets.push(await dial(port));
  const heard = await Promise.all(sockets.map(echoes));
  assert.equal(heard.filter(Boolean).length, 3);
  assert.deepEqual(
    evictions.map(({ why }) => why),
    ['connect-rate', 'connect-rate'],
  );
  for (const socket of sockets) socket.destroy();
});

test('a connection beyond the limit of a listener hears so, and leaves its place M159 K14', async (t) => {
  const { port, evictions } = await rig(t, { listenerConnectionsMax: 2 });
  const [first, second] = [await dial(port), await dial(port)];
  assert.deepEqual(await Promise.all([first, second].map(echoes)), [true, true]);
  assert.equal(await echoes(await dial(port)), false);
  assert.deepEqual(
    evictions.map(({ why }) => why),
    ['connections'],
  );
  first.end();
  await once(first.resume(), 'close');
  const fourth = await dial(port);
  assert.equal(await echoes(fourth), true);
  for (const socket of [second, fourth]) socket.destroy();
});

test('an address has as many connections as it may, and one more when one has gone M159 K14', async (t) => {
  const { port } = await rig(t, { addressConnectionsMax: 1 });
  const first = await dial(port);
  assert.equal(await echoes(first), true);
  assert.equal(await echoes(await dial(port)), false);
  first.end();
  await once(first, 'close');
  const third = await dial(port);
  assert.equal(await echoes(third), true);
  third.destroy();
});

test('a ban of an address or its range holds before a byte is read, until it is lifted M178', async (t) => {
  const { port, bans, accepted } = await rig(t, {});
  for (const [kind, value] of [
    ['address', '127.0.0.1'],
    ['range', '127.0.0.0/8'],
  ] as const) {
    bans.add({ kind, value });
    assert.equal(await echoes(await dial(port)), false);
    assert.equal(bans.lift(kind, value), true);
    assert.equal(bans.lift(kind, value), false);
  }
  assert.equal(accepted.length, 0);
  const socket = await dial(port);
  assert.equal(await echoes(socket), true);
  bans.add({ kind: 'client-pattern', value: 'dev-\\d+' });
  bans.add({ kind: 'user', value: 'eve', reason: 'left' });
  const [connection] = accepted;
  assert.equal(connection!.identify({ user: 'a', clientId: 'dev-x' }), null);
  assert.equal(connection!.identify({ user: 'a', clientId: 'my-dev-7' }), null);
  assert.match(connection!.identify({ user: 'a', clientId: 'dev-7' })!, /banned/);
  assert.match(connection!.identify({ user: 'eve', clientId: null })!, /left/);
  socket.destroy();
});

test('a ban ends at its time, leaves the catalogue then, and survives a restart before M178', () => {
  const hand = new Hand();
  const store = memoryStore();
  const bans = new BanList(store, hand.clock, hand.timers);
  bans.add({ kind: 'client', value: 'a', forMs: 1000 });
  bans.add({ kind: 'client', value: 'b', forMs: 5000 });
  bans.add({ kind: 'client', value: 'c' });
  const again = new BanList(store, hand.clock, hand.timers);
  const named = (list: BanList) => [...list.list()].map(({ value }) => value);
  assert.deepEqual(named(again), ['a', 'b', 'c']);
  hand.move(1000);
  assert.equal(again.ofClient({ user: '', clientId: 'a' }), null);
  assert.deepEqual(named(again), ['b', 'c']);
  hand.move(4000);
  assert.deepEqual(named(bans), ['c']);
  assert.equal(hand.armed, 0);
});

test('values that mean nothing are refused M178', () => {
  const bans = new BanList(memoryStore(), realClock, realTimers);
  for (const [kind, value] of [
    ['address', 'host.example'],
    ['range', '10.0.0.0/33'],
    ['client-pattern', '('],
    ['client', ''],
  ] as const) {
    assert.throws(() => bans.add({ kind, value }), { code: 'invalid-argument' });
  }
});

test('a client that comes and goes too often in a window is banned for a time M179', () => {
  const hand = new Hand();
  const bans = new BanList(memoryStore(), hand.clock, hand.timers);
  const limits = { flappingCount: 3, flappingWindow: 60_000, flappingBan: 300_000 };
  const keeper = new Gatekeeper(bans, limits, hand.clock, silentLog);
  const client = { user: 'u', clientId: 'flappy' };
  for (const waitMs of [0, 59_000, 2000, 1000]) {
    hand.move(waitMs);
    keeper.left(client);
  }
  // The third within a minute came after a new window had begun: one more is needed.
  assert.equal(keeper.refusesClient(client), null);
  keeper.left(client);
  assert.match(keeper.refusesClient(client)!, /too often/);
  hand.move(300_000);
  assert.equal(keeper.refusesClient(client), null);
});

test('X-Forwarded-For is believed from trusted proxies only, and only their part of it M152', async (t) => {
  const plan = { transport: 'ws', path: '/' } as const;
  for (const [forwardedTrust, header, expected] of [
    [['127.0.0.1', '10.0.0.0/8'], '1.1.1.1, 198.51.100.7, 10.0.0.2', '198.51.100.7'],
    [['127.0.0.1'], '[2001:db8::7]:4711', '2001:db8::7'],
    [[], '198.51.100.7', '127.0.0.1'],
  ] as const) {
    const { port, accepted } = await rig(t, { forwardedTrust: [...forwardedTrust] }, plan);
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`, {
      headers: { 'x-forwarded-for': header },
    });
    await once(socket, 'open');
    assert.equal(accepted[0]!.peer.address, expected);
    assert.equal(accepted[0]!.peer.loopback, expected === '127.0.0.1');
    socket.terminate();
  }
});

test('WebSocket settings of a listener: path, subprotocols, compression M151 M152', async (t) => {
  const plan = { transport: 'ws', path: '/mqtt', subprotocols: ['mqtt'] } as const;
  const settings = { path: '/other', subprotocolOptional: true, websocketCompression: true };
  const { port } = await rig(t, settings, plan);
  const socket = new WebSocket(`ws://127.0.0.1:${port}/other`);
  await once(socket, 'open');
  assert.match(socket.extensions, /permessage-deflate/);
  const text = Buffer.alloc(20_000, 'compressible ');
  socket.send(text);
  const [back] = (await once(socket, 'message')) as [Buffer];
  assert.ok(back.equals(text));
  socket.terminate();
  const wrong = new WebSocket(`ws://127.0.0.1:${port}/mqtt`);
  const [error] = (await once(wrong, 'error')) as [Error];
  assert.match(error.message, /404/);
});

const SIGNATURE = '0d0a0d0a000d0a515549540a';

function proxyHeader(...fields: Buffer[]): Buffer {
  const rest = Buffer.concat([Buffer.from('0a0000090a00000100500051', 'hex'), ...fields]);
  const head = Buffer.from(`${SIGNATURE}21110000`, 'hex');
  head.writeUInt16BE(rest.length, 14);
  return Buffer.concat([head, rest]);
}

function field(type: number, value: Buffer): Buffer {
  const head = Buffer.from([type, 0, 0]);
  head.writeUInt16BE(value.length, 1);
  return Buffer.concat([head, value]);
}

function tlsField(flags: number, verify: number, name: string): Buffer {
  const fixed = Buffer.alloc(5);
  fixed[0] = flags;
  fixed.writeUInt32BE(verify, 1);
  return field(0x20, Buffer.concat([fixed, field(0x22, Buffer.from(name))]));
}

test('a PROXY header names the client certificate, if the balancer has verified it M156', () => {
  assert.equal(readProxyHeader(proxyHeader(tlsField(7, 0, 'robot-7')))!.commonName, 'robot-7');
  assert.equal(readProxyHeader(proxyHeader(tlsField(7, 1, 'robot-7')))!.commonName, null);
  assert.equal(readProxyHeader(proxyHeader(tlsField(1, 0, 'robot-7')))!.commonName, null);
  assert.throws(() => readProxyHeader(proxyHeader(Buffer.from([0x20, 0, 9, 1]))), ProtocolError);
});

test('the checksum of a PROXY header is checked M156', () => {
  const header = proxyHeader(field(0x03, Buffer.alloc(4)));
  header.writeUInt32BE(crc32c(header), header.length - 4);
  assert.equal(readProxyHeader(header)!.source!.address, '10.0.0.9');
  header[20]! ^= 1;
  assert.throws(() => readProxyHeader(header), ProtocolError);
});

test('a PROXY header counts from trusted balancers only, and its names are identities M156 M154', async (t) => {
  const header = proxyHeader(tlsField(7, 0, 'robot-7'));
  const own = { proxy: true, identityUser: 'cn' };
  const stranger = await rig(t, { ...own, proxyTrust: ['10.0.0.0/8'] });
  assert.equal(await echoes(await dial(stranger.port)), false);
  const trusted = await rig(t, { ...own, proxyTrust: ['127.0.0.0/8'] });
  const socket = await dial(trusted.port);
  socket.write(header);
  assert.equal(await echoes(socket), true);
  const { address, loopback, identity } = trusted.accepted[0]!.peer;
  assert.deepEqual([address, loopback, identity?.user], ['10.0.0.9', false, 'robot-7']);
  socket.destroy();
});
