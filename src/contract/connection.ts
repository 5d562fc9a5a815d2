/** One byte stream to a client, whatever carries it: TCP, TLS, WebSocket, QUIC, or memory. */

import type { Transport } from './listener.ts';

/** What the certificate of a client proves. */
export interface PeerIdentity {
  readonly commonName: string;
  /** SHA-256 of the certificate in hex; empty when a load balancer has checked it for us. */
  readonly digest: string;
  /** Acts as this user, and no password is asked; null when the listener takes none from it. */
  readonly user: string | null;
  /** The client identifier, whatever the client says; null when the listener takes none from it. */
  readonly clientId: string | null;
}

export interface Peer {
  /** The other end's address, after a PROXY header if there was one. */
  readonly address: string;
  readonly port: number;
  /** True when the bytes come from this machine, and no PROXY header ended the trust in that. */
  readonly loopback: boolean;
  /**
   * Absent without a verified certificate. After an upgrade in place it is there with the first
   * decrypted bytes.
   */
  readonly identity?: PeerIdentity;
}

/** Who is at the other end, once the protocol knows. */
export interface Client {
  /** Name of the user who acts; `anonymous` where nobody had to say. */
  readonly user: string;
  /** A name that belongs to one client at a time; null where the protocol has no such thing. */
  readonly clientId: string | null;
}

/** Why the server wants a client to leave. */
export interface Eviction {
  readonly why:
    | 'drain'
    | 'banned'
    | 'kicked'
    | 'message-rate'
    | 'byte-rate'
    | 'connect-rate'
    | 'connections';
  /** A sentence for the client and the log. */
  readonly text: string;
  /** When it moves elsewhere: the other servers as `host:port`, separated by spaces. */
  readonly reference: string | null;
}

/** What holds for all connections of a listener. */
export interface ListenerTerms {
  /** Who may come without credentials: those of this machine, everybody, nobody. */
  readonly anonymous: 'loopback' | 'everyone' | 'nobody';
  readonly transport: Transport;
  /** True when `startTls` may be called. */
  readonly upgradable: boolean;
}

export interface ConnectionHandler {
  /**
   * Bytes as they came. The chunk is the handler's to keep: it is not reused. May be called again
   * after `pause()` for what was already read.
   */
  data(chunk: Buffer): void;
  /** Everything written was taken: the moment to go on after `write` had answered false. */
  drain(): void;
  /** Called exactly once, when the connection is gone, whoever ended it. */
  closed(error: Error | null): void;
  /**
   * Takes leave in the protocol's own way, perhaps before a byte has come: who may not come in
   * hears why. Without it the connection is cut.
   */
  evict?(eviction: Eviction): void;
  /**
   * The client opened another stream within its connection (QUIC). Who does not have this refuses
   * them all.
   */
  stream?(stream: SideStream): void;
  /** Messages that came so far, for the limit of their rate; it grows inside `data`. */
  readonly messagesIn?: number;
}

export interface Connection {
  /** Grows by one per connection of this server; for logs and tables. */
  readonly id: number;
  readonly peer: Peer;
  /** The address that the client connected to, as this machine sees it. */
  readonly local: { readonly address: string; readonly port: number };
  /** Name of the listener that accepted it, such as `mqtt` or `mqtt-tls`. */
  readonly listener: string;
  readonly encrypted: boolean;
  /** Shared by all connections of the listener. */
  readonly terms: ListenerTerms;
  /** Must be called once, synchronously in `accept`. */
  handle(handler: ConnectionHandler): void;
  /**
   * Queues bytes; the chunk must not be changed until `pendingBytes` was 0 again. Several writes of
   * one turn of the event loop leave together. False: the send buffer is over its mark; wait for
   * `drain`.
   */
  write(chunk: Uint8Array): boolean;
  /** Bytes queued and not yet taken by the kernel. */
  readonly pendingBytes: number;
  pause(): void;
  resume(): void;
  /** Sends what is queued, then closes. */
  end(): void;
  /** Closes now; `reason` goes to the log. */
  destroy(reason: string): void;
  /**
   * Tells who the client is, once it has proved it and before it is let in. Answers why it must
   * not come in (it is banned), or null.
   */
  identify(client: Client): string | null;
  /**
   * Makes the rest of the stream TLS, for protocols that upgrade in place (NATS). Call only where
   * `terms.upgradable` says so. `head` holds bytes of the
   * client's handshake that came to `data()` already: it may be called from inside `data()` with
   * the chunk that starts with the ClientHello. Afterwards `data()` gives decrypted bytes, `write`
   * encrypts, and `encrypted` is true once the handshake is done; a failed one ends the connection.
   */
  startTls(head?: Buffer): void;
}

/**
 * One more stream of a connection, in both directions: bytes keep their order within a stream only.
 * While the connection is paused none of its streams is read. They end with the connection.
 */
export interface SideStream {
  /** Must be called once, synchronously in `ConnectionHandler.stream`. */
  handle(handler: SideStreamHandler): void;
  /** As of a connection; what the client does not take waits for this stream alone. */
  write(chunk: Uint8Array): boolean;
  readonly pendingBytes: number;
  pause(): void;
  resume(): void;
  /** Ends our direction behind what is queued. */
  end(): void;
}

export interface SideStreamHandler {
  data(chunk: Buffer): void;
  drain(): void;
  /** The client sends no more on it; everything has come. */
  ended(): void;
  /** One of its directions was given up, and bytes in it may be lost. The last call. */
  broken(error: Error): void;
}
