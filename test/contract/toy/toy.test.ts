import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { test } from 'node:test';
import { protocols } from '#protocols';
import { startServer } from '#server';
import { toy } from './index.ts';

interface Client {
  readonly socket: Socket;
  readonly lines: AsyncIterator<string>;
}

async function dial(port: number): Promise<Client> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const reader: Interface = createInterface({ input: socket });
  return { socket, lines: reader[Symbol.asyncIterator]() };
}

async function next({ lines }: Client): Promise<string> {
  return (await lines.next()).value as string;
}

test('a toy protocol runs through the unmodified server: one folder, one line in the list', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'toy-test-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const server = await startServer({
    protocols: [...protocols, toy],
    freePorts: true,
    set: { 'server.data-dir': folder, 'toy.line-max': '32' },
  });
  t.after(() => server.close());

  const reader = await dial(server.port('toy'));
  reader.socket.write('SUB news\n');
  assert.equal(await next(reader), 'OK');
  const writer = await dial(server.port('toy'));
  writer.socket.write('PUB news hello\n');
  assert.equal(await next(writer), 'OK');
  assert.equal(await next(reader), 'MSG news hello');
  assert.equal(server.broker.streams.get('news')!.partitions[0]!.highWatermark, 1);

  const admin = `http://127.0.0.1:${server.port('admin')}/api/v1`;
  const headers = { authorization: `Basic ${btoa('admin:robustmq')}` };
  const listed = await fetch(`${admin}/protocols/toy/connections`, { headers });
  assert.equal(((await listed.json()) as { items: unknown[] }).items.length, 2);

  writer.socket.on('error', () => {});
  writer.socket.write('x'.repeat(33));
  await once(writer.socket, 'close');
  assert.equal(await server.close(), true);
  assert.equal((await reader.lines.next()).done, true);
});
