import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProtocolError } from '#kit';
import { readProxyHeader } from './proxy-header.ts';

const V2 = '0d0a0d0a000d0a515549540a';
const headers: [name: string, bytes: Buffer, source: string | null][] = [
  ['v1 TCP4', Buffer.from('PROXY TCP4 10.0.0.9 10.0.0.1 80 81\r\n'), '10.0.0.9 80'],
  ['v1 TCP6', Buffer.from('PROXY TCP6 2001:db8::9 ::1 65535 0\r\n'), '2001:db8::9 65535'],
  ['v1 UNKNOWN', Buffer.from('PROXY UNKNOWN\r\n'), null],
  ['v1 UNKNOWN with rest', Buffer.from('PROXY UNKNOWN ffff::1 x y z\r\n'), null],
  ['v2 IPv4', Buffer.from(`${V2}2111000c0a0000090a00000100500051`, 'hex'), '10.0.0.9 80'],
  [
    'v2 IPv6',
    Buffer.from(`${V2}21210024${'20010db8'.padEnd(31, '0')}9${'0'.repeat(31)}100500051`, 'hex'),
    '2001:db8::9 80',
  ],
  [
    'v2 with extension',
    Buffer.from(`${V2}211100100a0000090a0000010050005104000100`, 'hex'),
    '10.0.0.9 80',
  ],
  ['v2 LOCAL', Buffer.from(`${V2}20000000`, 'hex'), null],
  ['v2 unix', Buffer.from(`${V2}21310004aabbccdd`, 'hex'), null],
];

for (const [name, bytes, source] of headers) {
  test(`a ${name} header is read at once, and every shorter part of it asks for more`, () => {
    const header = readProxyHeader(Buffer.concat([bytes, Buffer.from('rest')]))!;
    assert.equal(header.length, bytes.length);
    const seen = header.source === null ? null : `${header.source.address} ${header.source.port}`;
    assert.equal(seen, source);
    for (let end = 0; end < bytes.length; end++) {
      assert.equal(readProxyHeader(bytes.subarray(0, end)), null, `cut at ${end}`);
    }
  });

  test(`a ${name} header with a changed byte ends in a value or a ProtocolError`, () => {
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes);
      changed[at]! ^= 0x55;
      try {
        readProxyHeader(changed);
      } catch (error) {
        assert.ok(error instanceof ProtocolError);
      }
    }
  });
}

const bad: [name: string, bytes: Buffer][] = [
  ['another protocol', Buffer.from('CONNECT {}\r\n')],
  ['a wrong family', Buffer.from('PROXY TCP5 1.1.1.1 1.1.1.1 1 1\r\n')],
  ['a name for an address', Buffer.from('PROXY TCP4 localhost 1.1.1.1 1 1\r\n')],
  ['a port too large', Buffer.from('PROXY TCP4 1.1.1.1 1.1.1.1 65536 1\r\n')],
  ['a missing field', Buffer.from('PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n')],
  ['no line end', Buffer.from(`PROXY TCP4 ${'1'.repeat(100)}`)],
  ['version 3', Buffer.from(`${V2}31110000`, 'hex')],
  ['command 2', Buffer.from(`${V2}22110000`, 'hex')],
  ['a short address block', Buffer.from(`${V2}211100040a000009`, 'hex')],
  ['a huge length', Buffer.from(`${V2}2111ffff`, 'hex')],
];

for (const [name, bytes] of bad) {
  test(`a PROXY header with ${name} is refused`, () => {
    assert.throws(() => readProxyHeader(bytes), ProtocolError);
  });
}
