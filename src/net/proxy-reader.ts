/** Takes the PROXY header off a socket and leaves the bytes after it for the next reader. */
import type { Socket } from 'node:net';
import type { ProtocolError } from '#kit';
import { PROXY_HEADER_BYTES_MAX, type ProxyHeader, readProxyHeader } from './proxy-header.ts';

/**
 * Calls `done` once, with the header or with why there is none. The socket is paused then; it must
 * be resumed by its next reader.
 */
export function takeProxyHeader(
  socket: Socket,
  done: (header: ProxyHeader | null, error: ProtocolError | null) => void,
): void {
  let collected: Buffer = Buffer.alloc(0);
  const onData = (chunk: Buffer): void => {
    collected = collected.length === 0 ? chunk : Buffer.concat([collected, chunk]);
    let header: ProxyHeader | null;
    try {
      header = readProxyHeader(collected.subarray(0, PROXY_HEADER_BYTES_MAX));
    } catch (error) {
      socket.off('data', onData);
      socket.pause();
      done(null, error as ProtocolError);
      return;
    }
    if (header === null) return;
    socket.off('data', onData);
    socket.pause();
    if (collected.length > header.length) socket.unshift(collected.subarray(header.length));
    done(header, null);
  };
  socket.on('data', onData);
}
