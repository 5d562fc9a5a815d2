/**
 * Sockets on their way to being a connection: a TLS handshake, an HTTP upgrade or a PROXY header is
 * not finished. They count as half-open, and what is known of the peer waits here for them.
 */
import type { Socket } from 'node:net';
import type { Peer } from '#contract';
import type { Doorway } from './doorway.ts';
import type { Waiting } from './half-open.ts';

export class Arrivals {
  readonly #doorway: Doorway;
  readonly #byKey = new Map<string, Arrival>();

  constructor(doorway: Doorway) {
    this.#doorway = doorway;
  }

  add(socket: Socket, peer: Peer): void {
    const key = keyOf(socket);
    const arrival = new Arrival(this.#doorway, socket, peer);
    this.#byKey.set(key, arrival);
    this.#doorway.halfOpen.add(arrival);
    // The layers above listen for errors of their own; the raw socket's must not end the process.
    socket.on('error', () => {});
    socket.on('close', () => {
      if (this.#byKey.get(key) === arrival) this.#byKey.delete(key);
      this.#doorway.halfOpen.remove(arrival);
    });
  }

  /** The peer behind a socket, which may be a layer over the one that was added. */
  take(socket: Socket): Peer | undefined {
    const key = keyOf(socket);
    const arrival = this.#byKey.get(key);
    if (arrival === undefined) return undefined;
    this.#byKey.delete(key);
    this.#doorway.halfOpen.remove(arrival);
    return arrival.peer;
  }

  /** More is known of the peer now. */
  learn(socket: Socket, peer: Peer): void {
    const arrival = this.#byKey.get(keyOf(socket));
    if (arrival !== undefined) arrival.peer = peer;
  }

  peek(socket: Socket): Peer | undefined {
    return this.#byKey.get(keyOf(socket))?.peer;
  }
}

class Arrival implements Waiting {
  peer: Peer;
  readonly #doorway: Doorway;
  readonly #socket: Socket;

  constructor(doorway: Doorway, socket: Socket, peer: Peer) {
    this.#doorway = doorway;
    this.#socket = socket;
    this.peer = peer;
  }

  destroy(reason: string): void {
    this.#doorway.log.info('connection closed by the server', { peer: this.peer.address, reason });
    this.#socket.destroy();
  }
}

/** Both ends of the TCP connection: TLS and HTTP layers report them as the socket below does. */
function keyOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort} ${socket.localPort}`;
}
