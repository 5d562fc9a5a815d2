/** Raw connections that misbehave, and how they ended. */
import { connect, type Socket } from 'node:net';
import { deadline } from '../clients/program.ts';
import { HOST } from '../clients/server.ts';

export class RawConnection {
  readonly socket: Socket;
  /** Resolves when the connection is gone, whoever ended it. */
  readonly closed: Promise<void>;
  /** Bytes that the server had sent, the first 64 KiB of them. */
  received: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.socket = socket;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    socket.on('error', () => {}); // A reset is one of the ways to be closed.
    socket.once('close', () => resolve());
    socket.on('data', (chunk: Buffer) => {
      if (this.received.length < 65_536) this.received = Buffer.concat([this.received, chunk]);
    });
  }

  static async open(port: number): Promise<RawConnection> {
    const socket = connect({ host: HOST, port, noDelay: true });
    const made = new RawConnection(socket);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    socket.once('connect', resolve);
    socket.once('error', reject);
    await promise;
    return made;
  }

  /** Waits for the server to end it. */
  async expectClosed(timeoutMs: number, what: string): Promise<void> {
    await deadline(this.closed, timeoutMs, () => `${what}: still open`);
  }

  destroy(): void {
    this.socket.destroy();
  }
}

/** A reproducible source of bytes: the same seed gives the same attack. */
export function seededBytes(seed: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed >>> 0 || 1;
  for (let at = 0; at < length; at++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[at] = state & 0xff;
  }
  return bytes;
}
