/** What a protocol wants listened on. `net` opens it, over whatever carries it. */

export type Transport = 'tcp' | 'tls' | 'ws' | 'wss' | 'quic';

export interface ListenerPlan {
  /**
   * Unique over all protocols: `mqtt`, `mqtt-tls`, `mqtt-ws`; option names and log lines use it.
   */
  readonly name: string;
  readonly transport: Transport;
  /**
   * `host:port` texts. `localhost:1883` stands for both loopback addresses; port 0 picks a free one
   * (the same for both). Empty: not opened, but a listener that the operator names may have its
   * transport. TLS transports open only when a certificate is configured.
   */
  readonly listen: readonly string[];
  /**
   * For ws and wss: the path (`*` is any, default `/`), and the subprotocols that are accepted
   * (first match is answered).
   */
  readonly path?: string;
  readonly subprotocols?: readonly string[];
  /** For tls, wss and quic: names for ALPN. A client that offers only others fails. */
  readonly alpn?: readonly string[];
  /** For ws and wss: close when a client sends a text frame. Default true. */
  readonly binaryOnly?: boolean;
  /**
   * The protocol can upgrade to TLS in place: give the connection the certificate for `startTls`.
   */
  readonly upgradable?: boolean;
}
