/**
 * A connection inside a WebSocket: every flush is one binary message, and where messages begin and
 * end means nothing to the protocol.
 */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { RawData, WebSocket } from 'ws';
import type { Peer } from '#contract';
import type { Doorway } from './doorway.ts';
import { QueuedConnection } from './queued-connection.ts';
import { joined, localOf } from './socket-connection.ts';

const OWNER = Symbol('connection');
type Owned<Emitter> = Emitter & { [OWNER]?: WebSocketConnection };

/** Up to this many bytes, the chunks of a turn become one message. */
const MESSAGE_BYTES_MAX = 64 * 1024;
const BINARY = { binary: true } as const;
/** RFC 6455, 7.4.1: data of a kind that cannot be accepted; here a text message. */
const CLOSE_UNACCEPTABLE = 1003;
const CLOSE_NORMAL = 1000;

export class WebSocketConnection extends QueuedConnection {
  readonly #socket: Owned<Socket>;
  readonly #webSocket: Owned<WebSocket>;
  readonly #binaryOnly: boolean;

  constructor(
    doorway: Doorway,
    peer: Peer,
    carrier: { socket: Socket; webSocket: WebSocket; binaryOnly: boolean },
  ) {
    super(doorway, peer);
    this.#socket = carrier.socket;
    this.#webSocket = carrier.webSocket;
    this.#binaryOnly = carrier.binaryOnly;
    this.#socket[OWNER] = this;
    this.#socket.on('drain', onDrain);
    this.#webSocket[OWNER] = this;
    this.#webSocket.on('message', onMessage);
    this.#webSocket.on('error', onError);
    this.#webSocket.on('close', onClose);
  }

  get local(): { readonly address: string; readonly port: number } {
    return localOf(this.#socket);
  }

  get encrypted(): boolean {
    return this.#socket instanceof TLSSocket;
  }

  startTls(): void {
    throw new Error('a WebSocket is encrypted from its start or not at all');
  }

  message(data: Buffer, isBinary: boolean): void {
    if (isBinary || !this.#binaryOnly) {
      if (data.length > 0) this.received(data);
      return;
    }
    this.doorway.log.info('WebSocket closed: a text message came where binary ones are due', {
      connection: this.id,
      peer: this.peer.address,
    });
    this.#webSocket.close(CLOSE_UNACCEPTABLE, 'binary messages only');
  }

  protected get carrierBytes(): number {
    return this.#webSocket.bufferedAmount;
  }

  protected get carrierWillDrain(): boolean {
    return this.#socket.writableNeedDrain;
  }

  protected transmit(first: Uint8Array, more: Uint8Array[] | null, bytes: number): void {
    if (more !== null && bytes <= MESSAGE_BYTES_MAX) {
      this.#webSocket.send(joined(first, more, bytes), BINARY);
      return;
    }
    this.#socket.cork();
    this.#webSocket.send(first, BINARY);
    for (const chunk of more ?? []) this.#webSocket.send(chunk, BINARY);
    this.#socket.uncork();
  }

  protected pauseCarrier(): void {
    this.#webSocket.pause();
  }

  protected resumeCarrier(): void {
    this.#webSocket.resume();
  }

  protected closeGently(): void {
    this.#webSocket.close(CLOSE_NORMAL);
  }

  protected closeNow(): void {
    this.#webSocket.terminate();
  }
}

function onMessage(this: Owned<WebSocket>, data: RawData, isBinary: boolean): void {
  // Always a Buffer: binaryType is left at its default.
  this[OWNER]!.message(data as Buffer, isBinary);
}

function onDrain(this: Owned<Socket>): void {
  this[OWNER]!.drained();
}

function onError(this: Owned<WebSocket>, error: Error): void {
  this[OWNER]!.failed(error);
}

function onClose(this: Owned<WebSocket>): void {
  this[OWNER]!.closed();
}
