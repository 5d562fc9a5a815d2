/**
 * A network in memory: connections with delays of their own, chunks cut anywhere, clients that stop
 * reading, resets, half-closed streams, partitions. The server's side is the real
 * `QueuedConnection` on a carrier that lies here; it exists as long as the process does.
 */
import type { Connection, ListenerPlan, Peer } from '#contract';
import type { ListenersContext, Network, OpenListener } from '#net';
import {
  connectionIds,
  type Doorway,
  type Guest,
  type Lobby,
  openDoorway,
} from '../../src/net/doorway.ts';
import { HalfOpen } from '../../src/net/half-open.ts';
import { QueuedConnection } from '../../src/net/queued-connection.ts';
import { joined } from '../../src/net/socket-connection.ts';
import type { Scheduler } from './scheduler.ts';
import type { Seeded } from './seeded.ts';
import type { Trace } from './trace.ts';

/** Bytes that the two kernels hold for a reader that does not read. */
const WINDOW_BYTES = 64 << 10;
/** After so long a client has noticed that the other end is silent. */
const KEEP_ALIVE_MS = 5_000;
const FIRST_CLIENT_PORT = 40_000;

export interface NetworkFaults {
  /** Largest delay of a chunk, in ms. */
  latencyMs: number;
  /** Chance that bytes arrive in several chunks. */
  splitShare: number;
}

export class VirtualNetwork {
  readonly faults: NetworkFaults = { latencyMs: 1, splitShare: 0.1 };
  readonly scheduler: Scheduler;
  readonly random: Seeded;
  readonly trace: Trace;
  readonly wires = new Set<Wire>();
  /** Nothing passes before this moment. */
  partitionedUntilMs = 0;
  #listeners: VirtualListeners | null = null;
  #connects = 0;

  constructor(scheduler: Scheduler, random: Seeded, trace: Trace) {
    this.scheduler = scheduler;
    this.random = random;
    this.trace = trace;
  }

  /** The listeners of a server that starts. */
  listeners(context: ListenersContext): VirtualListeners {
    this.#listeners = new VirtualListeners(this, context);
    return this.#listeners;
  }

  /** A client's attempt to connect; `onOpen` or `onClosed` of the wire tells the outcome. */
  connect(listener: string, name: string): Wire {
    const wire = new Wire(this, name, ++this.#connects);
    this.wires.add(wire);
    this.scheduler.after(this.delayMs(), () => {
      if (wire.closed) return;
      const server = this.#listeners?.accept(listener, wire, this.#connects) ?? null;
      this.trace.add(`net ${name} ${server === null ? 'refused' : `open ${wire.number}`}`);
      if (server === null) wire.gone();
      else wire.opened(server);
    });
    return wire;
  }

  /**
   * The process is gone: its kernel resets what it had, or the machine has no power to do so. Then
   * what clients send is lost until their keep-alive tells them.
   */
  processDied(silentShare: number): void {
    this.#listeners = null;
    for (const wire of this.wires) {
      // One that is not accepted yet meets the next process, or none.
      if (!wire.isOpen) continue;
      wire.server = null;
      const isSilent = this.random.chance(silentShare);
      const noticedMs = isSilent ? this.random.between(500, KEEP_ALIVE_MS) : 0;
      this.scheduler.after(noticedMs + this.delayMs(), () => wire.gone());
    }
  }

  delayMs(): number {
    const blocked = Math.max(0, this.partitionedUntilMs - this.scheduler.nowMs);
    return blocked + this.random.between(0.02, this.faults.latencyMs);
  }
}

/** One direction: bytes arrive in order, each chunk after a delay of its own. */
class Lane {
  readonly #network: VirtualNetwork;
  #lastMs = 0;

  constructor(network: VirtualNetwork) {
    this.#network = network;
  }

