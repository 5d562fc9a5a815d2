/** The PROXY protocol, versions 1 and 2: whatever is cut off asks for more, nothing else does. */
import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { PROXY_HEADER_BYTES_MAX, readProxyHeader } from '../../../src/net/proxy-header.ts';
import { refusable, type Target } from '../target.ts';

const SIGNATURE = '0d0a0d0a000d0a515549540a';

export const proxyHeader: Target = {
  name: 'proxy-header',
  words: [
    Buffer.from('PROXY '),
    Buffer.from('TCP4 1.2.3.4 5.6.7.8 1 2\r\n'),
    Buffer.from('TCP6 ::1 ::ffff:1.2.3.4 1 65535\r\n'),
    Buffer.from('UNKNOWN\r\n'),
    Buffer.from('%eth0'),
    Buffer.from(SIGNATURE, 'hex'),
    Buffer.from([0x21, 0x11, 0, 12]),
    Buffer.from([0x21, 0x21, 0, 36]),
    Buffer.from([0x20, 0, 0, 0]),
  ],
  *seeds() {
    yield Buffer.from('PROXY TCP4 192.168.0.1 10.0.0.1 56324 443\r\nrest');
    yield Buffer.from('PROXY TCP6 2001:db8::1 ::1 56324 443\r\n');
    yield Buffer.from('PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n');
    yield Buffer.from(`${SIGNATURE}2111000c${'01'.repeat(12)}`, 'hex');
    yield Buffer.from(`${SIGNATURE}21210024${'02'.repeat(36)}`, 'hex');
    yield Buffer.from(`${SIGNATURE}20000004${'03'.repeat(4)}`, 'hex');
  },
  run(input) {
    const header = refusable(() => readProxyHeader(input.subarray(0, PROXY_HEADER_BYTES_MAX)));
    if (header === null) return;
    assert.ok(header.length <= PROXY_HEADER_BYTES_MAX && header.length <= input.length);
    if (header.source !== null) {
      assert.notEqual(isIP(header.source.address), 0, 'the source has an address');
      assert.ok(header.source.port >= 0 && header.source.port <= 65_535);
    }
    for (let cut = 0; cut < header.length; cut++) {
      assert.equal(readProxyHeader(input.subarray(0, cut)), null, `cut at ${cut} asks for more`);
    }
    assert.deepEqual(readProxyHeader(Buffer.from(input)), header);
  },
};
