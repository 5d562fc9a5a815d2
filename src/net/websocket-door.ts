/** The HTTP side of WebSocket listeners: path, Host, Origin and subprotocol, then the upgrade. */
import type { IncomingMessage, Server } from 'node:http';
import { isIP, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { ListenerPlan, Peer } from '#contract';
import { unmapped } from './address.ts';
import type { Arrivals } from './arrivals.ts';
import type { Doorway } from './doorway.ts';
import { hostRefusal } from './host-check.ts';
import { WebSocketConnection } from './websocket-connection.ts';

// An import would look at all exports of the module, and so load the client of `fetch`: 50 ms.
const { createServer, STATUS_CODES } = process.getBuiltinModule('node:http');

/** Largest HTTP header of an upgrade request. */
const HEADER_BYTES_MAX = 16 * 1024;
/** Nothing is remembered from message to message: a megabyte less for each connection. */
const COMPRESSION = {
  threshold: 1024,
  serverNoContextTakeover: true,
  clientNoContextTakeover: true,
  serverMaxWindowBits: 12,
  concurrencyLimit: 4,
  zlibDeflateOptions: { memLevel: 5, level: 3 },
} as const;

export class WebSocketDoor {
  readonly #doorway: Doorway;
  readonly #plan: ListenerPlan;
  readonly #arrivals: Arrivals;
  readonly #path: string;
  readonly #subprotocols: readonly string[];
  readonly #http: Server;
  readonly #upgrader: WebSocketServer;

  constructor(doorway: Doorway, plan: ListenerPlan, arrivals: Arrivals) {
    const { settings } = doorway;
    this.#doorway = doorway;
    this.#plan = plan;
    this.#arrivals = arrivals;
    this.#path = settings.path === '' ? (plan.path ?? '/') : settings.path;
    const { subprotocols } = settings;
    this.#subprotocols = subprotocols.length > 0 ? subprotocols : (plan.subprotocols ?? []);
    this.#upgrader = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: settings.websocketCompression && COMPRESSION,
      maxPayload: settings.websocketMessageMax,
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
    return this.#path === '*' || pathOf(request) === this.#path;
  }

  /** The first of ours that the client offers. */
  #choose(offered: ReadonlySet<string>): string | undefined {
    return this.#subprotocols.find((name) => offered.has(name));
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
      const known = this.#arrivals.take(socket);
      const peer = known === undefined ? undefined : this.#forwarded(request, known);
      if (peer === undefined) webSocket.terminate();
      else this.#open(socket, webSocket, peer);
    });
  }

  /** The client behind HTTP proxies: the last address of the way that none of ours has added. */
  #forwarded(request: IncomingMessage, peer: Peer): Peer | undefined {
    const { forwardedTrust, admission } = this.#doorway;
    const header = request.headers['x-forwarded-for'];
    if (header === undefined || !forwardedTrust.has(peer.address)) return peer;
    const way = String(header).split(',');
    let address = peer.address;
    while (way.length > 0 && forwardedTrust.has(address)) {
      const before = addressOf(way.pop()!);
      // What is no address was not written by a proxy that we trust.
      if (before === null) return undefined;
      address = before;
    }
    const refusal = admission.refusesAddress(address);
    if (refusal === null) return { ...peer, address, port: 0, loopback: false };
    this.#doorway.counts.refused.add();
    this.#doorway.log.info('WebSocket refused', { peer: address, reason: refusal });
    return undefined;
  }

  #open(socket: Socket, webSocket: WebSocket, peer: Peer): void {
    const binaryOnly = this.#plan.binaryOnly ?? true;
    new WebSocketConnection(this.#doorway, peer, { socket, webSocket, binaryOnly }).open();
  }

  #refusalOf(request: IncomingMessage): { status: number; reason: string } | null {
    if (!this.#serves(request)) return { status: 404, reason: 'unknown path' };
    const reason = hostRefusal(request.headers, this.#doorway.settings.allowedHosts);
    if (reason !== null) return { status: 403, reason };
    const wanted = this.#subprotocols;
    const offered = request.headers['sec-websocket-protocol'];
    if (wanted.length === 0) return null;
    if (offered === undefined) {
      if (this.#doorway.settings.subprotocolOptional) return null;
      return { status: 400, reason: 'no subprotocol is offered' };
    }
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

/** An address as proxies write it: with brackets and a port, or without. */
function addressOf(text: string): string | null {
  const bare = /^\[(.+)\](?::\d+)?$/.exec(text.trim())?.[1] ?? text.trim();
  const host = isIP(bare) === 0 ? bare.replace(/:\d+$/, '') : bare;
  return isIP(host) === 0 ? null : unmapped(host);
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '').split('?', 1)[0]!;
}

function answer(socket: Duplex, status: number): void {
  const reason = STATUS_CODES[status] ?? '';
  const headers = 'Connection: close\r\nContent-Length: 0\r\n';
  socket.end(`HTTP/1.1 ${status} ${reason}\r\n${headers}\r\n`);
}
