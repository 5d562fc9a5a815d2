/**
 * One more stream of a client's connection, where the carrier has streams (QUIC): packets on it
 * keep their order among themselves only. Acknowledgements go back on the stream of what they
 * answer, and topic aliases belong to their stream, because one could overtake the packet that set
 * it. All else is the connection's: session, packet identifiers, windows, rights.
 */
import type { SideStream, SideStreamHandler } from '#contract';
import { Framer, PUBLISH, SUBSCRIBE, UNSUBSCRIBE } from './codec/index.ts';
import type { Link } from './connection.ts';
import type { Inbound } from './inbound.ts';
import type { Lanes } from './lanes.ts';
import { Output } from './output.ts';
import type { Routes } from './topic-aliases.ts';

/** Packets that have a place on such a stream; the others belong on the first one. */
export function mayUseLane(type: number): boolean {
  return (type >= PUBLISH && type <= SUBSCRIBE) || type === UNSUBSCRIBE;
}

export class Lane implements SideStreamHandler {
  readonly output: Output;
  readonly framer = new Framer();
  /** Acknowledgements for what came on it; made with its first QoS 1 or 2 message. */
  inbound: Inbound | null = null;
  routes: Routes | null = null;
  /** QoS 1 and 2 messages that were sent on it and are not done with. */
  flights = 0;
  /** The client sends no more on it. */
  hasEnded = false;
  readonly #link: Link;
  readonly #lanes: Lanes;
  readonly #stream: SideStream;
  #choked = false;
  #begun = false;

  constructor(link: Link, lanes: Lanes, stream: SideStream) {
    this.#link = link;
    this.#lanes = lanes;
    this.#stream = stream;
    this.output = new Output(stream, link.room.flusher);
    stream.handle(this);
    // What comes before CONNACK waits in the stream's own window.
    stream.pause();
    if (link.state === 'open') this.readOn();
  }

  data(chunk: Buffer): void {
    if (this.#link.state !== 'open') return;
    this.framer.push(chunk);
    this.readOn();
    if (this.framer.waiting > 0) this.#lanes.checkUnfinished();
  }

  /** Handles what was read; reading begins with CONNACK. */
  readOn(): void {
    if (!this.#begun) {
      this.#begun = true;
      this.#stream.resume();
    }
    this.#link.readFrom(this.framer, this);
    if (this.output.full && this.output.pendingBytes > this.#lanes.sendBytesMax) {
      this.#choked = true;
      this.#stream.pause();
    }
  }

  drain(): void {
    this.output.full = false;
    if (this.#choked) {
      this.#choked = false;
      this.#stream.resume();
    }
    this.#link.wake();
  }

  ended(): void {
    this.hasEnded = true;
    this.#lanes.settle(this);
  }

  broken(error: Error): void {
    this.#lanes.lost(this, error);
  }

  /** Nothing is under way on it in either direction. */
  get isIdle(): boolean {
    return this.flights === 0 && (this.inbound === null || this.inbound.open === 0);
  }

  /** Says goodbye on it. */
  finish(): void {
    this.output.flush();
    this.#stream.end();
  }
}
