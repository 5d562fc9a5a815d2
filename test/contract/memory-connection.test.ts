import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Connection, ConnectionHandler } from '#contract';
import { connectMemory, MemoryConnection } from './memory-connection.ts';

function echoHandler(connection: Connection, calls: string[] = []): ConnectionHandler {
  return {
    data(chunk) {
      calls.push(`data ${chunk.toString()}`);
      connection.write(chunk);
    },
    drain: () => calls.push('drain'),
    closed: (error) => calls.push(`closed ${error?.message ?? 'clean'}`),
  };
}

test('bytes cross at once in both directions', () => {
  const client = connectMemory({ accept: (c) => c.handle(echoHandler(c)) });
  client.send('hello');
  assert.equal(client.take().toString(), 'hello');
  assert.equal(client.take().length, 0);
});

test('read waits for its count and leaves the rest', async () => {
  const client = connectMemory({ accept: (c) => c.handle(echoHandler(c)) });
  const first = client.read(4);
  client.sendByteByByte('abcdef');
  assert.equal((await first).toString(), 'abcd');
  assert.equal((await client.readThrough('f')).toString(), 'ef');
});

test('a paused connection keeps what arrives until it is resumed', () => {
  const calls: string[] = [];
  const connection = new MemoryConnection();
  connection.handle(echoHandler(connection, calls));
  connection.pause();
  connection.client.send('x');
  assert.deepEqual(calls, []);
  connection.resume();
  assert.deepEqual(calls, ['data x']);
});

test('a client that holds back makes write answer false, and drain follows its release', () => {
  const calls: string[] = [];
  const connection = new MemoryConnection({ sendMark: 4 });
  connection.handle(echoHandler(connection, calls));
  connection.client.hold();
  assert.equal(connection.write(Buffer.from('abc')), true);
  assert.equal(connection.write(Buffer.from('d')), false);
  assert.equal(connection.pendingBytes, 4);
  connection.client.release();
  assert.deepEqual(calls, ['drain']);
  assert.equal(connection.client.take().toString(), 'abcd');
});

test('closed is told once, whoever closes, and nothing arrives after it', async () => {
  for (const close of [
    (c: MemoryConnection) => c.destroy('test'),
    (c: MemoryConnection) => c.end(),
    (c: MemoryConnection) => c.client.close(),
  ]) {
    const calls: string[] = [];
    const connection = new MemoryConnection();
    connection.handle(echoHandler(connection, calls));
    close(connection);
    connection.destroy('again');
    connection.client.send('late');
    assert.equal(connection.write(Buffer.from('late')), false);
    await connection.client.closed;
    assert.deepEqual(calls, ['closed clean']);
  }
});

test('a read that can no longer be answered is rejected', async () => {
  const client = connectMemory({ accept: (c) => c.handle(echoHandler(c)) });
  const reading = client.read(1);
  client.close(new Error('reset'));
  await assert.rejects(reading, /closed after 0 unread bytes/);
});
