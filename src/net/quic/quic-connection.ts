/** A stream of a QUIC connection as a `Connection`. */
import type { Peer } from '#contract';
import type { Doorway } from '../doorway.ts';
import { QueuedConnection } from '../queued-connection.ts';
import type { QuicSession } from './quic-session.ts';

export class QuicConnection extends QueuedConnection {
  readonly streamId: number;
  readonly encrypted = true;
  readonly #session: QuicSession;
  /** Chunks that the stream's window had no room for. */
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #ending = false;
  #paused = false;

  constructor(doorway: Doorway, peer: Peer, session: QuicSession, streamId: number) {
    super(doorway, peer);
    this.#session = session;
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
    return this.#waiting.length > 0;
  }

  /** The stream has room again. */
  writable(): void {
    this.#push();
    if (this.#waiting.length > 0) return;
    if (this.#ending) this.#session.finish(this.streamId);
    this.drained();
  }

  protected get carrierBytes(): number {
    return this.#waitingBytes;
  }

  protected get carrierWillDrain(): boolean {
    return this.#waiting.length > 0;
  }

  protected transmit(first: Uint8Array, more: Uint8Array[] | null, bytes: number): void {
    this.#waitingBytes += bytes;
    this.#waiting.push(first);
    if (more !== null) this.#waiting.push(...more);
    if (this.#session.isOpen) this.#push();
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
    this.#ending = true;
    if (this.#waiting.length === 0) this.#session.finish(this.streamId);
  }

  protected closeNow(): void {
    this.#session.hangUp(this);
  }

  #push(): void {
    while (this.#waiting.length > 0) {
      const chunk = this.#waiting[0]!;
      const sent = this.#session.sendOn(this.streamId, chunk, false);
      this.#waitingBytes -= sent;
      if (sent < chunk.length) {
        if (sent > 0) this.#waiting[0] = chunk.subarray(sent);
        return;
      }
      this.#waiting.shift();
    }
  }
}
