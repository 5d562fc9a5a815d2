/** A stream that the client opened beside the first one. */
import type { SideStream, SideStreamHandler } from '#contract';
import { assert } from '#kit';
import type { QuicConnection } from './quic-connection.ts';
import type { QuicSession } from './quic-session.ts';
import { StreamQueue } from './stream-queue.ts';

export class QuicSideStream implements SideStream {
  readonly #session: QuicSession;
  readonly #connection: QuicConnection;
  readonly #queue: StreamQueue;
  readonly #sendMark: number;
  #handler: SideStreamHandler | null = null;
  #needDrain = false;
  paused = false;
  /** The client's direction is at its end. */
  #heardAll = false;
  /** Ours is, or will be when what waits was taken. */
  #saidAll = false;

  constructor(session: QuicSession, connection: QuicConnection, id: number, sendMark: number) {
    this.#session = session;
    this.#connection = connection;
    this.#queue = new StreamQueue(session, id);
    this.#sendMark = sendMark;
  }

  /** Both directions are at their end, and everything was handed over. */
  get isOver(): boolean {
    return this.#heardAll && this.#saidAll && this.#queue.isEmpty;
  }

  get hasWaiting(): boolean {
    return !this.#queue.isEmpty;
  }

  get pendingBytes(): number {
    return this.#queue.bytes;
  }

  handle(handler: SideStreamHandler): void {
    assert(this.#handler === null, 'handle is called once');
    this.#handler = handler;
  }

  write(chunk: Uint8Array): boolean {
    if (this.#saidAll) return false;
    this.#connection.sentOn(chunk.length);
    this.#queue.add(chunk);
    this.#queue.push();
    if (this.#queue.bytes < this.#sendMark) return true;
    this.#needDrain = true;
    return false;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    this.#session.readSoon();
  }

  end(): void {
    if (this.#saidAll) return;
    this.#saidAll = true;
    this.#queue.end();
  }

  // ---- for the session ------------------------------------------------------------------------

  received(chunk: Buffer): void {
    if (this.#handler !== null) this.#connection.receivedOn(this.#handler, chunk);
  }

  ended(): void {
    this.#heardAll = true;
    this.#connection.toldOn(() => this.#handler?.ended());
  }

  broken(error: Error): void {
    this.#queue.clear();
    this.#saidAll = true;
    const handler = this.#handler;
    this.#handler = null;
    this.#connection.toldOn(() => handler?.broken(error));
  }

  /** Its windows have room again. */
  writable(): void {
    if (!this.#queue.push() || !this.#needDrain) return;
    this.#needDrain = false;
    this.#connection.toldOn(() => this.#handler?.drain());
  }
}
