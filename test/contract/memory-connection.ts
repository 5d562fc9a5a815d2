/**
 * A connection without a network: the contract's `Connection` on the server's side, and a
 * `MemoryClient` in the test's hand on the other. Bytes cross at once and in order, so a test needs
 * no sleeps: `client.send(…)` has run the protocol's `data` when it returns, and what the protocol
 * wrote meanwhile is in `client.take()`. Only `closed` comes later, in a tick of its own, as on a
 * socket. It is no copy of TCP: there is no loss, no delay and no splitting but the test's own.
 */

import type { Client, Connection, ConnectionHandler, ListenerTerms, Peer } from '#contract';
import { assert } from '#kit';

export interface MemoryOptions {
  readonly listener?: string;
  readonly encrypted?: boolean;
  readonly terms?: Partial<ListenerTerms>;
  /** Why a client must not come in, or null. */
  readonly refuses?: (client: Client) => string | null;
  readonly peer?: Partial<Peer>;
  readonly local?: { readonly address: string; readonly port: number };
  /** Bytes held back by the client after which `write` answers false. */
  readonly sendMark?: number;
}

const SEND_MARK = 64 * 1024;
let lastId = 0;

/** Hands a new connection to `accept` and gives back the client's end. */
export function connectMemory(
  instance: { accept(connection: Connection): void },
  options: MemoryOptions = {},
): MemoryClient {
  const connection = new MemoryConnection(options);
  instance.accept(connection);
  assert(connection.hasHandler, 'accept calls connection.handle before it returns');
  return connection.client;
}

/** The server's end. Most tests need only its client: see `connectMemory`. */
export class MemoryConnection implements Connection {
  readonly id = ++lastId;
  readonly peer: Peer;
  readonly local: { readonly address: string; readonly port: number };
  readonly listener: string;
  readonly client: MemoryClient;
  /** True after `startTls`; the bytes stay plain. */
  encrypted: boolean;
  readonly terms: ListenerTerms;
  /** Who the protocol said that the client is. */
  known: Client | null = null;
  readonly #refuses: (client: Client) => string | null;
  /** What `destroy` was given, or null. */
  destroyReason: string | null = null;
  readonly #sendMark: number;
  #handler: ConnectionHandler | null = null;
  #unread: Buffer[] = [];
  #paused = false;
  #needDrain = false;
  #ending = false;
  #closed = false;

  constructor(options: MemoryOptions = {}) {
    this.peer = { address: '127.0.0.1', port: 40_000 + lastId, loopback: true, ...options.peer };
    this.local = options.local ?? { address: '127.0.0.1', port: 1 };
    this.listener = options.listener ?? 'memory';
    this.encrypted = options.encrypted ?? false;
    this.terms = {
      anonymous: 'loopback',
      transport: 'tcp',
      upgradable: false,
      ...options.terms,
    };
    this.#refuses = options.refuses ?? (() => null);
    this.#sendMark = options.sendMark ?? SEND_MARK;
    this.client = new MemoryClient(this);
  }

  get hasHandler(): boolean {
    return this.#handler !== null;
  }

  get paused(): boolean {
    return this.#paused;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  identify(client: Client): string | null {
    const refusal = this.#refuses(client);
    if (refusal === null) this.known = client;
    return refusal;
  }

