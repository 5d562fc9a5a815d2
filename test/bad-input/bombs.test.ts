/**
 * Small inputs that want to become large, and slow ones that want to stay: batches that open to
 * gigabytes, nesting, floods of headers, requests that never end, handshakes again and again. The
 * server answers in its protocol or closes, and well-behaved clients notice nothing.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { zstdCompressSync } from 'node:zlib';
import mqtt from 'mqtt';
import { crc32c } from '#kit';
import { PATIENCE_MS } from '../clients/program.ts';
import { HOST, type ListenerName, startServer } from '../clients/server.ts';
import { selfSigned } from '../contract/self-signed.ts';
import { RawConnection } from './attack.ts';
import { besieged } from './besieged.ts';
import { OPENINGS } from './openings.ts';

const CLOSE_TIMEOUT_MS = 25_000;
const MIB = 1 << 20;
const GROWTH_BYTES_MAX = 192 * MIB;
const RENEGOTIATIONS = 8;

const u16 = (value: number): Buffer => Buffer.of(value >> 8, value & 255);
const u32 = (value: number): Buffer => Buffer.of(value >>> 24, value >>> 16, value >>> 8, value);

/** A record batch of `records` (compressed with zstd), as a producer sends it. */
function batch(records: Buffer, count: number): Buffer {
  const bytes = Buffer.concat([Buffer.alloc(61), zstdCompressSync(records)]);
  bytes.writeInt32BE(bytes.length - 12, 8);
  bytes[16] = 2;
  bytes.writeInt16BE(4, 21);
  bytes.writeInt32BE(count - 1, 23);
  bytes.fill(255, 43, 57);
  bytes.writeInt32BE(count, 57);
  bytes.writeUInt32BE(crc32c(bytes.subarray(21)), 17);
  return bytes;
}

/** Produce version 7 of one batch to partition 0, acks -1. */
function produce(topic: string, records: Buffer): Buffer {
  const name = Buffer.from(topic);
  const body = Buffer.concat([
    Buffer.from([0, 0, 0, 7, 0, 0, 0, 1, 255, 255, 255, 255, 255, 255]),
    u32(10_000),
    u32(1),
    u16(name.length),
    name,
    u32(1),
    u32(0),
    u32(records.length),
    records,
  ]);
  return Buffer.concat([u32(body.length), body]);
}

/** The smallest record there is, so that as many as possible fit. */
const SMALLEST = Buffer.from([12, 0, 0, 0, 1, 1, 0]);

function frame(type: number, payload: Buffer): Buffer {
  const head = Buffer.concat([Buffer.of(type), u16(0), u32(payload.length)]);
  return Buffer.concat([head, payload, Buffer.of(0xce)]);
}

/** connection.start-ok whose table holds tables in tables. */
function nestedStartOk(depth: number): Buffer {
  let table = Buffer.alloc(0);
  for (let level = 0; level < depth; level++) {
    table = Buffer.concat([Buffer.from('\x01nF'), u32(table.length), table]);
  }
  const start = Buffer.from([0, 10, 0, 11]);
  return frame(1, Buffer.concat([start, u32(table.length), table, Buffer.from('\x05PLAIN')]));
}

