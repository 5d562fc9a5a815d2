/**
 * SASL on one connection: the order of its steps (KIP-43, KIP-152), re-authentication (KIP-368),
 * and the mechanisms PLAIN (RFC 4616), SCRAM and OAUTHBEARER (RFC 7628). Users, passwords and whose
 * tokens count are matters of the broker.
 */
import { isUtf8 } from 'node:buffer';
import {
  isScram,
  type Origination,
  type Principal,
  SCRAM_MECHANISMS,
  type ScramLogin,
} from '#broker';
import { BrokerError } from '#kit';
import { readBearerMessage } from './oauth-bearer.ts';
import type { Room } from './room.ts';
import type { Session } from './session.ts';

const PLAIN = 'PLAIN';
const OAUTH_BEARER = 'OAUTHBEARER';
const MECHANISMS: readonly string[] = [PLAIN, ...SCRAM_MECHANISMS];

/** What a client may log in with; tokens only where somebody's count. */
export function mechanismsOf({ broker }: Room): readonly string[] {
  return broker.principals.tokens === null ? MECHANISMS : [...MECHANISMS, OAUTH_BEARER];
}

const NO_BYTES = Buffer.alloc(0);
const WRONG = 'authentication failed: invalid credentials';

/** What a token was answered; `refusal` as a client may see it. */
export type TokenAnswer =
  | { readonly refusal: null; readonly bytes: Buffer }
  | { readonly refusal: string };

type Step = 'none' | 'handshaken' | 'raw';

export class Sasl {
  #step: Step = 'none';
  #mechanism = '';
  #scram: ScramLogin | null = null;
  /** The mechanism that the session began with. */
  #first = '';
  /** When the session must have authenticated again, on the monotonic clock; 0 = never. */
  #endsAtMs = 0;
  /** For how long the last log-in holds; 0 = for good. */
  #lifetimeMs = 0;

  /** Frames are bare tokens now: the client did the handshake in version 0. */
  get rawTokens(): boolean {
    return this.#step === 'raw';
  }

  /** Its time is over: only a new authentication may come. */
  expired(nowMs: number): boolean {
    return this.#endsAtMs !== 0 && nowMs >= this.#endsAtMs;
  }

  /** @returns false when the mechanism is unknown */
  handshake(mechanism: string, version: number, room: Room): boolean {
    if (!mechanismsOf(room).includes(mechanism)) return false;
    this.#step = version === 0 ? 'raw' : 'handshaken';
    this.#mechanism = mechanism;
    this.#scram = null;
    return true;
  }

  /** True when a token may come: after a handshake, and while an exchange goes on. */
  get awaitsToken(): boolean {
    return this.#step !== 'none';
  }

  /** Takes the next token; the last one makes its user the session's principal. */
  async token(token: Buffer, session: Session): Promise<TokenAnswer> {
    const mechanism = this.#mechanism;
    const step = this.#step;
    // Whatever happens, a token that is not followed up ends the exchange.
    this.#step = 'none';
    if (this.#first !== '' && this.#first !== mechanism) {
      return { refusal: 'the mechanism of a connection cannot change' };
    }
    try {
      if (mechanism === OAUTH_BEARER) return await this.#bearer(token, session);
      if (!isScram(mechanism)) {
        const principal = await this.#plain(token, session);
        return this.#accept(principal, NO_BYTES, session);
      }
      const { principals } = session.room.broker;
      if (this.#scram === null) {
        this.#scram = principals.scram(mechanism, session.origination());
        const bytes = this.#scram.first(token);
        this.#step = step;
        return { refusal: null, bytes };
      }
      const { answer, principal } = this.#scram.final(token);
      return this.#accept(principal, answer, session);
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error;
      this.#scram = null;
      return { refusal: error.code === 'malformed' ? error.message : WRONG };
    }
  }

  /** Milliseconds until the client must authenticate again; 0 = never. */
  get lifetimeMs(): number {
    return this.#lifetimeMs;
  }

  /** @param proofMs for how long the proof holds; 0 = for good */
  #accept(principal: Principal, bytes: Buffer, session: Session, proofMs = 0): TokenAnswer {
    this.#scram = null;
    const before = session.principal;
    if (before !== null && !before.anonymous && before.id !== principal.id) {
      return { refusal: 'the user of a connection cannot change' }; // KIP-368
    }
    this.#first = this.#mechanism;
    const { options, host } = session.room;
    const { saslSessionMax } = options;
    const both = saslSessionMax > 0 && proofMs > 0;
    this.#lifetimeMs = both ? Math.min(saslSessionMax, proofMs) : saslSessionMax + proofMs;
    this.#endsAtMs = this.#lifetimeMs === 0 ? 0 : host.clock.monotonicMs() + this.#lifetimeMs;
    const refusal = session.authenticated(principal);
    return refusal === null ? { refusal, bytes } : { refusal };
  }

  async #bearer(message: Buffer, session: Session): Promise<TokenAnswer> {
    const { authorizationId, token } = readBearerMessage(message);
    const { principals } = session.room.broker;
    const { principal, lifetimeMs } = await principals.byToken(token, session.origination());
    if (authorizationId !== '' && authorizationId !== principal.name) {
      throw new BrokerError('malformed', 'acting for another user is not supported');
    }
    return this.#accept(principal, NO_BYTES, session, lifetimeMs);
  }

  async #plain(token: Buffer, session: Session): Promise<Principal> {
    const fields = isUtf8(token) ? token.toString('utf8').split('\0') : [];
    const [authorizationId, user, password] = fields;
    if (fields.length !== 3 || !user || !password) {
      throw new BrokerError('malformed', 'malformed PLAIN token');
    }
    if (authorizationId !== '' && authorizationId !== user) {
      throw new BrokerError('malformed', 'acting for another user is not supported');
    }
    const origination: Origination = session.origination();
    return session.room.broker.authenticate({ user, password, ...origination });
  }
}
