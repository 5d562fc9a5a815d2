/**
 * The server's TLS identity, read at start, so that a bad file stops the start and not a client.
 */
import { constants } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import { BrokerError, type Values } from '#kit';
import type { TLS_OPTIONS } from './net-options.ts';

export interface Certificate {
  readonly context: SecureContext;
  /** What the context was made of, for servers that make their own. */
  readonly material: SecureContextOptions;
  /** Clients must present a certificate of the configured authority. */
  readonly clientsVerified: boolean;
}

/** Null when no certificate is configured: then no TLS listener opens. */
export async function loadCertificate(
  options: Values<typeof TLS_OPTIONS>,
): Promise<Certificate | null> {
  if (options.cert === '' && options.key === '') return null;
  if (options.cert === '' || options.key === '') {
    throw new BrokerError('bad-configuration', 'tls.cert and tls.key are needed together.');
  }
  // One after the other: of several missing files the same one is always named.
  const cert = await readPem('tls.cert', options.cert);
  const key = await readPem('tls.key', options.key);
  const ca = options.ca === '' ? undefined : await readPem('tls.ca', options.ca);
  try {
    const material: SecureContextOptions = {
      cert,
      key,
      ...(ca === undefined ? {} : { ca }),
      minVersion: options.minVersion === '1.3' ? 'TLSv1.3' : 'TLSv1.2',
      // A client could ask for handshake after handshake, each of which costs us more than it.
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    };
    return { context: createSecureContext(material), material, clientsVerified: ca !== undefined };
  } catch (error) {
    throw new BrokerError(
      'bad-configuration',
      `tls.cert (${options.cert}) and tls.key (${options.key}) cannot be used: ${textOf(error)}.`,
      {},
      error,
    );
  }
}

async function readPem(option: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new BrokerError('bad-configuration', `${option}: ${textOf(error)}.`, {}, error);
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