  pass(call: () => void): void {
    const { scheduler } = this.#network;
    const atMs = Math.max(this.#lastMs, scheduler.nowMs + this.#network.delayMs());
    this.#lastMs = atMs;
    // Not by the time from now: its rounding would let chunks overtake each other.
    scheduler.at(atMs, call);
  }

  /** Cuts bytes into chunks now and then. */
  send(bytes: Buffer, call: (chunk: Buffer) => void): void {
    const { random, faults } = this.#network;
    let from = 0;
    while (bytes.length - from > 1 && random.chance(faults.splitShare)) {
      const to = random.integer(from + 1, Math.min(bytes.length - 1, from + 700));
      const chunk = bytes.subarray(from, to);
      this.pass(() => call(chunk));
      from = to;
    }
    const rest = bytes.subarray(from);
    this.pass(() => call(rest));
  }
}

/** The client's end of a connection. */
export class Wire {
  readonly name: string;
  readonly number: number;
  onOpen: () => void = () => {};
  onData: (chunk: Buffer) => void = () => {};
  onClosed: () => void = () => {};
  closed = false;
  isOpen = false;
  /** The server's end, while its process lives. */
  server: ServerEnd | null = null;
  readonly #network: VirtualNetwork;
  readonly #toServer: Lane;
  #reading = true;
  #unread: Buffer[] = [];
  #ended = false;

  constructor(network: VirtualNetwork, name: string, number: number) {
    this.#network = network;
    this.name = name;
    this.number = number;
    this.#toServer = new Lane(network);
  }

