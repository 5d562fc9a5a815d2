/**
 * SASL on one connection: the order of its steps (KIP-43, KIP-152, KIP-368) and the PLAIN mechanism
 * (RFC 4616). Users and passwords are the broker's.
 */
import { isUtf8 } from 'node:buffer';
import { BrokerError } from '#kit';
import type { Session } from './session.ts';

export const MECHANISMS: readonly string[] = ['PLAIN'];

type Step = 'none' | 'handshaken' | 'raw';

export class Sasl {
  #step: Step = 'none';

  /** Frames are bare tokens now: the client did the handshake in version 0. */
  get rawTokens(): boolean {
    return this.#step === 'raw';
  }

  /** @returns false when the mechanism is unknown */
  handshake(mechanism: string, version: number): boolean {
    if (!MECHANISMS.includes(mechanism)) return false;
    this.#step = version === 0 ? 'raw' : 'handshaken';
    return true;
  }

  /** True once after a handshake: the next token may come. */
  takeTurn(): boolean {
    if (this.#step === 'none') return false;
    this.#step = 'none';
    return true;
  }

  /** @returns the bytes to answer, or null when the connection must close */
  async rawToken(token: Buffer, session: Session): Promise<Buffer | null> {
    this.#step = 'none';
    return (await authenticate(token, session)) === null ? Buffer.alloc(0) : null;
  }
}

/**
 * Checks a PLAIN token and makes its user the session's principal.
 * @returns null, or the reason of the refusal as a client may see it
 */
export async function authenticate(token: Buffer, session: Session): Promise<string | null> {
  const fields = isUtf8(token) ? token.toString('utf8').split('\0') : [];
  const [authorizationId, user, password] = fields;
  if (fields.length !== 3 || !user || !password) return 'malformed PLAIN token';
  if (authorizationId !== '' && authorizationId !== user) {
    return 'acting for another user is not supported';
  }
  try {
    const { loopback } = session.connection.peer;
    const principal = await session.room.broker.authenticate({ user, password, loopback });
    const before = session.principal;
    if (before !== null && !before.anonymous && before.id !== principal.id) {
      return 'the user of a connection cannot change'; // KIP-368
    }
    session.authenticated(principal);
    return null;
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error;
    return 'authentication failed: invalid credentials';
  }
}
