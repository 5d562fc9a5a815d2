/**
 * The part of a connection that does not depend on its carrier: chunks written during a turn of the
 * event loop are collected and leave together, and the protocol's handler is called within bounds:
 * never after `closed`, `closed` once, and an exception of a handler ends its own connection only.
 */
import type { Connection, ConnectionHandler, Peer } from '#contract';
import { assert, BrokerError, type Timer } from '#kit';
import type { Doorway } from './doorway.ts';
import type { Flushable } from './turn.ts';

export abstract class QueuedConnection implements Connection, Flushable {
  readonly id: number;
  readonly peer: Peer;
  protected readonly doorway: Doorway;
  #handler: ConnectionHandler | null = null;
  // Most turns write one chunk: no array then.
  #first: Uint8Array | null = null;
  #more: Uint8Array[] | null = null;
  #queuedBytes = 0;
  #needDrain = false;
  #spoken = false;
  #ending = false;
  #gone = false;
  #error: Error | null = null;
  #linger: Timer | null = null;

  constructor(doorway: Doorway, peer: Peer) {
    this.id = doorway.nextId();
    this.doorway = doorway;
    this.peer = peer;
    doorway.halfOpen.add(this);
  }

  abstract readonly local: { readonly address: string; readonly port: number };
  abstract readonly encrypted: boolean;
  abstract pause(): void;
  abstract resume(): void;
  abstract startTls(head?: Buffer): void;

  /** Bytes that the carrier was given and has not handed to the kernel. */
  protected abstract readonly carrierBytes: number;
  /** True when the carrier will say so once it has sent everything. */
  protected abstract readonly carrierWillDrain: boolean;
  protected abstract transmit(first: Uint8Array, more: Uint8Array[] | null, bytes: number): void;
  /** Says goodbye in the carrier's way, after what was transmitted. */
  protected abstract closeGently(): void;
  protected abstract closeNow(): void;

  get listener(): string {
    return this.doorway.listener;
  }

  get pendingBytes(): number {
    return this.#queuedBytes + this.carrierBytes;
  }

  handle(handler: ConnectionHandler): void {
    assert(this.#handler === null, 'handle is called once');
    this.#handler = handler;
  }

  /** Gives the new connection to its protocol; a protocol that fails here loses only this one. */
  open(): void {
    try {
      this.doorway.accept(this);
      assert(this.#handler !== null, 'accept calls connection.handle before it returns');
    } catch (error) {
      this.#contain(error);
    }
  }

  write(chunk: Uint8Array): boolean {
    if (this.#ending || this.#gone) return false;
    if (this.#first === null) {
      this.#first = chunk;
      this.doorway.turn.flushLater(this);
    } else {
      this.#more ??= [];
      this.#more.push(chunk);
    }
    this.#queuedBytes += chunk.length;
    if (this.pendingBytes < this.doorway.sendMark) return true;
    this.#needDrain = true;
    return false;
  }

  flush(): void {
    const first = this.#first;
    if (first === null) return;
    const more = this.#more;
    const bytes = this.#queuedBytes;
    this.#first = null;
    this.#more = null;
    this.#queuedBytes = 0;
    if (this.#gone) return;
    this.doorway.counts.sent.add(bytes);
    this.transmit(first, more, bytes);
    if (this.#needDrain && !this.carrierWillDrain) this.drained();
  }

  end(): void {
    if (this.#ending || this.#gone) return;
    this.flush();
    this.#ending = true;
    this.closeGently();
    // What still comes is read and dropped: unread bytes would turn the goodbye into a reset.
    this.resume();
    this.#linger = this.doorway.timers.after(this.doorway.lingerMs, () => this.closeNow());
  }

  destroy(reason: string): void {
    if (this.#gone) return;
    this.doorway.log.info('connection closed by the server', {
      connection: this.id,
      peer: this.peer.address,
      reason,
    });
    this.#abandon();
  }

  // From here on: called by the carrier's event listeners only; `Connection` does not show these.

  received(chunk: Buffer): void {
    this.doorway.counts.received.add(chunk.length);
    if (!this.#spoken) {
      this.#spoken = true;
      this.doorway.halfOpen.remove(this);
    }
    if (this.#ending || this.#gone) return;
    try {
      this.#handler!.data(chunk);
    } catch (error) {
      this.#contain(error);
    }
  }

  drained(): void {
    if (!this.#needDrain || this.#ending || this.#gone) return;
    this.#needDrain = false;
    try {
      this.#handler!.drain();
    } catch (error) {
      this.#contain(error);
    }
  }

  failed(error: Error): void {
    this.#error ??= error;
  }

  closed(): void {
    this.#gone = true;
    this.#first = null;
    this.#more = null;
    this.#queuedBytes = 0;
    this.#linger?.cancel();
    this.doorway.halfOpen.remove(this);
    const handler = this.#handler;
    this.#handler = null;
    try {
      handler?.closed(this.#error);
    } catch (error) {
      this.#report(error);
    }
  }

  #abandon(): void {
    this.#gone = true;
    this.closeNow();
  }

  /**
   * An exception here is a mistake of the protocol's code, or at best malformed input it forgot to
   * catch. Others must not suffer for it: this connection ends, loudly.
   */
  #contain(error: unknown): void {
    this.#report(error);
    this.#abandon();
  }

  #report(error: unknown): void {
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const fields = { connection: this.id, peer: this.peer.address, reason };
    if (error instanceof BrokerError) {
      this.doorway.log.warn('connection closed: error not answered by its protocol', fields);
    } else this.doorway.log.error('connection closed: unexpected exception', fields);
  }
}
