/**
 * The part of a connection that does not depend on its carrier: chunks written during a turn of the
 * event loop are collected and leave together, and the protocol's handler is called within bounds:
 * never after `closed`, `closed` once, and an exception of a handler ends its own connection only.
 */
import type {
  Client,
  Connection,
  ConnectionHandler,
  Eviction,
  ListenerTerms,
  Peer,
  SideStream,
  SideStreamHandler,
} from '#contract';
import { assert, BrokerError, type Timer } from '#kit';
import type { Doorway, Guest } from './doorway.ts';
import type { Newcomer } from './limits/first-reads.ts';
import type { Meter } from './limits/meter.ts';
import type { Passenger } from './limits/turnstile.ts';
import type { Flushable } from './turn.ts';

const BREACHES = {
  'connect-rate': 'more connections a second than this listener lets in',
  connections: 'maximum connections exceeded',
  'message-rate': 'more messages a second than one client may send',
  'byte-rate': 'more bytes a second than one client may send',
} as const;

export abstract class QueuedConnection
  implements Connection, Flushable, Guest, Newcomer, Passenger
{
  readonly id: number;
  peer: Peer;
  client: Client | null = null;
  protected readonly doorway: Doorway;
  #handler: ConnectionHandler | null = null;
  // Most turns write one chunk: no array then.
  #first: Uint8Array | null = null;
  #more: Uint8Array[] | null = null;
  #queuedBytes = 0;
  #needDrain = false;
  #spoken = false;
  /** What it said first, until its turn has come. */
  #unheard: Buffer[] | null = null;
  /** What waits for its turn at the turnstile, besides. */
  #hungUp = false;
  #left = false;
  #ending = false;
  #gone = false;
  #error: Error | null = null;
  #linger: Timer | null = null;
  readonly #meter: Meter | null;
  /** The protocol asked to be read no more for now. */
  #held = false;
  /** Armed while a rate keeps it from being read. */
  #slowed: Timer | null = null;

  constructor(doorway: Doorway, peer: Peer) {
    this.id = doorway.nextId();
    this.doorway = doorway;
    this.peer = peer;
    this.#meter = doorway.rating.meter();
    doorway.halfOpen.add(this);
    doorway.guests.add(this);
  }

  abstract readonly local: { readonly address: string; readonly port: number };
  abstract readonly encrypted: boolean;
  abstract startTls(head?: Buffer): void;

  protected abstract pauseCarrier(): void;
  protected abstract resumeCarrier(): void;
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

  get terms(): ListenerTerms {
    return this.doorway.terms;
  }

  get pendingBytes(): number {
    return this.#queuedBytes + this.carrierBytes;
  }

  handle(handler: ConnectionHandler): void {
    assert(this.#handler === null, 'handle is called once');
    this.#handler = handler;
  }

  pause(): void {
    this.#held = true;
    this.pauseCarrier();
  }

  resume(): void {
    this.#held = false;
    if (this.#slowed === null) this.resumeCarrier();
  }

  identify(client: Client): string | null {
    const { admission, log } = this.doorway;
    const refusal = admission.refusesClient(client, this.peer.address);
    if (refusal === null) {
      this.client = client;
      return null;
    }
    const { user, clientId } = client;
    this.doorway.counts.refused.add();
    log.info('client refused', { peer: this.peer.address, user, client: clientId, refusal });
    return refusal;
  }

  /** Lets the protocol say goodbye in its own way; cuts the connection where it cannot. */
  evict(eviction: Eviction): void {
    if (this.#ending || this.#gone) return;
    this.doorway.counts.evicted.add();
    const { why, text } = eviction;
    if (this.#handler?.evict === undefined) {
      this.destroy(text);
      return;
    }
    this.doorway.log.info('client is asked to leave', { connection: this.id, why, reason: text });
    try {
      this.#handler.evict(eviction);
    } catch (error) {
      this.#contain(error);
    }
  }

  /** Gives the new connection to its protocol; a protocol that fails here loses only this one. */
  open(): void {
    try {
      this.doorway.accept(this);
      assert(this.#handler !== null, 'accept calls connection.handle before it returns');
      const refusal = this.#refusal();
      if (refusal !== null) this.#refuse(refusal);
    } catch (error) {
      this.#contain(error);
    }
  }

  #refusal(): 'connect-rate' | 'connections' | null {
    const { rating, counts, settings } = this.doorway;
    if (counts.open.value > settings.listenerConnectionsMax) return 'connections';
    return rating.admits() ? null : 'connect-rate';
  }

  #refuse(why: 'connect-rate' | 'connections'): void {
    this.doorway.counts.refused.add();
    const text = BREACHES[why];
    this.doorway.log.info('connection refused', { peer: this.peer.address, reason: text });
    if (this.#handler!.evict === undefined) this.destroy(text);
    else this.#handler!.evict({ why, text, reference: null });
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
    this.#stopSlowing();
    // What still comes is read and dropped: unread bytes would turn the goodbye into a reset.
    this.resumeCarrier();
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
    if (this.#unheard !== null) {
      this.#unheard.push(chunk);
      this.pauseCarrier();
      return;
    }
    if (!this.#spoken) {
      this.#spoken = true;
      this.doorway.halfOpen.remove(this);
      this.doorway.firstReads?.done(this);
      if (!this.doorway.turn.turnstile.enter(this)) {
        this.#unheard = [chunk];
        return;
      }
    }
    if (!this.#gone) this.#hear(chunk);
  }

  startReading(): void {
    if (!this.#held && !this.#gone) this.resumeCarrier();
  }

  stopReading(): void {
    if (!this.#gone) this.pauseCarrier();
  }

  /** Its turn has come: to be heard for the first time, and perhaps it is gone since. */
  pass(): void {
    const chunks = this.#unheard;
    this.#unheard = null;
    if (chunks !== null) {
      for (const chunk of chunks) this.#hear(chunk);
      if (chunks.length > 1 && !this.#gone && !this.#held && this.#slowed === null) {
        this.resumeCarrier();
      }
    }
    if (this.#hungUp) this.#hangUpToo();
    if (this.#left) this.#tellClosed();
  }

  /** @returns false when its protocol has no use for more streams */
  openStream(stream: SideStream): boolean {
    const handler = this.#handler;
    if (handler?.stream === undefined || this.#ending || this.#gone) return false;
    try {
      handler.stream(stream);
    } catch (error) {
      this.#contain(error);
    }
    return true;
  }

  /** Gives what came on another stream of this connection to its handler. */
  receivedOn(handler: SideStreamHandler, chunk: Buffer): void {
    this.doorway.counts.received.add(chunk.length);
    if (this.#ending || this.#gone) return;
    try {
      handler.data(chunk);
    } catch (error) {
      this.#contain(error);
    }
    if (this.#meter !== null) this.#count(this.#meter, chunk.length);
  }

  sentOn(bytes: number): void {
    this.doorway.counts.sent.add(bytes);
  }

  /** Something else happened to another stream of this connection. */
  toldOn(call: () => void): void {
    if (this.#ending || this.#gone) return;
    try {
      call();
    } catch (error) {
      this.#contain(error);
    }
  }

  /** The other end will send no more. */
  hungUp(): void {
    if (this.#ending || this.#gone) return;
    this.#hungUp = true;
    if (this.#unheard !== null || !this.doorway.turn.turnstile.enter(this)) return;
    this.#hangUpToo();
  }

  /** Where nothing is left to be said, and TLS has no last word either, there is no goodbye. */
  #hangUpToo(): void {
    if (this.#ending || this.#gone) return;
    this.flush();
    if (this.pendingBytes > 0 || this.encrypted) {
      this.end();
      return;
    }
    this.#ending = true;
    this.#stopSlowing();
    this.closeNow();
  }

  #hear(chunk: Buffer): void {
    if (this.#ending) return;
    try {
      this.#handler!.data(chunk);
    } catch (error) {
      this.#contain(error);
    }
    if (this.#meter !== null) this.#count(this.#meter, chunk.length);
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
    this.#stopSlowing();
    this.doorway.halfOpen.remove(this);
    this.doorway.firstReads?.done(this);
    this.doorway.guests.delete(this);
    this.#left = true;
    // Who waits for its turn already will be told then.
    if (this.#unheard !== null || !this.doorway.turn.turnstile.enter(this)) return;
    this.#tellClosed();
  }

  #tellClosed(): void {
    this.#left = false;
    if (this.client !== null) this.doorway.admission.left(this.client, this.peer.address);
    const handler = this.#handler;
    this.#handler = null;
    try {
      handler?.closed(this.#error);
    } catch (error) {
      this.#report(error);
    }
  }

  #count(meter: Meter, bytes: number): void {
    if (this.#ending || this.#gone) return;
    const breach = meter.count(bytes, this.#handler!.messagesIn ?? 0);
    if (breach !== null) {
      this.evict({ why: breach, text: BREACHES[breach], reference: null });
    } else if (meter.waitMs > 0) this.#slow(meter.waitMs);
  }

  /** Not read until the debt is paid; TCP then slows the client itself. */
  #slow(waitMs: number): void {
    if (this.#slowed === null) this.doorway.counts.slowed.add();
    else this.#slowed.cancel();
    this.pauseCarrier();
    this.#slowed = this.doorway.timers.after(Math.ceil(waitMs), () => {
      this.#slowed = null;
      if (!this.#held && !this.#gone) this.resumeCarrier();
    });
  }

  #stopSlowing(): void {
    this.#slowed?.cancel();
    this.#slowed = null;
  }

  #abandon(): void {
    this.#gone = true;
    if (this.#unheard !== null) this.#unheard.length = 0;
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
