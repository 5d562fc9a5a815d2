/**
 * One QUIC connection: datagrams in, streams to their `Connection`, datagrams out at the end of the
 * turn, and one timer for what the library wants to do next. It survives that the client's address
 * changes: datagrams are found by the ids that they carry.
 */
import { X509Certificate } from 'node:crypto';
import type { Peer } from '#contract';
import type { Timer } from '#kit';
import { isLoopback, unmapped } from '../address.ts';
import type { Doorway } from '../doorway.ts';
import type { Waiting } from '../half-open.ts';
import { identityOf } from '../tls/peer-identity.ts';
import type { Flushable } from '../turn.ts';
import { DATAGRAM_BYTES_MAX } from './quic-config.ts';
import { QuicConnection } from './quic-connection.ts';
import { QuicSideStream } from './quic-side-stream.ts';
import type { HostPort, QuicheConnection, QuicheError } from './quiche.ts';

/** The first stream that a client opens. */
const CONTROL_STREAM = 0;
/** What is read at a time, by all sessions one after the other. */
const SCRATCH = Buffer.allocUnsafeSlow(64 * 1024);
/** The two low bits of an id: who opened the stream, and whether both may send. */
const STREAM_KIND = 3;
const CLIENT_BOTH_WAYS = 0;
/** Application error of streams that have no use here. */
const REFUSED_STREAM = 1;
const NO_BYTES = Buffer.alloc(0);

/** What a session needs of the door that let it in. */
export interface SessionHost {
  readonly doorway: Doorway;
  send(datagram: Buffer, to: HostPort): void;
  /** A new id under which datagrams of the session may come; null when the library has enough. */
  addId(session: QuicSession): { readonly id: Buffer; readonly resetToken: bigint };
  removeId(id: Uint8Array): void;
  gone(session: QuicSession): void;
}

export class QuicSession implements Flushable, Waiting {
  readonly local: { readonly address: string; readonly port: number };
  readonly #host: SessionHost;
  readonly #quic: QuicheConnection;
  readonly #localPath: HostPort;
  #peer: Peer;
  #control: QuicConnection | null = null;
  readonly #sides = new Map<number, QuicSideStream>();
  #timer: Timer | null = null;
  #dirty = false;
  #established = false;
  #controlSeen = false;
  #over = false;

  constructor(host: SessionHost, quic: QuicheConnection, local: HostPort, peer: HostPort) {
    this.#host = host;
    this.#quic = quic;
    this.#localPath = local;
    this.local = { address: unmapped(local.host), port: local.port };
    this.#peer = peerAt(peer);
    host.doorway.halfOpen.add(this);
  }

  get isOpen(): boolean {
    return !this.#over && !this.#quic.isClosed() && !this.#quic.isDraining();
  }

  receive(datagram: Buffer, from: HostPort): void {
    if (this.#over) return;
    try {
      this.#quic.recv(datagram, { from, to: this.#localPath });
    } catch (error) {
      // The library closes the connection with the right code where that is due.
      this.#host.doorway.log.debug('QUIC datagram refused', { reason: String(error) });
    }
    if (!this.#established && this.#quic.isEstablished()) this.#begin();
    this.#followPaths();
    this.#read();
    this.#write();
    this.#touch();
  }

  /** Sends what is due; called at the end of the turn. */
  flush(): void {
    this.#dirty = false;
    if (this.#over) return;
    for (;;) {
      const datagram = Buffer.allocUnsafe(DATAGRAM_BYTES_MAX);
      const sent = this.#send(datagram);
      if (sent === null) break;
      this.#host.send(datagram.subarray(0, sent[0]), sent[1].to);
    }
    if (this.#quic.isClosed()) this.#end(this.#reason());
    else this.#arm();
  }

  /** Did not say enough in time, or the server stops. */
  destroy(reason: string): void {
    if (this.#over) return;
    this.#host.doorway.log.info('connection closed by the server', {
      peer: this.#peer.address,
      reason,
    });
    this.#close();
    if (this.#control === null) this.#end(null);
  }

  // ---- for the connection on a stream ---------------------------------------------------------

  /** @returns how many bytes were taken */
  sendOn(streamId: number, chunk: Uint8Array): number {
    return this.#sendOn(streamId, chunk, false);
  }

  finish(streamId: number): void {
    this.#sendOn(streamId, NO_BYTES, true);
    this.#forgetIfOver(streamId);
  }

  #sendOn(streamId: number, chunk: Uint8Array, fin: boolean): number {
    if (!this.isOpen) return 0;
    try {
      const sent = this.#quic.streamSend(streamId, chunk, fin) ?? 0;
      this.#touch();
      return sent;
    } catch (error) {
      if (streamId === CONTROL_STREAM) this.#failed(error);
      else this.#breakSoon(streamId, error);
      return 0;
    }
  }

  readSoon(): void {
    this.#host.doorway.timers.soon(() => {
      if (this.#over) return;
      this.#read();
      this.#touch();
    });
  }

  hangUp(connection: QuicConnection): void {
    this.#close();
    // As a socket does: not inside of the call that destroys it.
    this.#host.doorway.timers.soon(() => {
      if (this.#control !== connection) return;
      this.#control = null;
      connection.closed();
    });
  }

  // ---- inside ---------------------------------------------------------------------------------

  #begin(): void {
    this.#established = true;
    const chain = this.#quic.peerCertChain();
    const leaf = chain?.[0];
    if (leaf !== undefined) {
      const identity = identityOf(new X509Certificate(leaf), this.#host.doorway.settings);
      this.#peer = { ...this.#peer, identity };
    }
    this.#offerIds();
  }

  /** The client needs ids in reserve to move to another path. */
  #offerIds(): void {
    while (this.#quic.sourceCidsLeft() > 0) {
      const { id, resetToken } = this.#host.addId(this);
      this.#quic.newSourceCid(id, resetToken, false);
    }
  }

