/**
 * What is ours of an HTTP request that wants to become a WebSocket or to reach the admin API: Host
 * and Origin, and listen addresses as users write them.
 */
import assert from 'node:assert/strict';
import { BrokerError } from '#kit';
import { isLoopback, parseListen } from '../../../src/net/address.ts';
import { hostRefusal } from '../../../src/net/host-check.ts';
import { refusable, type Target } from '../target.ts';

const PAGES = ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example'];

export const webRequests: Target = {
  name: 'web-requests',
  words: [
    'localhost',
    '127.0.0.1',
    '[::1]',
    '0.0.0.0',
    ':1883',
    '*',
    'http://',
    'https://',
    'null',
    '@',
    '\\',
    '%00',
    '.localhost',
    '\n',
    'xn--',
    '/',
    ...PAGES,
  ].map((word) => Buffer.from(word)),
  *seeds() {
    yield Buffer.from('localhost:1883\nhttp://localhost:8080');
    yield Buffer.from('[::1]:1883\nnull');
    yield Buffer.from('127.0.0.1\nhttp://[::1]');
    yield Buffer.from('example.com\nhttps://example.com');
    yield Buffer.from('*:0\n');
  },
  run(input) {
    const [host, origin] = input.toString('latin1').split('\n');
    const refusal = hostRefusal({ host, origin }, []);
    for (const page of PAGES) {
      // A page of another site stays outside, whatever Host it manages to send.
      assert.notEqual(hostRefusal({ host, origin: `http://${page}` }, []), null, page);
      assert.notEqual(hostRefusal({ host: page, origin }, []), null, page);
    }
    assert.equal(hostRefusal({ host, origin }, ['*']), null);
    assert.ok(refusal === null || refusal.startsWith('foreign '));
    isLoopback(host ?? '');
    const listen = refusable(
      () => parseListen(input.toString()),
      (error) => error instanceof BrokerError && error.code === 'bad-configuration',
    );
    if (listen !== null) assert.ok(listen.port >= 0 && listen.port <= 65_535 && listen.host !== '');
  },
};
