/**
 * The way of a fresh TCP socket to its protocol: PROXY header where one is due, TLS handshake, HTTP
 * upgrade, as the listener's transport says.
 */
import type { Socket } from 'node:net';
import { type TLSSocket, Server as TlsServer } from 'node:tls';
import type { ListenerPlan, Peer } from '#contract';
import { assert } from '#kit';
import { Arrivals } from './arrivals.ts';
import type { Doorway } from './doorway.ts';
import { AddressCounts } from './limits/address-counts.ts';
import type { ProxyHeader } from './proxy-header.ts';
import { takeProxyHeader } from './proxy-reader.ts';
import { peerOf, SocketConnection } from './socket-connection.ts';
import { shownBy } from './tls/client-certificate.ts';
import { identityOfName } from './tls/peer-identity.ts';
import type { TlsKeys } from './tls/tls-keys.ts';
import { WebSocketDoor } from './websocket-door.ts';

/** Named beside the protocol's own name, as clients of a WebSocket offer this one. */
const ALPN_HTTP = 'http/1.1';

export interface DoorOptions {
  /** A PROXY header comes first on every connection. */
  readonly proxied: boolean;
  readonly handshakeMs: number;
}

export class Door {
  readonly #doorway: Doorway;
  readonly #proxied: boolean;
  readonly #handshakeMs: number;
  readonly #arrivals: Arrivals;
  readonly #addresses: AddressCounts;
  readonly #webSockets: WebSocketDoor | null;
  readonly #tls: TlsServer | null;

  constructor(doorway: Doorway, plan: ListenerPlan, options: DoorOptions) {
    this.#doorway = doorway;
    this.#proxied = options.proxied;
    this.#handshakeMs = options.handshakeMs;
    this.#arrivals = new Arrivals(doorway);
    this.#addresses = new AddressCounts(doorway.settings.addressConnectionsMax);
    const overHttp = plan.transport === 'ws' || plan.transport === 'wss';
    this.#webSockets = overHttp ? new WebSocketDoor(doorway, plan, this.#arrivals) : null;
    const encrypted = plan.transport === 'tls' || plan.transport === 'wss';
    this.#tls = encrypted ? this.#makeTls(doorway.keys, alpnOf(plan, overHttp)) : null;
  }

  enter(socket: Socket): void {
    const peer = peerOf(socket);
    if (!this.#proxied) {
      this.#admit(socket, peer);
      return;
    }
    const { proxyTrust } = this.#doorway;
    if (!proxyTrust.isEmpty && !proxyTrust.has(peer.address)) {
      this.#turnAway(socket, peer, 'not one of the trusted load balancers');
      return;
    }
    this.#arrivals.add(socket, peer);
    takeProxyHeader(socket, (header, error) => {
      this.#arrivals.take(socket);
      if (header === null) this.#turnAway(socket, peer, 'no valid PROXY header', error);
      else this.#admit(socket, this.#behindProxy(peer, header));
    });
  }

  /** The balancer may stand on this machine, its clients do not: no trust in loopback. */
  #behindProxy(peer: Peer, { source, commonName }: ProxyHeader): Peer {
    const told = { ...peer, ...source, loopback: false };
    if (commonName === null) return told;
    return { ...told, identity: identityOfName(commonName, this.#doorway.settings) };
  }

  #admit(socket: Socket, peer: Peer): void {
    const refusal =
      this.#doorway.admission.refusesAddress(peer.address) ??
      this.#addresses.enter(peer.address, socket);
    if (refusal !== null) {
      this.#turnAway(socket, peer, refusal);
      return;
    }
    if (this.#tls === null && this.#webSockets === null) {
      this.#open(socket, peer);
      return;
    }
    this.#arrivals.add(socket, peer);
    if (this.#tls !== null) this.#tls.emit('connection', socket);
    else this.#webSockets!.welcome(socket);
  }

  #open(socket: Socket, peer: Peer): void {
    const connection = new SocketConnection(this.#doorway, peer, socket);
    connection.open();
    // Not read so far, or paused since a PROXY header was, or while it waited for its turn.
    if (!socket.isPaused()) return;
    const { firstReads } = this.#doorway;
    if (firstReads === undefined) socket.resume();
    else firstReads.add(connection);
  }

  #makeTls(keys: TlsKeys | null, alpn: readonly string[]): TlsServer {
    assert(keys !== null, 'TLS listeners open only with a certificate');
    const server = new TlsServer({
      ...keys.first.material,
      SNICallback: keys.choose,
      ...(alpn.length === 0 ? {} : { ALPNProtocols: [...alpn] }),
      requestCert: keys.clients !== 'none',
      rejectUnauthorized: keys.clients === 'required',
      handshakeTimeout: this.#handshakeMs,
      allowHalfOpen: true,
    });
    keys.onChange(({ material }) => server.setSecureContext(material));
    if (keys.settings.ocsp.length > 0) {
      server.on('OCSPRequest', (leaf, _issuer, done) => done(null, keys.stapleFor(leaf)!));
    }
    server.on('secureConnection', (socket) => this.#secured(socket, keys));
    server.on('tlsClientError', (error, socket) => {
      const peer = this.#arrivals.take(socket);
      if (peer !== undefined) this.#refuse(peer, 'TLS handshake failed', error);
      socket.destroy();
    });
    return server;
  }

  #secured(socket: TLSSocket, keys: TlsKeys): void {
    const { identity, refusal } = shownBy(socket, keys.clients, this.#doorway.settings);
    const known = this.#arrivals.peek(socket);
    if (known === undefined || refusal !== null) {
      this.#arrivals.take(socket);
      if (refusal !== null) this.#refuse(known ?? peerOf(socket), refusal, null);
      socket.destroy();
      return;
    }
    const peer = identity === null ? known : { ...known, identity };
    if (this.#webSockets === null) {
      this.#arrivals.take(socket);
      this.#open(socket, peer);
    } else {
      this.#arrivals.learn(socket, peer);
      this.#webSockets.welcome(socket);
    }
  }

  #turnAway(socket: Socket, peer: Peer, reason: string, error: Error | null = null): void {
    this.#refuse(peer, reason, error);
    socket.on('error', () => {});
    socket.destroy();
  }

  #refuse(peer: Peer, reason: string, error: Error | null): void {
    this.#doorway.counts.refused.add();
    this.#doorway.log.info(`connection refused: ${reason}`, {
      peer: peer.address,
      reason: error?.message,
    });
  }
}

/** None where the protocol has no name for it: then what clients offer is not looked at. */
function alpnOf({ alpn = [] }: ListenerPlan, overHttp: boolean): readonly string[] {
  return overHttp ? [ALPN_HTTP, ...alpn] : alpn;
}
