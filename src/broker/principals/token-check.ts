/**
 * Tokens that somebody else gave out: what proves them is not here, because it asks the world for
 * keys. The server hands it in when the operator has said whose tokens count.
 */

export interface ProvedToken {
  /** Name of the user whom the token is for. */
  readonly user: string;
  /** When the token ends, in ms since 1970: what was begun with it ends then as well. */
  readonly endsAtMs: number;
}

export interface TokenCheck {
  /** @throws BrokerError `bad-credentials`; its details are for the log, not for clients */
  check(token: string): Promise<ProvedToken>;
}
