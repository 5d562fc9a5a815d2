/** The HTTP side of WebSocket listeners: path, Host, Origin and subprotocol, then the upgrade. */
import { createServer, type IncomingMessage, type Server, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { ListenerPlan, Peer } from '#contract';
import type { Arrivals } from './arrivals.ts';
import type { Doorway } from './doorway.ts';
import { hostRefusal } from './host-check.ts';
import { WebSocketConnection } from './websocket-connection.ts';

export interface WebSocketLimits {
  readonly messageBytesMax: number;
  readonly allowedHosts: readonly string[];
}

/** Largest HTTP header of an upgrade request. */
const HEADER_BYTES_MAX = 16 * 1024;

export class WebSocketDoor {
  readonly #doorway: Doorway;
  readonly #plan: ListenerPlan;
  readonly #arrivals: Arrivals;
  readonly #allowedHosts: readonly string[];
  readonly #http: Server;
  readonly #upgrader: WebSocketServer;

  constructor(doorway: Doorway, plan: ListenerPlan, arrivals: Arrivals, limits: WebSocketLimits) {
    this.#doorway = doorway;
    this.#plan = plan;
    this.#arrivals = arrivals;
    this.#allowedHosts = limits.allowedHosts;
    this.#upgrader = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: limits.messageBytesMax,
      handleProtocols: (offered) => this.#choose(offered) ?? false,
    });
    this.#http = createServer({ maxHeaderSize: HEADER_BYTES_MAX }, (request, response) => {
      const notFound = !this.#serves(request);
      this.#refused(request.socket, notFound ? 'unknown path' : 'no WebSocket upgrade');
      response.writeHead(notFound ? 404 : 426, { connection: 'close', upgrade: 'websocket' });
      response.end();
    });
    this.#http.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
    this.#http.on('clientError', (_error, socket) => {
      this.#refused(socket, 'no valid HTTP request');
      answer(socket, 400);
    });
  }

  /** A TCP or TLS socket whose bytes are an HTTP request. */
  welcome(socket: Socket): void {
    this.#http.emit('connection', socket);
    socket.resume();
  }

  #serves(request: IncomingMessage): boolean {
    const path = this.#plan.path ?? '/';
    return path === '*' || pathOf(request) === path;
  }

  /** The first of ours that the client offers. */
  #choose(offered: ReadonlySet<string>): string | undefined {
    return this.#plan.subprotocols?.find((name) => offered.has(name));
  }

  #upgrade(request: IncomingMessage, duplex: Duplex, head: Buffer): void {
    const socket = duplex as Socket;
    const refusal = this.#refusalOf(request);
    if (refusal !== null) {
      this.#refused(socket, refusal.reason);
      answer(socket, refusal.status);
      return;
    }
    this.#upgrader.handleUpgrade(request, socket, head, (webSocket) => {
      const peer = this.#arrivals.take(socket);
      if (peer === undefined) webSocket.terminate();
      else this.#open(socket, webSocket, peer);
    });
  }

  #open(socket: Socket, webSocket: WebSocket, peer: Peer): void {
    const binaryOnly = this.#plan.binaryOnly ?? true;
    new WebSocketConnection(this.#doorway, peer, { socket, webSocket, binaryOnly }).open();
  }

  #refusalOf(request: IncomingMessage): { status: number; reason: string } | null {
    if (!this.#serves(request)) return { status: 404, reason: 'unknown path' };
    const reason = hostRefusal(request.headers, this.#allowedHosts);
    if (reason !== null) return { status: 403, reason };
    const wanted = this.#plan.subprotocols ?? [];
    if (wanted.length === 0) return null;
    const offered = request.headers['sec-websocket-protocol'] ?? '';
    const names = new Set(offered.split(',').map((name) => name.trim()));
    if (this.#choose(names) !== undefined) return null;
    return { status: 400, reason: `none of the subprotocols ${wanted.join(', ')} is offered` };
  }

  #refused(socket: Duplex, reason: string): void {
    this.#doorway.counts.refused.add();
    const peer = this.#arrivals.peek(socket as Socket);
    this.#doorway.log.info('WebSocket refused', { peer: peer?.address, reason });
  }
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '').split('?', 1)[0]!;
}

function answer(socket: Duplex, status: number): void {
  const reason = STATUS_CODES[status] ?? '';
  const headers = 'Connection: close\r\nContent-Length: 0\r\n';
  socket.end(`HTTP/1.1 ${status} ${reason}\r\n${headers}\r\n`);
}
