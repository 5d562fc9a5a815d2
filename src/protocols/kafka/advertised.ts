/** Which address clients are told to connect to (K12). */
import type { Connection } from '#contract';
import { BrokerError } from '#kit';

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

interface Setting {
  readonly listener: string | null;
  readonly host: string;
  readonly port: number | null;
}

/**
 * The configured address for the connection's listener, else the address that the client reached:
 * it works through port forwarding on the same number, and on every interface.
 */
export function advertisedFor(connection: Connection, settings: readonly string[]): Endpoint {
  const parsed = settings.map(parseAdvertised);
  const setting =
    parsed.find(({ listener }) => listener === connection.listener) ??
    parsed.find(({ listener }) => listener === null);
  const { address, port } = connection.local;
  if (setting === undefined) return { host: reachable(address), port };
  return { host: setting.host, port: setting.port ?? port };
}

/** @throws BrokerError `bad-configuration` */
export function parseAdvertised(text: string): Setting {
  const match = /^(?:([a-z-]+)=)?(\[[0-9a-fA-F:.]+\]|[^:=\s]+)(?::(\d{1,5}))?$/.exec(text);
  const port = match?.[3] === undefined ? null : Number(match[3]);
  if (match === null || port === 0 || (port ?? 0) > 65_535) {
    throw new BrokerError('bad-configuration', `kafka advertised: '${text}'.`);
  }
  return {
    listener: match[1] ?? null,
    host: match[2]!.replace(/^\[|\]$/g, ''),
    port,
  };
}

function reachable(address: string): string {
  if (address.startsWith('::ffff:')) return address.slice('::ffff:'.length);
  // Some clients join host and port with a colon: a name avoids the ambiguity.
  return address === '::1' || address === '' ? 'localhost' : address;
}
