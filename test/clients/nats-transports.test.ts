/** NATS over TLS by upgrade (nats.js) and over WebSocket, with and without TLS (frames by hand). */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { connect } from 'nats';
import { WebSocket } from 'ws';
import { selfSigned } from '../contract/self-signed.ts';
import { deadline } from './program.ts';
import { HOST, type Server, startServer } from './server.ts';

describe('NATS transports', () => {
  let server: Server;
  const folder = mkdtempSync(path.join(tmpdir(), 'nats-tls-'));
  const signed = selfSigned(folder);
  const ports = () => server.ports as Record<string, number>;

  before(async () => {
    const certificate = ['--tls-cert', signed.cert, '--tls-key', signed.key];
    server = await startServer({ flags: [...certificate, '--nats-wss-listen', 'localhost:0'] });
  });
  after(async () => {
    await server[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  /** Sends bytes as binary frames, one per item, and resolves with what came until `PONG`. */
  function talk(url: string, frames: readonly string[], options = {}): Promise<string> {
    const socket = new WebSocket(url, options);
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    let text = '';
    socket.on('error', reject);
    socket.on('open', () => {
      for (const frame of frames) socket.send(Buffer.from(frame));
    });
    socket.on('message', (data: Buffer, isBinary) => {
      assert.ok(isBinary);
      text += data.toString();
      if (text.includes('PONG\r\n')) {
        socket.close();
        resolve(text);
      }
    });
    return deadline(promise, 10_000, () => `no PONG, but ${text}`);
  }

  const FRAMES = ['CONNECT {"verbose":false}\r\nSUB w.* 1\r\nPU', 'B w.a 3\r\nx', 'yz\r\nPING\r\n'];
  const EXPECTED = /^INFO \{.*\} \r\nMSG w\.a 1 3\r\nxyz\r\nPONG\r\n$/;

  it('a client that asks for TLS is upgraded, and the rest of the stream is encrypted N45', async () => {
    const nc = await connect({
      servers: server.address('nats'),
      tls: { ca: signed.ca },
      reconnect: false,
    });
    assert.equal(nc.info?.tls_available, true);
    const body = Buffer.alloc(300_000, 'x');
    const subscription = nc.subscribe('tls.big', { max: 20 });
    for (let index = 0; index < 20; index++) nc.publish('tls.big', body);
    let count = 0;
    for await (const { data } of subscription) {
      assert.equal(Buffer.compare(data, body), 0);
      count++;
    }
    assert.equal(count, 20);
    await nc.close();
  });

  it('a client that does not ask for TLS goes on in plain text N45', async () => {
    const nc = await connect({ servers: server.address('nats'), tls: null, reconnect: false });
    await nc.flush();
    await nc.close();
  });

  it('a handshake that is broken or does not go on ends its own connection only N14 N45', async () => {
    const broken = Buffer.from([0x16, 3, 1, 0, 5, 9, 0, 0, 1, 1]);
    const unfinished = Buffer.from([0x16, 3, 1, 0, 2, 1, 1]);
    const closed = [broken, unfinished].map((bytes) => {
      const socket = connectTcp(ports()['nats']!, HOST);
      socket.once('data', () => socket.write(bytes));
      socket.resume();
      const { promise, resolve } = Promise.withResolvers<void>();
      socket.on('error', () => {});
      socket.once('close', () => resolve());
      return promise;
    });
    await deadline(Promise.all(closed), 5_000, () => 'a handshake is still waited for');
    const nc = await connect({ servers: server.address('nats'), tls: null, reconnect: false });
    await nc.close();
  });

  it('WebSocket carries the protocol in binary frames, cut anywhere, on any path N60', async () => {
    for (const where of ['', '/', '/some/path']) {
      assert.match(await talk(`ws://${server.address('nats-ws')}${where}`, FRAMES), EXPECTED);
    }
  });

  it('WebSocket over TLS works the same N60', async () => {
    const url = `wss://${HOST}:${ports()['nats-wss']}`;
    assert.match(await talk(url, FRAMES, { ca: signed.ca }), EXPECTED);
  });

  it('a foreign Origin is refused N60', async () => {
    const options = { origin: 'https://evil.example' };
    await assert.rejects(
      talk(`ws://${server.address('nats-ws')}`, FRAMES, options),
      /Unexpected server response: 403/,
    );
  });
});
