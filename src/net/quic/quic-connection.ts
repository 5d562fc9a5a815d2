/** The first stream of a QUIC connection as a `Connection`. */
import type { Peer } from '#contract';
import type { Doorway } from '../doorway.ts';
import { QueuedConnection } from '../queued-connection.ts';
import type { QuicSession } from './quic-session.ts';
import { StreamQueue } from './stream-queue.ts';

export class QuicConnection extends QueuedConnection {
  readonly streamId: number;
  readonly encrypted = true;
  readonly #session: QuicSession;
  readonly #queue: StreamQueue;
  #paused = false;

  constructor(doorway: Doorway, peer: Peer, session: QuicSession, streamId: number) {
    super(doorway, peer);
    this.#session = session;
    this.#queue = new StreamQueue(session, streamId);
    this.streamId = streamId;
  }

  get local(): { readonly address: string; readonly port: number } {
    return this.#session.local;
  }

  get paused(): boolean {
    return this.#paused;
  }

  startTls(): void {
    throw new Error('QUIC is encrypted from its start');
  }

  get hasWaiting(): boolean {
    return !this.#queue.isEmpty;
  }

  /** The stream has room again. */
  writable(): void {
    if (this.#queue.push()) this.drained();
  }

  protected get carrierBytes(): number {
    return this.#queue.bytes;
  }

  protected get carrierWillDrain(): boolean {
    return !this.#queue.isEmpty;
  }

  protected transmit(first: Uint8Array, more: Uint8Array[] | null): void {
    this.#queue.add(first);
    if (more !== null) for (const chunk of more) this.#queue.add(chunk);
    this.#queue.push();
  }

  protected pauseCarrier(): void {
    this.#paused = true;
  }

  protected resumeCarrier(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#session.readSoon();
  }

  protected closeGently(): void {
    this.#queue.end();
  }

  protected closeNow(): void {
    this.#session.hangUp(this);
  }
}
