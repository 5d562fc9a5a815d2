/** Reads the files of one set of TLS options, and refuses what could not serve a handshake. */
import { constants, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import { BrokerError, type Values } from '#kit';
import type { TLS_OPTIONS } from '../tls-options.ts';

export type TlsSettings = Pick<
  Values<typeof TLS_OPTIONS>,
  'cert' | 'key' | 'ca' | 'verify' | 'crl' | 'ocsp' | 'minVersion' | 'ciphers' | 'watch'
>;

/** A certificate chain with its key, ready for handshakes. */
export interface Pair {
  readonly context: SecureContext;
  readonly material: SecureContextOptions;
  readonly leaf: X509Certificate;
  /** The OCSP response to staple. */
  readonly staple: Buffer | null;
}

/** Whether clients show certificates. */
export type ClientCertificates = 'none' | 'optional' | 'required';

export interface KeyFiles {
  readonly pairs: readonly [Pair, ...Pair[]];
  /** All that was read, to see whether anything changed. */
  readonly bytes: readonly Buffer[];
}

export function clientCertificates({ verify, ca }: TlsSettings): ClientCertificates {
  if (verify !== 'auto') return verify as ClientCertificates;
  return ca === '' ? 'none' : 'required';
}

/** @throws BrokerError `bad-configuration` that names the option */
function checkTls(settings: TlsSettings): void {
  const { cert, key, ocsp, ca, crl } = settings;
  const wrong =
    cert.length !== key.length
      ? 'cert and key are needed together, as many of one as of the other'
      : ocsp.length > cert.length
        ? 'there are more files in ocsp than in cert'
        : clientCertificates(settings) !== 'none' && ca === ''
          ? 'verify needs the authorities in ca'
          : crl !== '' && clientCertificates(settings) === 'none'
            ? 'crl is about certificates of clients, and none are asked for'
            : null;
  if (wrong !== null) throw new BrokerError('bad-configuration', `tls: ${wrong}.`);
}

/** @throws BrokerError `bad-configuration` */
export async function readKeyFiles(settings: TlsSettings): Promise<KeyFiles> {
  checkTls(settings);
  const bytes: Buffer[] = [];
  // One after the other: of several missing files the same one is always named.
  const read = async (option: string, path: string): Promise<Buffer> => {
    const content = await readOne(option, path);
    bytes.push(content);
    return content;
  };
  const ca = settings.ca === '' ? null : await read('tls.ca', settings.ca);
  const crl = settings.crl === '' ? null : await read('tls.crl', settings.crl);
  const pairs: Pair[] = [];
  for (const [index, path] of settings.cert.entries()) {
    const cert = await read('tls.cert', path);
    const key = await read('tls.key', settings.key[index]!);
    const staple = settings.ocsp[index];
    pairs.push(
      makePair(settings, index, {
        ...{ cert, key, ca, crl },
        staple: staple === undefined ? null : await read('tls.ocsp', staple),
      }),
    );
  }
  const [first, ...more] = pairs;
  if (first === undefined) throw new BrokerError('bad-configuration', 'tls.cert is empty.');
  return { pairs: [first, ...more], bytes };
}

interface Contents {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca: Buffer | null;
  readonly crl: Buffer | null;
  readonly staple: Buffer | null;
}

function makePair(settings: TlsSettings, index: number, contents: Contents): Pair {
  const { cert, key, ca, crl, staple } = contents;
  // A client could ask for handshake after handshake, each of which costs us more than it.
  let secureOptions = constants.SSL_OP_NO_RENEGOTIATION;
  // A ticket would let a client in whose certificate was revoked since.
  if (crl !== null) secureOptions |= constants.SSL_OP_NO_TICKET;
  const material: SecureContextOptions = {
    cert,
    key,
    ...(ca === null ? {} : { ca }),
    ...(crl === null ? {} : { crl }),
    ...(settings.ciphers === '' ? {} : { ciphers: settings.ciphers, honorCipherOrder: true }),
    minVersion: settings.minVersion === '1.3' ? 'TLSv1.3' : 'TLSv1.2',
    secureOptions,
  };
  try {
    return {
      context: createSecureContext(material),
      material,
      leaf: new X509Certificate(cert),
      staple,
    };
  } catch (error) {
    const files = `tls.cert (${settings.cert[index]}) and tls.key (${settings.key[index]})`;
    const reason = `${files} cannot be used: ${textOf(error)}.`;
    throw new BrokerError('bad-configuration', reason, {}, error);
  }
}

async function readOne(option: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new BrokerError('bad-configuration', `${option}: ${textOf(error)}.`, {}, error);
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
