/**
 * The way of a fresh TCP socket to its protocol: PROXY header where one is due, TLS handshake, HTTP
 * upgrade, as the listener's transport says.
 */
import type { Socket } from 'node:net';
import { type TLSSocket, Server as TlsServer } from 'node:tls';
import type { ListenerPlan, Peer } from '#contract';
import { assert } from '#kit';
import { Arrivals } from './arrivals.ts';
import type { Certificate } from './certificate.ts';
import type { Doorway } from './doorway.ts';
import { takeProxyHeader } from './proxy-reader.ts';
import { peerOf, SocketConnection } from './socket-connection.ts';
import { WebSocketDoor, type WebSocketLimits } from './websocket-door.ts';

export interface DoorOptions extends WebSocketLimits {
  /** A PROXY header comes first on every connection. */
  readonly proxied: boolean;
  readonly handshakeMs: number;
}

export class Door {
  readonly #doorway: Doorway;
  readonly #proxied: boolean;
  readonly #handshakeMs: number;
  readonly #arrivals: Arrivals;
  readonly #webSockets: WebSocketDoor | null;
  readonly #tls: TlsServer | null;

  constructor(doorway: Doorway, plan: ListenerPlan, options: DoorOptions) {
    this.#doorway = doorway;
    this.#proxied = options.proxied;
    this.#handshakeMs = options.handshakeMs;
    this.#arrivals = new Arrivals(doorway);
    const overHttp = plan.transport === 'ws' || plan.transport === 'wss';
    this.#webSockets = overHttp ? new WebSocketDoor(doorway, plan, this.#arrivals, options) : null;
    const encrypted = plan.transport === 'tls' || plan.transport === 'wss';
    this.#tls = encrypted ? this.#makeTls(doorway.certificate) : null;
  }

  enter(socket: Socket): void {
    const peer = peerOf(socket);
    if (!this.#proxied) {
      this.#admit(socket, peer);
      return;
    }
    this.#arrivals.add(socket, peer);
    takeProxyHeader(socket, (header, error) => {
      this.#arrivals.take(socket);
      if (header === null) {
        this.#refuse(peer, 'no valid PROXY header', error);
        socket.destroy();
        return;
      }
      // The balancer may stand on this machine, its clients do not: no trust in loopback.
      this.#admit(socket, { ...peer, ...header.source, loopback: false });
    });
  }

  #admit(socket: Socket, peer: Peer): void {
    if (this.#tls === null && this.#webSockets === null) {
      this.#open(socket, peer);
      return;
    }
    this.#arrivals.add(socket, peer);
    if (this.#tls !== null) this.#tls.emit('connection', socket);
    else this.#webSockets!.welcome(socket);
  }

  #open(socket: Socket, peer: Peer): void {
    new SocketConnection(this.#doorway, peer, socket).open();
    // Paused still, when a PROXY header was read.
    if (this.#proxied) socket.resume();
  }

  #makeTls(certificate: Certificate | null): TlsServer {
    assert(certificate !== null, 'TLS listeners open only with a certificate');
    const server = new TlsServer({
      ...certificate.material,
      requestCert: certificate.clientsVerified,
      rejectUnauthorized: certificate.clientsVerified,
      handshakeTimeout: this.#handshakeMs,
      allowHalfOpen: true,
    });
    server.on('secureConnection', (socket) => this.#secured(socket));
    server.on('tlsClientError', (error, socket) => {
      const peer = this.#arrivals.take(socket);
      if (peer !== undefined) this.#refuse(peer, 'TLS handshake failed', error);
      socket.destroy();
    });
    return server;
  }

  #secured(socket: TLSSocket): void {
    if (this.#webSockets !== null) {
      this.#webSockets.welcome(socket);
      return;
    }
    const peer = this.#arrivals.take(socket);
    if (peer === undefined) socket.destroy();
    else this.#open(socket, peer);
  }

  #refuse(peer: Peer, reason: string, error: Error | null): void {
    this.#doorway.counts.refused.add();
    this.#doorway.log.info(`connection refused: ${reason}`, {
      peer: peer.address,
      reason: error?.message,
    });
  }
}
