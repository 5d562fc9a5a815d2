/**
 * Keeps web pages of strangers away from listeners that browsers can reach. A page of another site
 * may open a WebSocket to localhost (seen by its Origin), or make its own name point at 127.0.0.1
 * (seen by its Host). Programs that are no browsers send no Origin and pass.
 */
import { isIP } from 'node:net';
import { isLoopback } from './address.ts';

export interface HostHeaders {
  readonly host?: string | undefined;
  readonly origin?: string | undefined;
}

/**
 * Why a request is refused, as a short text, or null when it may pass.
 * @param allowed names that are accepted beside loopback names, addresses and, for Origin, the
 *   request's own host; `*` accepts all.
 */
export function hostRefusal(headers: HostHeaders, allowed: readonly string[]): string | null {
  if (allowed.includes('*')) return null;
  const host = hostName(`http://${headers.host ?? ''}`);
  // A rebinding attack needs a name of its own; an address in the Host header cannot be one.
  if (host === null || !(isIP(host) !== 0 || isLocalName(host) || allowed.includes(host))) {
    return 'foreign Host header';
  }
  if (headers.origin === undefined) return null;
  const origin = hostName(headers.origin);
  if (origin !== null && (origin === host || isLocalName(origin) || allowed.includes(origin))) {
    return null;
  }
  return 'foreign Origin header';
}

function isLocalName(host: string): boolean {
  return isLoopback(host) || host.endsWith('.localhost');
}

function hostName(url: string): string | null {
  if (!URL.canParse(url)) return null;
  const name = new URL(url).hostname.toLowerCase().replace(/^\[|\]$/g, '');
  return name === '' ? null : name;
}
