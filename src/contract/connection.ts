/** One byte stream to a client, whatever carries it: TCP, TLS, WebSocket, later QUIC, or memory. */

export interface Peer {
  /** The other end's address, after a PROXY header if there was one. */
  readonly address: string;
  readonly port: number;
  /** True when the bytes come from this machine, and no PROXY header ended the trust in that. */
  readonly loopback: boolean;
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
   * Makes the rest of the stream TLS, for protocols that upgrade in place (NATS). Call with the
   * listener's certificate configured only; `Host.tlsAvailable()` tells. `head` holds bytes of the
   * client's handshake that came to `data()` already: it may be called from inside `data()` with
   * the chunk that starts with the ClientHello. Afterwards `data()` gives decrypted bytes, `write`
   * encrypts, and `encrypted` is true once the handshake is done; a failed one ends the connection.
   */
  startTls(head?: Buffer): void;
}
