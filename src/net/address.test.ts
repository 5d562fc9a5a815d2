import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLoopback, parseListen } from './address.ts';

test('a listen text names host and port, and means loopback without a host', () => {
  const rows: [string, string, number][] = [
    ['localhost:1883', 'localhost', 1883],
    [':0', 'localhost', 0],
    ['1883', 'localhost', 1883],
    ['0.0.0.0:1', '0.0.0.0', 1],
    ['[::1]:5', '::1', 5],
    ['[::]:5', '::', 5],
    ['*:5', '*', 5],
    ['broker.example:9092', 'broker.example', 9092],
  ];
  for (const [text, host, port] of rows) assert.deepEqual(parseListen(text), { host, port });
});

test('a text that is no listen address is refused with an example', () => {
  for (const text of ['', 'localhost', 'localhost:', 'a:b', '::1:5', 'localhost:70000', ':-1']) {
    assert.throws(() => parseListen(text), /is no listen address; write host:port/, text);
  }
});

test('loopback is 127.0.0.0/8, ::1 and localhost, and nothing else', () => {
  const own = ['localhost', '127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1'];
  for (const host of own) assert.equal(isLoopback(host), true, host);
  const others = ['0.0.0.0', '::', '*', '10.0.0.1', '::2', '128.0.0.1', 'localhost.example', ''];
  for (const host of others) assert.equal(isLoopback(host), false, host);
});