  send(bytes: Uint8Array): void {
    if (this.closed || !this.isOpen || this.#ended) return;
    const copy = Buffer.from(bytes);
    this.#network.trace.bytes(`net ${this.name} >`, copy);
    this.#toServer.send(copy, (chunk) => this.server?.arrive(chunk));
  }

  /** Says that nothing more comes, but goes on reading. */
  end(): void {
    if (this.closed || this.#ended) return;
    this.#ended = true;
    this.#toServer.pass(() => this.server?.end());
  }

  /** Drops the connection; the server learns of it later. */
  reset(): void {
    if (this.closed) return;
    this.#network.trace.add(`net ${this.name} reset`);
    const { server } = this;
    this.#toServer.pass(() => server?.cut(new Error('connection reset by the client')));
    this.gone();
  }

  /** A reader that does not read: the server's bytes pile up. */
  pauseReading(): void {
    this.#reading = false;
  }

  resumeReading(): void {
    if (this.#reading) return;
    this.#reading = true;
    for (const chunk of this.#unread.splice(0)) this.deliver(chunk);
  }

  // From here on: called by the network.

  opened(server: ServerEnd): void {
    this.server = server;
    this.isOpen = true;
    this.onOpen();
  }

  deliver(chunk: Buffer): void {
    if (this.closed) return;
    if (!this.#reading) {
      this.#unread.push(chunk);
      return;
    }
    this.server?.taken(chunk.length);
    this.onData(chunk);
  }

  gone(): void {
    if (this.closed) return;
    this.closed = true;
    this.server = null;
    this.#network.wires.delete(this);
    this.#network.trace.add(`net ${this.name} closed`);
    this.onClosed();
  }
}

/** The server's end of a connection. */
export class ServerEnd extends QueuedConnection {
  readonly local = { address: '127.0.0.1', port: 1 };
  readonly encrypted = false;
  readonly #network: VirtualNetwork;
  readonly #owner: VirtualListeners;
  readonly #wire: Wire;
  readonly #lane: Lane;
  #paused = false;
  #unread: Buffer[] = [];
  #underway = 0;
  #isGone = false;

  constructor(owner: VirtualListeners, doorway: Doorway, peer: Peer, wire: Wire) {
    super(doorway, peer);
    this.#owner = owner;
    this.#network = owner.network;
    this.#wire = wire;
    this.#lane = new Lane(owner.network);
  }

  protected pauseCarrier(): void {
    this.#paused = true;
  }

  protected resumeCarrier(): void {
    this.#paused = false;
    if (this.#unread.length === 0) return;
    // As from a socket: not from within the call that resumes it.
    this.#network.scheduler.after(0, () => this.#pour());
  }

  startTls(): void {
    throw new Error('there is no TLS in a simulation');
  }

  arrive(chunk: Buffer): void {
    if (!this.#owner.alive || this.#isGone) return;
    this.#unread.push(chunk);
    this.#pour();
  }

  /** The client took bytes. */
  taken(bytes: number): void {
    if (!this.#owner.alive || this.#isGone) return;
    const wasFull = this.#underway > WINDOW_BYTES;
    this.#underway -= bytes;
    if (wasFull && this.#underway <= WINDOW_BYTES) this.drained();
  }

  /** The connection is no more. */
  cut(error: Error | null): void {
    if (!this.#owner.alive || this.#isGone) return;
    this.#isGone = true;
    this.#owner.ends.delete(this);
    this.doorway.counts.open.add(-1);
    if (error !== null) this.failed(error);
    this.closed();
  }

  protected get carrierBytes(): number {
    return Math.max(0, this.#underway - WINDOW_BYTES);
  }

  protected get carrierWillDrain(): boolean {
    return this.#underway > WINDOW_BYTES;
  }

  protected transmit(first: Uint8Array, more: Uint8Array[] | null, bytes: number): void {
    const all = joined(first, more ?? [], bytes);
    this.#underway += bytes;
    this.#network.trace.bytes(`net ${this.#wire.name} <`, all);
    this.#lane.send(all, (chunk) => this.#wire.deliver(chunk));
  }

  protected closeGently(): void {
    this.#lane.pass(() => {
      this.#wire.gone();
      this.#network.scheduler.after(this.#network.delayMs(), () => this.cut(null));
    });
  }

  protected closeNow(): void {
    if (this.#isGone) return;
    const wire = this.#wire;
    this.#network.scheduler.after(this.#network.delayMs(), () => wire.gone());
    this.#network.scheduler.after(0, () => this.cut(null));
  }

  #pour(): void {
    while (!this.#paused && this.#unread.length > 0 && this.#owner.alive && !this.#isGone) {
      this.received(this.#unread.shift()!);
    }
  }
}

/** The listeners of one process. */
export class VirtualListeners implements Network {
  alive = true;
  readonly network: VirtualNetwork;
  readonly ends = new Set<ServerEnd>();
  readonly #context: ListenersContext;
  readonly #halfOpen: HalfOpen;
  readonly #opened = new Map<string, Doorway>();
  readonly #guests = new Set<Guest>();
  readonly #lobby: Lobby;
  #accepting = true;

  constructor(network: VirtualNetwork, context: ListenersContext) {
    this.network = network;
    this.#context = context;
    this.#halfOpen = new HalfOpen(context.clock, context.turn, {
      countMax: context.options.halfOpenMax,
      firstBytesMs: context.options.firstBytesTimeout,
    });
    this.#lobby = { halfOpen: this.#halfOpen, guests: this.#guests, nextId: connectionIds() };
  }

  async open(plan: ListenerPlan, accept: (connection: Connection) => void): Promise<void> {
    if (plan.transport !== 'tcp') return;
    this.#opened.set(plan.name, openDoorway(this.#context, this.#lobby, plan, null, accept));
  }

  async openHttp(): Promise<void> {}

  bound(name: string): readonly { address: string; port: number }[] {
    return this.#opened.has(name) ? [{ address: '127.0.0.1', port: 1 }] : [];
  }

  list(): OpenListener[] {
    return [...this.#opened.keys()].map((name) => {
      return { name, transport: 'tcp' as const, addresses: this.bound(name) };
    });
  }

  connections(name: string): number {
    return this.#opened.get(name)?.counts.open.value ?? 0;
  }

  guests(): Iterable<Guest> {
    return this.#guests;
  }

  stopAccepting(): void {
    this.#accepting = false;
  }

  closeDoors(): void {
    this.stopAccepting();
  }

  close(): void {
    this.stopAccepting();
    this.#halfOpen.close();
    for (const end of this.ends) end.destroy('the server stops');
  }

  /** Null when nobody listens. */
  accept(listener: string, wire: Wire, number: number): ServerEnd | null {
    const doorway = this.#opened.get(listener);
    if (doorway === undefined || !this.#accepting) return null;
    const peer = { address: '127.0.0.1', port: FIRST_CLIENT_PORT + number, loopback: true };
    const end = new ServerEnd(this, doorway, peer, wire);
    this.ends.add(end);
    doorway.counts.total.add();
    doorway.counts.open.add();
    end.open();
    return end;
  }
}