describe('bombs and floods', () => {
  const side = besieged();

  /** Sends bytes and waits for the close, or for an answer. */
  async function attack(listener: ListenerName, bytes: Buffer, answered = false): Promise<Buffer> {
    const grownFrom = await side.server.residentBytes();
    const connection = await RawConnection.open(side.server.ports[listener]);
    const answer = new Promise((resolve) => connection.socket.once('data', resolve));
    connection.socket.write(bytes);
    if (answered) await Promise.race([answer, connection.closed]);
    else await connection.expectClosed(CLOSE_TIMEOUT_MS, `bomb on ${listener}`);
    const growth = (await side.server.residentBytes()) - grownFrom;
    assert.ok(growth < GROWTH_BYTES_MAX, `memory grew by ${growth} bytes`);
    connection.destroy();
    return connection.received;
  }

  for (const [what, bytes] of [
    ['of 256 MiB of zeros', batch(Buffer.alloc(256 * MIB), 1000)],
    ['of eight million records', batch(Buffer.alloc(56 << 20, SMALLEST), 8 << 20)],
  ] as const) {
    it(`a compressed batch ${what} is not opened, and its log goes on R39`, async () => {
      const topic = `bomb-${bytes.length}`;
      const grownFrom = await side.server.residentBytes();
      const client = await mqtt.connectAsync(`mqtt://${side.server.address('mqtt')}`);
      await client.subscribeAsync(topic, { qos: 1 });
      const next = new Promise<string>((resolve) => {
        client.on('message', (_topic, payload) => resolve(String(payload)));
      });
      await client.publishAsync(`${topic}/first`, 'makes the stream');
      assert.ok((await attack('kafka', produce(topic, bytes), true)).length > 0);
      await client.publishAsync(topic, 'after the bomb', { qos: 1 });
      assert.equal(await next, 'after the bomb');
      const growth = (await side.server.residentBytes()) - grownFrom;
      assert.ok(growth < GROWTH_BYTES_MAX, `memory grew by ${growth} bytes`);
      await client.endAsync();
    });
  }

  it('tables in tables without end are refused R39', async () => {
    const opening = Buffer.from('AMQP\x00\x00\x09\x01', 'latin1');
    await attack('amqp', Buffer.concat([opening, nestedStartOk(500)]));
  });

  it('JSON in JSON without end is refused R39', async () => {
    const json = `{"a":${'['.repeat(4000)}`;
    const said = await attack('nats', Buffer.from(`CONNECT ${json}\r\n`));
    assert.match(said.toString('latin1'), /-ERR/);
  });

  it('a flood of headers is answered, not feared R39', async () => {
    const lines = 'h:\r\n'.repeat(250_000);
    const block = `NATS/1.0\r\n${lines}\r\n`;
    const head = 'CONNECT {"headers":true,"verbose":false}\r\nSUB flood 1\r\n';
    const line = `HPUB flood ${block.length} ${block.length}\r\n`;
    const request = Buffer.from(`${head}${line}${block}\r\nPING\r\n`);
    assert.ok((await attack('nats', request, true)).length > 0);
    const web = Buffer.from(`GET / HTTP/1.1\r\nHost: x\r\n${'a: b\r\n'.repeat(20_000)}\r\n`);
    for (const listener of ['admin', 'mqtt-ws', 'nats-ws'] as const) await attack(listener, web);
  });

  for (const [stranger, bytes] of Object.entries(OPENINGS)) {
    if (stranger === 'HTTP') continue;
    it(`${stranger} on the HTTP ports is closed R39`, async () => {
      const listeners = ['admin', 'mqtt-ws', 'nats-ws'] as const;
      const ends = listeners.map(async (listener) => {
        const connection = await RawConnection.open(side.server.ports[listener]);
        connection.socket.end(bytes);
        await connection.expectClosed(CLOSE_TIMEOUT_MS, `${stranger} on ${listener}`);
      });
      await Promise.all(ends);
    });
  }

  it('HTTP requests that come a byte at a time do not stay for ever R39', async () => {
    const request = `GET /health/live HTTP/1.1\r\nHost: localhost\r\nX-Slow: ${'a'.repeat(500)}`;
    const drips = (['admin', 'mqtt-ws', 'nats-ws'] as const).map(async (listener) => {
      const connection = await RawConnection.open(side.server.ports[listener]);
      let at = 0;
      // The slowness is the attack: the whole request would take minutes.
      const drip = setInterval(() => connection.socket.write(request.slice(at, ++at)), 500);
      await connection.expectClosed(40_000, `dripping on ${listener}`);
      clearInterval(drip);
    });
    await Promise.all(drips);
  });

  for (const listener of ['kafka', 'nats', 'amqp', 'admin'] as const) {
    it(`an opening that comes byte by byte is answered on ${listener} R39`, async () => {
      const names = { kafka: 'Kafka', nats: 'NATS', amqp: 'AMQP', admin: 'HTTP' } as const;
      const connection = await RawConnection.open(side.server.ports[listener]);
      const answered = new Promise((resolve) => connection.socket.once('data', resolve));
      for (const byte of OPENINGS[names[listener]]!) connection.socket.write(Buffer.of(byte));
      await answered;
      connection.destroy();
    });
  }
});

describe('TLS', () => {
  it('clients that want handshake after handshake get one R39', async (t) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'bombs-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const { cert, key, ca } = selfSigned(folder);
    const free = ['mqtt-tls', 'mqtt-wss', 'kafka-tls', 'nats-wss', 'amqp-tls'];
    const flags = free.flatMap((name) => [`--${name}-listen`, 'localhost:0']);
    flags.push('--tls-cert', cert, '--tls-key', key);
    await using server = await startServer({ flags });
    const port = (server.ports as Readonly<Record<string, number>>)['mqtt-tls']!;
    const socket = await secured(port, ca);
    let granted = 0;
    for (let attempt = 0; attempt < RENEGOTIATIONS && !socket.destroyed; attempt++) {
      granted += (await renegotiated(socket)) ? 1 : 0;
    }
    assert.equal(granted, 0, `${granted} handshakes more`);
    socket.destroy();
    (await secured(port, ca)).destroy();
  });
});

async function secured(port: number, ca: string): Promise<TLSSocket> {
  const socket = connectTls({
    host: HOST,
    port,
    ca,
    servername: 'localhost',
    maxVersion: 'TLSv1.2',
  });
  socket.on('error', () => {}); // The server may end it.
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve);
    socket.once('close', () => reject(new Error('no handshake')));
  });
  return socket;
}

/** True when the server took part in another handshake. */
function renegotiated(socket: TLSSocket): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), PATIENCE_MS / 100);
    const answer = (granted: boolean): void => {
      clearTimeout(timer);
      resolve(granted);
    };
    socket.once('close', () => answer(false));
    const begun = socket.renegotiate({}, (error) => answer(error === null));
    if (begun === false) answer(false);
  });
}
