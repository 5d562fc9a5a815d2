/**
 * One TCP connection of the load generator. Bytes land in one reused buffer and are scanned where
 * they lie; what a scanner leaves over moves to the front. Not a client: no reconnect, no timeout;
 * a connection that ends early ends the load process with the reason.
 */

import { connect, type Socket } from 'node:net';

export interface Scanner {
  /** Reads whole frames from `bytes[0, end)` and answers how many bytes it took. */
  scan(bytes: Buffer, end: number): number;
}

const BUFFER_BYTES = 1 << 18;

export class Wire {
  readonly #socket: Socket;
  readonly #buffer: Buffer;
  #scanner: Scanner;
  #kept = 0;
  #closing = false;

  private constructor(port: number, scanner: Scanner, bufferBytes: number) {
    this.#scanner = scanner;
    this.#buffer = Buffer.allocUnsafeSlow(bufferBytes);
    this.#socket = connect({
      host: '127.0.0.1',
      port,
      noDelay: true,
      onread: {
        buffer: () => (this.#kept === 0 ? this.#buffer : this.#buffer.subarray(this.#kept)),
        callback: (bytesRead) => this.#take(bytesRead),
      },
    });
  }

  static open(port: number, scanner: Scanner, bufferBytes = BUFFER_BYTES): Promise<Wire> {
    const wire = new Wire(port, scanner, bufferBytes);
    return new Promise((resolve, reject) => {
      wire.#socket.once('error', reject);
      wire.#socket.once('connect', () => {
        wire.#socket.off('error', reject);
        wire.#guard();
        resolve(wire);
      });
    });
  }

  send(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** Bytes that the kernel has not taken yet. */
  get pendingBytes(): number {
    return this.#socket.writableLength;
  }

  /** Stops reading: the other side finds out when its buffers are full. */
  pause(): void {
    this.#socket.pause();
  }

  /** From now on the other side may end the connection, as a kill does. */
  mayEnd(): void {
    this.#closing = true;
  }

  close(): Promise<void> {
    this.#closing = true;
    if (this.#socket.closed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#socket.once('close', () => resolve());
      this.#socket.end();
      setTimeout(() => this.#socket.destroy(), 500).unref();
    });
  }

  #guard(): void {
    const fail = (error?: Error | boolean) => {
      if (this.#closing) return;
      const reason = error instanceof Error ? error.message : 'closed by the broker';
      throw new Error(`connection ended early: ${reason}`);
    };
    this.#socket.on('error', fail);
    this.#socket.on('end', fail);
    this.#socket.on('close', fail);
  }

  #take(bytesRead: number): boolean {
    const end = this.#kept + bytesRead;
    const taken = this.#scanner.scan(this.#buffer, end);
    if (taken === end) {
      this.#kept = 0;
    } else {
      if (taken > 0) this.#buffer.copyWithin(0, taken, end);
      this.#kept = end - taken;
      if (this.#kept === this.#buffer.length) throw new Error('a frame exceeds the read buffer');
    }
    return true;
  }
}

/**
 * Waits for one thing that a scanner reports: `const seen = new Signal(); … await seen.promise`.
 */
export class Signal<T = void> {
  readonly promise: Promise<T>;
  fire!: (value: T) => void;

  constructor() {
    this.promise = new Promise((resolve) => {
      this.fire = resolve;
    });
  }
}
