/** Who acts: the one identity that every protocol hands to the broker. */

export interface Principal {
  readonly name: string;
  /** Small number that stored records carry; 0 is the server itself. */
  readonly id: number;
  readonly anonymous: boolean;
  /** May do everything. */
  readonly superuser: boolean;
}

export const SERVER_PRINCIPAL: Principal = {
  name: 'server',
  id: 0,
  anonymous: false,
  superuser: true,
};

/**
 * What a connection adds to who acts on it: rules can ask for it. All of it is the client's word
 * but the address and the certificate.
 */
export interface PeerFacts {
  /** Label of metrics. */
  readonly protocol?: string | undefined;
  readonly clientId?: string | undefined;
  readonly peerHost?: string | undefined;
  /** Common name of the certificate that the client proved. */
  readonly commonName?: string | undefined;
}

export const NO_FACTS: PeerFacts = {};
