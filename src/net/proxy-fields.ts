/**
 * The extension fields behind the addresses of a PROXY header of version 2: what the balancer knows
 * of the client's certificate, and a checksum.
 */
import { crc32c, ProtocolError } from '#kit';

export interface ProxyFields {
  /** Of a certificate that the client showed and the balancer verified; else null. */
  readonly commonName: string | null;
}

const TYPE_CRC32C = 0x03;
const TYPE_SSL = 0x20;
const SUBTYPE_COMMON_NAME = 0x22;
/** Type and length. */
const FIELD_HEAD = 3;
/** A byte of flags and the result of the check. */
const SSL_HEAD = 5;
/** The client came over TLS, and showed a certificate: on this connection, or in its session. */
const CLIENT_TLS = 0x01;
const CLIENT_CERTIFICATE = 0x02 | 0x04;

/** @throws ProtocolError for a field that does not end in the header, and for a wrong checksum */
export function readProxyFields(header: Buffer, from: number): ProxyFields {
  let commonName: string | null = null;
  eachField(header, from, header.length, (type, at, end) => {
    if (type === TYPE_CRC32C) checkSum(header, at, end);
    else if (type === TYPE_SSL) commonName = readSsl(header, at, end);
  });
  return { commonName };
}

function eachField(
  bytes: Buffer,
  from: number,
  to: number,
  visit: (type: number, at: number, end: number) => void,
): void {
  let at = from;
  while (at < to) {
    const end = at + FIELD_HEAD > to ? to + 1 : at + FIELD_HEAD + bytes.readUInt16BE(at + 1);
    if (end > to) throw new ProtocolError('field', at, 'does not end inside of the header');
    visit(bytes[at]!, at + FIELD_HEAD, end);
    at = end;
  }
}

function readSsl(bytes: Buffer, at: number, end: number): string | null {
  if (end - at < SSL_HEAD) throw new ProtocolError('ssl', at, 'shorter than its fixed part');
  const flags = bytes[at]!;
  const verified = bytes.readUInt32BE(at + 1) === 0;
  let commonName: string | null = null;
  eachField(bytes, at + SSL_HEAD, end, (type, start, stop) => {
    if (type === SUBTYPE_COMMON_NAME) commonName = bytes.toString('utf8', start, stop);
  });
  const shown = (flags & CLIENT_TLS) !== 0 && (flags & CLIENT_CERTIFICATE) !== 0;
  return shown && verified && commonName !== '' ? commonName : null;
}

/** Over the whole header with the checksum itself as zeros. */
function checkSum(header: Buffer, at: number, end: number): void {
  const copy = Buffer.from(header);
  if (end - at === 4) copy.fill(0, at, end);
  if (end - at !== 4 || crc32c(copy) !== header.readUInt32BE(at)) {
    throw new ProtocolError('crc32c', at, 'the checksum does not fit');
  }
}
