/** The certificate that a client showed in a handshake, judged. */
import type { TLSSocket } from 'node:tls';
import type { PeerIdentity } from '#contract';
import type { ClientCertificates } from './key-files.ts';
import { type IdentitySettings, identityOf } from './peer-identity.ts';

export interface Shown {
  readonly identity: PeerIdentity | null;
  /** Why the connection must end, or null. */
  readonly refusal: string | null;
}

/** What the runtime asks OpenSSL itself for sockets of a TLS server, and for no others. */
interface Verifying {
  readonly _handle: {
    verifyError?(): (Error & { readonly code?: string }) | null | undefined;
  } | null;
}

const NOTHING: Shown = { identity: null, refusal: null };

/**
 * Where certificates are optional, and after an upgrade in place, the runtime lets a bad one pass;
 * here it does not.
 */
export function shownBy(
  socket: TLSSocket,
  clients: ClientCertificates,
  settings: IdentitySettings,
): Shown {
  if (clients === 'none') return NOTHING;
  const leaf = socket.getPeerX509Certificate();
  if (leaf === undefined) {
    if (clients === 'optional') return NOTHING;
    return { identity: null, refusal: 'the client shows no certificate' };
  }
  const problem = problemOf(socket);
  if (problem !== null) {
    return { identity: null, refusal: `the client certificate is not good: ${problem}` };
  }
  return { identity: identityOf(leaf, settings), refusal: null };
}

function problemOf(socket: TLSSocket): string | null {
  if (socket.authorized) return null;
  const handle = (socket as unknown as Verifying)._handle;
  if (typeof handle?.verifyError !== 'function') return 'not verified';
  const error = handle.verifyError();
  return error == null ? null : (error.code ?? error.message);
}