  #followPaths(): void {
    let moved = false;
    for (;;) {
      const event = this.#quic.pathEventNext();
      if (event === null) break;
      if (event.type === 'PeerMigrated') moved = this.#moveTo(event.new) || moved;
    }
    for (;;) {
      const retired = this.#quic.retiredScidNext();
      if (retired === null) break;
      this.#host.removeId(retired);
      moved = true;
    }
    if (moved && this.#established && this.isOpen) this.#offerIds();
  }

  #moveTo(paths: unknown): boolean {
    const peer = remoteOf(paths);
    if (peer === null) return false;
    const { identity } = this.#peer;
    this.#peer = { ...peerAt(peer), ...(identity === undefined ? {} : { identity }) };
    if (this.#control !== null) this.#control.peer = this.#peer;
    const { address, port } = this.#peer;
    this.#host.doorway.log.info('a QUIC client has moved', { address, port });
    return true;
  }

  #read(): void {
    if (!this.#established) return;
    const ids = [...this.#quic.readable()];
    if (ids.includes(CONTROL_STREAM)) this.#readControl();
    for (const id of ids) if (id !== CONTROL_STREAM) this.#readSide(id);
  }

  /** Streams that overtook the first one wait for it in the library, within their windows. */
  #readSide(id: number): void {
    if (!this.#controlSeen) return;
    const side = this.#sides.get(id) ?? this.#openSide(id);
    if (side === null) {
      this.#refuse(id);
      return;
    }
    for (;;) {
      if (this.#control === null || this.#control.paused || side.paused || this.#over) return;
      let read: [number, boolean] | null;
      try {
        read = this.#quic.streamRecv(id, SCRATCH);
      } catch (error) {
        this.#break(id, error);
        return;
      }
      if (read === null) return;
      const [size, fin] = read;
      if (size > 0) side.received(copied(size));
      if (!fin) continue;
      side.ended();
      this.#forgetIfOver(id);
      return;
    }
  }

  /** Null for streams that have no use here: one-way ones, and all when the protocol has one. */
  #openSide(id: number): QuicSideStream | null {
    const control = this.#control;
    if (control === null || (id & STREAM_KIND) !== CLIENT_BOTH_WAYS) return null;
    const side = new QuicSideStream(this, control, id, this.#host.doorway.sendMark);
    if (!control.openStream(side)) return null;
    this.#sides.set(id, side);
    return side;
  }

  #forgetIfOver(id: number): void {
    if (this.#sides.get(id)?.isOver === true) this.#sides.delete(id);
  }

  /** One direction of a stream was given up: the other has no use without it. */
  #break(id: number, error: unknown): void {
    const side = this.#sides.get(id);
    this.#sides.delete(id);
    this.#refuse(id);
    side?.broken(error instanceof Error ? error : new Error(String(error)));
    this.#touch();
  }

  /** Not inside of the write that found it out. */
  #breakSoon(id: number, error: unknown): void {
    this.#host.doorway.timers.soon(() => {
      if (!this.#over && this.#sides.has(id)) this.#break(id, error);
    });
  }

  #readControl(): void {
    if (!this.#controlSeen) this.#openControl();
    for (;;) {
      const control = this.#control;
      if (control === null || control.paused || this.#over) return;
      let read: [number, boolean] | null;
      try {
        read = this.#quic.streamRecv(CONTROL_STREAM, SCRATCH);
      } catch (error) {
        this.#failed(error);
        return;
      }
      if (read === null) return;
      const [size, fin] = read;
      if (size > 0) control.received(copied(size));
      if (!fin) continue;
      control.end();
      return;
    }
  }

  #openControl(): void {
    this.#controlSeen = true;
    const { doorway } = this.#host;
    doorway.halfOpen.remove(this);
    this.#control = new QuicConnection(doorway, this.#peer, this, CONTROL_STREAM);
    this.#control.open();
  }

  #refuse(id: number): void {
    for (const direction of [0, 1]) {
      try {
        this.#quic.streamShutdown(id, direction, REFUSED_STREAM);
      } catch {
        // That direction was over already.
      }
    }
  }

  #write(): void {
    const control = this.#control;
    if (control === null || !this.#hasWaiting(control)) return;
    for (const id of [...this.#quic.writable()]) {
      if (id !== CONTROL_STREAM) this.#sides.get(id)?.writable();
      else if (control.hasWaiting) control.writable();
    }
  }

  #hasWaiting(control: QuicConnection): boolean {
    if (control.hasWaiting) return true;
    for (const side of this.#sides.values()) if (side.hasWaiting) return true;
    return false;
  }

  #send(into: Buffer): [number, { readonly to: HostPort }] | null {
    try {
      return this.#quic.send(into);
    } catch (error) {
      this.#failed(error);
      return null;
    }
  }

  #touch(): void {
    if (this.#dirty || this.#over) return;
    this.#dirty = true;
    this.#host.doorway.turn.flushLater(this);
  }

  #arm(): void {
    this.#timer?.cancel();
    this.#timer = null;
    const waitMs = this.#quic.timeout();
    if (waitMs === null) return;
    // The library counts in nanoseconds: a millisecond more, and it is surely due.
    this.#timer = this.#host.doorway.timers.after(waitMs + 1, () => {
      this.#timer = null;
      this.#quic.onTimeout();
      this.#touch();
    });
  }

  #failed(error: unknown): void {
    this.#control?.failed(error instanceof Error ? error : new Error(String(error)));
    this.#close();
  }

  #close(): void {
    if (!this.isOpen) return;
    this.#quic.close(true, 0, NO_BYTES);
    this.#touch();
  }

  #reason(): Error | null {
    if (this.#quic.isTimedOut()) return new Error('the QUIC connection timed out');
    const error: QuicheError | null = this.#quic.peerError() ?? this.#quic.localError();
    if (error === null || (error.isApp && error.errorCode === 0) || error.errorCode === 0) {
      return null;
    }
    const text = Buffer.from(error.reason).toString('latin1');
    return new Error(`QUIC error 0x${error.errorCode.toString(16)} ${text}`.trim());
  }

  #end(error: Error | null): void {
    if (this.#over) return;
    this.#over = true;
    this.#sides.clear();
    this.#timer?.cancel();
    this.#timer = null;
    const { doorway } = this.#host;
    doorway.halfOpen.remove(this);
    this.#host.gone(this);
    const control = this.#control;
    this.#control = null;
    if (control === null) {
      if (error !== null && !this.#controlSeen) {
        doorway.counts.refused.add();
        const { address } = this.#peer;
        doorway.log.info('connection refused: QUIC', { peer: address, reason: error.message });
      }
      return;
    }
    if (error !== null) control.failed(error);
    control.closed();
  }
}

/** A chunk is kept by whoever parses it: it has what was read and no more. */
function copied(size: number): Buffer {
  return Buffer.from(SCRATCH.subarray(0, size));
}

function peerAt({ host, port }: HostPort): Peer {
  const address = unmapped(host);
  return { address, port, loopback: isLoopback(address) };
}

/** The library names both ends of a path, or the remote one only. */
function remoteOf(paths: unknown): HostPort | null {
  const last: unknown = Array.isArray(paths) ? paths.at(-1) : paths;
  const known = typeof last === 'object' && last !== null && 'host' in last && 'port' in last;
  return known ? (last as HostPort) : null;
}
