/**
 * Listen texts (`localhost:1883`, `:0`, `[::1]:1883`, `*:1883`) and the question whether an address
 * is this machine's own. Names are not looked up here.
 */
import { BlockList, isIP } from 'node:net';
import { BrokerError } from '#kit';

export interface ListenAddress {
  /** `localhost` stands for both loopback addresses, `*` for every address of the machine. */
  readonly host: string;
  readonly port: number;
}

const LISTEN_TEXT = /^(?:(?<host>\[[0-9a-fA-F:.%a-z]+\]|[^[\]:]*):)?(?<port>\d{1,5})$/;

/** Reads `host:port`, `[v6]:port`, `:port` or `port`; without a host, loopback is meant. */
export function parseListen(text: string): ListenAddress {
  const match = LISTEN_TEXT.exec(text.trim());
  const port = Number(match?.groups?.['port'] ?? Number.NaN);
  if (match === null || port > 65_535) {
    throw new BrokerError(
      'bad-configuration',
      `"${text}" is no listen address; write host:port, such as localhost:1883, 0.0.0.0:1883 or :0.`,
    );
  }
  const host = (match.groups?.['host'] ?? '').replace(/^\[|\]$/g, '');
  return { host: host === '' ? 'localhost' : host, port };
}

const loopbackBlock = new BlockList();
loopbackBlock.addSubnet('127.0.0.0', 8, 'ipv4');
loopbackBlock.addAddress('::1', 'ipv6');

/** True for `localhost`, 127.0.0.0/8 and ::1 (also when mapped into IPv6). */
export function isLoopback(host: string): boolean {
  if (host === '127.0.0.1' || host === '::1' || host === 'localhost') return true;
  const plain = unmapped(host);
  const family = isIP(plain);
  return family !== 0 && loopbackBlock.check(plain, family === 4 ? 'ipv4' : 'ipv6');
}

/** An IPv4 address that the kernel reports in IPv6 form, in its own form. */
export function unmapped(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
}

export function showAddress(address: { address: string; port: number }): string {
  const host = address.address.includes(':') ? `[${address.address}]` : address.address;
  return `${host}:${address.port}`;
}
