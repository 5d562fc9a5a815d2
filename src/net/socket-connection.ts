/**
 * A connection over a TCP or TLS socket. The event listeners are shared functions that find their
 * connection in a property of the socket: an idle connection costs no closures.
 */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Peer } from '#contract';
import { assert } from '#kit';
import { isLoopback, unmapped } from './address.ts';
import type { Doorway } from './doorway.ts';
import { QueuedConnection } from './queued-connection.ts';
import { shownBy } from './tls/client-certificate.ts';

const OWNER = Symbol('connection');
type OwnedSocket = Socket & { [OWNER]?: SocketConnection };

/** Up to this many bytes, several chunks are copied into one write; above, they go as a vector. */
const COPY_BYTES_MAX = 64 * 1024;

export class SocketConnection extends QueuedConnection {
  #socket: Socket;
  #encrypted: boolean;

  constructor(doorway: Doorway, peer: Peer, socket: Socket) {
    super(doorway, peer);
    this.#socket = socket;
    this.#encrypted = socket instanceof TLSSocket;
    this.#attach(socket);
  }

  get local(): { readonly address: string; readonly port: number } {
    return localOf(this.#socket);
  }

  get encrypted(): boolean {
    return this.#encrypted;
  }

  startTls(head?: Buffer): void {
    const { keys } = this.doorway;
    assert(keys !== null && this.terms.upgradable, 'startTls is called only where terms allow it');
    this.flush();
    const raw: OwnedSocket = this.#socket;
    raw.off('data', onData).off('drain', onDrain).off('end', onEnd);
    // Paused, or the head would flow out before the TLS layer takes over the socket.
    raw.pause();
    if (head !== undefined && head.length > 0) raw.unshift(head);
    const socket = new TLSSocket(raw, {
      isServer: true,
      secureContext: keys.first.context,
      SNICallback: keys.choose,
      requestCert: keys.clients !== 'none',
      rejectUnauthorized: keys.clients === 'required',
    });
    socket.on('secure', () => this.#secured(socket));
    this.#socket = socket;
    raw.off('error', onError).off('close', onClose);
    // The TLS layer reports the raw socket's errors as its own.
    raw.on('error', ignore);
    this.#attach(socket);
  }

  /** The handshake of an upgrade in place is done. */
  #secured(socket: TLSSocket): void {
    const { keys, settings } = this.doorway;
    const shown = shownBy(socket, keys!.clients, settings);
    if (shown.refusal !== null) {
      this.destroy(shown.refusal);
      return;
    }
    this.#encrypted = true;
    if (shown.identity !== null) this.peer = { ...this.peer, identity: shown.identity };
  }

  protected get carrierBytes(): number {
    return this.#socket.writableLength;
  }

  protected get carrierWillDrain(): boolean {
    return this.#socket.writableNeedDrain;
  }

  protected transmit(first: Uint8Array, more: Uint8Array[] | null, bytes: number): void {
    const socket = this.#socket;
    if (more === null) {
      socket.write(first);
    } else if (bytes <= COPY_BYTES_MAX) {
      socket.write(joined(first, more, bytes));
    } else {
      socket.cork();
      socket.write(first);
      for (const chunk of more) socket.write(chunk);
      socket.uncork();
    }
  }

  protected pauseCarrier(): void {
    this.#socket.pause();
  }

  protected resumeCarrier(): void {
    this.#socket.resume();
  }

  protected closeGently(): void {
    this.#socket.end();
  }

  protected closeNow(): void {
    this.#socket.destroy();
  }

  #attach(socket: OwnedSocket): void {
    socket[OWNER] = this;
    socket.on('data', onData);
    socket.on('drain', onDrain);
    socket.on('end', onEnd);
    socket.on('error', onError);
    socket.on('close', onClose);
  }
}

function onData(this: OwnedSocket, chunk: Buffer): void {
  this[OWNER]!.received(chunk);
}

function onDrain(this: OwnedSocket): void {
  this[OWNER]!.drained();
}

function onEnd(this: OwnedSocket): void {
  this[OWNER]!.hungUp();
}

function onError(this: OwnedSocket, error: Error): void {
  this[OWNER]!.failed(error);
}

function onClose(this: OwnedSocket): void {
  this[OWNER]!.closed();
}

function ignore(): void {}

export function joined(first: Uint8Array, more: readonly Uint8Array[], bytes: number): Buffer {
  const all = Buffer.allocUnsafe(bytes);
  all.set(first, 0);
  let at = first.length;
  for (const chunk of more) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

export function localOf(socket: Socket): { address: string; port: number } {
  return { address: unmapped(socket.localAddress ?? ''), port: socket.localPort ?? 0 };
}

/** The other end of a socket as the kernel names it. */
export function peerOf(socket: Socket): Peer {
  const address = unmapped(socket.remoteAddress ?? '');
  return { address, port: socket.remotePort ?? 0, loopback: isLoopback(address) };
}