  handle(handler: ConnectionHandler): void {
    assert(this.#handler === null, 'handle is called once');
    this.#handler = handler;
  }

  write(chunk: Uint8Array): boolean {
    if (this.#closed || this.#ending) return false;
    this.client.deliver(chunk);
    this.#needDrain = this.pendingBytes >= this.#sendMark;
    return !this.#needDrain;
  }

  get pendingBytes(): number {
    return this.client.heldBytes;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    while (this.#unread.length > 0 && !this.#paused && !this.#closed) {
      this.#handler?.data(this.#unread.shift()!);
    }
  }

  end(): void {
    if (this.#ending) return;
    this.#ending = true;
    if (this.pendingBytes === 0) this.finish(null);
  }

  destroy(reason: string): void {
    this.destroyReason ??= reason;
    this.finish(null);
  }

  startTls(): void {
    this.encrypted = true;
  }

  /** The client's side of it: bytes have come. */
  arrive(chunk: Buffer): void {
    if (this.#closed || this.#ending) return;
    if (this.#paused) this.#unread.push(chunk);
    else this.#handler?.data(chunk);
  }

  /** The client took what it had held back. */
  taken(): void {
    if (this.#closed) return;
    if (this.#ending) this.finish(null);
    else if (this.#needDrain) {
      this.#needDrain = false;
      this.#handler?.drain();
    }
  }

  finish(error: Error | null): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#unread = [];
    process.nextTick(() => {
      this.#handler?.closed(error);
      this.client.onClosed();
    });
  }
}

interface Waiter {
  ready(): boolean;
  resolve(): void;
  reject(error: Error): void;
}

/** The test's end of a memory connection. */
export class MemoryClient {
  readonly connection: MemoryConnection;
  /** Resolves when the connection is gone and the protocol was told so. */
  readonly closed: Promise<void>;
  /** Called for each chunk instead of collecting it, when a test wants to parse as it goes. */
  onData: ((chunk: Buffer) => void) | null = null;
  #received: Buffer[] = [];
  #receivedBytes = 0;
  #held: Buffer[] | null = null;
  #heldBytes = 0;
  #waiters: Waiter[] = [];
  #isClosed = false;
  readonly #resolveClosed: () => void;

  constructor(connection: MemoryConnection) {
    this.connection = connection;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.#resolveClosed = resolve;
  }

  /** Sends bytes (a text means its latin1 bytes); the protocol has seen them when this returns. */
  send(bytes: Uint8Array | string): void {
    this.connection.arrive(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : copy(bytes));
  }

  /** Sends one byte per chunk. */
  sendByteByByte(bytes: Uint8Array | string): void {
    const all = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
    for (const byte of all) this.connection.arrive(Buffer.of(byte));
  }

  /** Everything received and not taken yet; empties it. */
  take(): Buffer {
    const all = Buffer.concat(this.#received);
    this.#received = [];
    this.#receivedBytes = 0;
    return all;
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Takes `count` bytes as soon as they are there. Rejects when the connection closes first. */
  async read(count: number): Promise<Buffer> {
    await this.#until(() => this.#receivedBytes >= count);
    const all = this.take();
    if (all.length > count) this.#keep(all.subarray(count));
    return all.subarray(0, count);
  }

  /**
   * Takes bytes up to and with the first occurrence of `mark`. Rejects when the connection closes
   * first.
   */
  async readThrough(mark: string | Uint8Array): Promise<Buffer> {
    const find = (): number => Buffer.concat(this.#received).indexOf(mark);
    await this.#until(() => find() >= 0);
    return this.read(find() + mark.length);
  }

  /** Stops taking: what the server writes piles up as its `pendingBytes`. */
  hold(): void {
    this.#held ??= [];
  }

  /** Takes what piled up, and goes on; the protocol's `drain` runs when one was due. */
  release(): void {
    const held = this.#held ?? [];
    this.#held = null;
    this.#heldBytes = 0;
    for (const chunk of held) this.deliver(chunk);
    this.connection.taken();
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Hangs up, with an error as after a reset when one is given. */
  close(error: Error | null = null): void {
    this.connection.finish(error);
  }

  deliver(chunk: Uint8Array): void {
    const bytes = copy(chunk);
    if (this.#held !== null) {
      this.#held.push(bytes);
      this.#heldBytes += bytes.length;
    } else if (this.onData !== null) {
      this.onData(bytes);
    } else {
      this.#keep(bytes);
      this.#wake();
    }
  }

  onClosed(): void {
    this.#isClosed = true;
    this.#wake();
    for (const waiter of this.#waiters.splice(0)) {
      waiter.reject(new Error(`closed after ${this.#receivedBytes} unread bytes`));
    }
    this.#resolveClosed();
  }

  #keep(bytes: Buffer): void {
    this.#received.push(bytes);
    this.#receivedBytes += bytes.length;
  }

  #wake(): void {
    this.#waiters = this.#waiters.filter((waiter) => {
      if (!waiter.ready()) return true;
      waiter.resolve();
      return false;
    });
  }

  #until(ready: () => boolean): Promise<void> {
    if (ready()) return Promise.resolve();
    if (this.#isClosed) return Promise.reject(new Error('the connection is closed'));
    return new Promise((resolve, reject) => {
      this.#waiters.push({ ready, resolve, reject });
    });
  }
}

// A test may go on changing its buffer, and a protocol may reuse one that the kernel took. The copy
// comes from the pool, so that protocols meet a byteOffset that is not zero.
function copy(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes);
}
