/**
 * The PROXY protocol header, versions 1 and 2, as bytes: where a connection really came from when a
 * load balancer stands before the server. Pure; `proxy-reader.ts` feeds it from a socket.
 */
import { isIP } from 'node:net';
import { ProtocolError } from '#kit';
import { readProxyFields } from './proxy-fields.ts';

export interface ProxyHeader {
  /** Bytes that the header takes. */
  readonly length: number;
  /** Null: the balancer speaks for itself (LOCAL, UNKNOWN), the socket's own address is right. */
  readonly source: { readonly address: string; readonly port: number } | null;
  /** Common name of the client's certificate, which the balancer has verified (version 2). */
  readonly commonName: string | null;
}

/** Longest header of version 1, with its line end. */
const V1_LENGTH_MAX = 107;
const V2_FIXED_LENGTH = 16;
/** The longest header that is accepted, address block and extension fields together. */
export const PROXY_HEADER_BYTES_MAX = V2_FIXED_LENGTH + 4096;
/** Bytes of both addresses and ports, by family: none, IPv4, IPv6. */
const ADDRESS_LENGTHS = [0, 12, 36];
const V1_START = Buffer.from('PROXY ');
const V2_SIGNATURE = Buffer.from([
  0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a,
]);

/**
 * Reads a header from the start of `bytes`; null when more bytes are needed.
 * @throws ProtocolError when the bytes cannot become a header.
 */
export function readProxyHeader(bytes: Buffer): ProxyHeader | null {
  if (bytes.length === 0) return null;
  if (startsAs(bytes, V2_SIGNATURE)) return readV2(bytes);
  if (startsAs(bytes, V1_START)) return readV1(bytes);
  throw new ProtocolError('signature', 0, 'the connection does not begin with a PROXY header');
}

function startsAs(bytes: Buffer, start: Buffer): boolean {
  const length = Math.min(bytes.length, start.length);
  return bytes.compare(start, 0, length, 0, length) === 0;
}

function readV1(bytes: Buffer): ProxyHeader | null {
  const end = bytes.subarray(0, V1_LENGTH_MAX).indexOf('\r\n');
  if (end < 0) {
    if (bytes.length < V1_LENGTH_MAX) return null;
    throw new ProtocolError('header', V1_LENGTH_MAX, 'no line end within 107 bytes');
  }
  const words = bytes.toString('latin1', 0, end).split(' ');
  const length = end + 2;
  const [, family, source, destination, sourcePort, destinationPort] = words;
  if (family === 'UNKNOWN') return { length, source: null, commonName: null };
  const version = family === 'TCP4' ? 4 : family === 'TCP6' ? 6 : 0;
  if (version === 0 || words.length !== 6) {
    throw new ProtocolError('family', 6, 'expected TCP4, TCP6 or UNKNOWN and four fields');
  }
  if (isIP(source!) !== version || isIP(destination!) !== version) {
    throw new ProtocolError('address', 11, 'not an address of the named family');
  }
  portOf(destinationPort!);
  const port = portOf(sourcePort!);
  return { length, source: { address: source!, port }, commonName: null };
}

function portOf(text: string): number {
  const port = /^(0|[1-9]\d{0,4})$/.test(text) ? Number(text) : 65_536;
  if (port > 65_535) throw new ProtocolError('port', 11, 'not a port number');
  return port;
}

function readV2(bytes: Buffer): ProxyHeader | null {
  if (bytes.length < V2_FIXED_LENGTH) return null;
  const versionAndCommand = bytes[12]!;
  const command = versionAndCommand & 0x0f;
  if (versionAndCommand >> 4 !== 2 || command > 1) {
    throw new ProtocolError('command', 12, 'expected version 2 with LOCAL or PROXY');
  }
  const length = V2_FIXED_LENGTH + bytes.readUInt16BE(14);
  if (length > PROXY_HEADER_BYTES_MAX) {
    throw new ProtocolError('length', 14, `header of ${length} bytes is too long`);
  }
  if (bytes.length < length) return null;
  const family = bytes[13]! >> 4;
  if (command === 0) return { length, source: null, commonName: null };
  const fieldsAt = V2_FIXED_LENGTH + (ADDRESS_LENGTHS[family] ?? 0);
  if (family > 3) throw new ProtocolError('family', 13, 'unknown address family');
  if (family === 3) return { length, source: null, commonName: null };
  if (length < fieldsAt) throw new ProtocolError('length', 14, 'too short for its addresses');
  const { commonName } = readProxyFields(bytes.subarray(0, length), fieldsAt);
  if (family === 0) return { length, source: null, commonName };
  const source = family === 1 ? readV4Source(bytes) : readV6Source(bytes);
  return { length, source, commonName };
}

function readV4Source(bytes: Buffer): { address: string; port: number } {
  return { address: bytes.subarray(16, 20).join('.'), port: bytes.readUInt16BE(24) };
}

function readV6Source(bytes: Buffer): { address: string; port: number } {
  const groups: string[] = [];
  for (let at = 16; at < 32; at += 2) groups.push(bytes.readUInt16BE(at).toString(16));
  // A URL writes the address in its short form.
  const address = new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
  return { address, port: bytes.readUInt16BE(48) };
}
