/** A connection as administrators see it. */
import type { Link } from './connection.ts';

export function connectionRow(
  link: Link,
): Readonly<Record<string, string | number | boolean | null>> {
  const { connection, clientId, version, session, state, keepAliveSec, output } = link;
  return {
    id: connection.id,
    client: clientId,
    peer: `${connection.peer.address}:${connection.peer.port}`,
    listener: connection.listener,
    version,
    user: session?.principal.name ?? null,
    state,
    keepAliveSec,
    pendingBytes: output.pendingBytes,
  };
}
