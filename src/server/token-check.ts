/**
 * Checks JSON Web Tokens of an identity provider against the keys that it publishes (JWKS). Keys
 * are fetched when they are needed first, again when they are old, and when a token names one that
 * is not known, at most every half minute. Only signatures by asymmetric keys count.
 */
import { readFile } from 'node:fs/promises';
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  errors,
  type JSONWebKeySet,
  type JWTPayload,
  type JWTVerifyGetKey,
  jwtVerify,
} from 'jose';
import type { ProvedToken, TokenCheck } from '#broker';
import { BrokerError, type Clock, type Log, type Values } from '#kit';
import type { TOKEN_OPTIONS } from './token-options.ts';

export type TokenSettings = Values<typeof TOKEN_OPTIONS>;

const ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
];
/** A token is some hundred bytes, with many groups in it some thousand. */
const TOKEN_CHARACTERS_MAX = 32 * 1024;
const FETCH_TIMEOUT_MS = 5_000;
const FETCH_AGAIN_MS = 30_000;

/**
 * The check that the options ask for, or null where tokens are not accepted.
 * @throws BrokerError `bad-configuration`
 */
export async function openTokenCheck(
  settings: TokenSettings,
  clock: Clock,
  log: Log,
): Promise<TokenCheck | null> {
  const { tokenKeysUrl, tokenKeysFile, tokenIssuer, tokenAudience } = settings;
  if (tokenKeysUrl === '' && tokenKeysFile === '') return null;
  if (tokenKeysUrl !== '' && tokenKeysFile !== '') {
    throw new BrokerError('bad-configuration', 'auth.token-keys-url or auth.token-keys-file.');
  }
  if (tokenIssuer === '' || tokenAudience.length === 0) {
    const why = 'tokens need auth.token-issuer and auth.token-audience: others count for others.';
    throw new BrokerError('bad-configuration', why);
  }
  const keys = tokenKeysUrl === '' ? await keysOfFile(tokenKeysFile) : keysOfUrl(settings);
  return new JwtCheck(settings, keys, clock, log);
}

class JwtCheck implements TokenCheck {
  readonly #settings: TokenSettings;
  readonly #keys: JWTVerifyGetKey;
  readonly #clock: Clock;
  readonly #log: Log;

  constructor(settings: TokenSettings, keys: JWTVerifyGetKey, clock: Clock, log: Log) {
    this.#settings = settings;
    this.#keys = keys;
    this.#clock = clock;
    this.#log = log;
  }

  async check(token: string): Promise<ProvedToken> {
    const { tokenIssuer, tokenAudience, tokenClockSkew, tokenUserClaim } = this.#settings;
    if (token.length > TOKEN_CHARACTERS_MAX) throw refused('the token is too long');
    try {
      const { payload } = await jwtVerify(token, this.#keys, {
        algorithms: ALGORITHMS,
        issuer: tokenIssuer,
        audience: [...tokenAudience],
        clockTolerance: tokenClockSkew / 1000,
        currentDate: new Date(this.#clock.nowMs()),
        requiredClaims: ['exp', tokenUserClaim],
      });
      const missing = this.#missingScope(payload);
      if (missing !== undefined) throw refused(`the token lacks the scope '${missing}'`);
      const user = payload[tokenUserClaim];
      if (typeof user !== 'string' || user === '') throw refused('the token names no user');
      return { user, endsAtMs: payload.exp! * 1000 };
    } catch (error) {
      if (error instanceof BrokerError) throw error;
      // Also what the fetch of keys can meet: an address that is gone, an answer that is no JSON.
      const reason = error instanceof Error ? error.message : String(error);
      if (!(error instanceof errors.JOSEError) || error instanceof errors.JWKSTimeout) {
        this.#log.warn('keys of tokens cannot be fetched', { reason });
      }
      throw refused(reason);
    }
  }

  #missingScope(payload: JWTPayload): string | undefined {
    const claim = payload['scope'] ?? payload['scp'];
    const has = typeof claim === 'string' ? claim.split(' ') : Array.isArray(claim) ? claim : [];
    return this.#settings.tokenScope.find((scope) => !has.includes(scope));
  }
}

function refused(reason: string): BrokerError {
  return new BrokerError('bad-credentials', `token: ${reason}.`);
}

function keysOfUrl({ tokenKeysUrl, tokenKeysAge }: TokenSettings): JWTVerifyGetKey {
  if (!URL.canParse(tokenKeysUrl) || !/^https?:/.test(tokenKeysUrl)) {
    throw new BrokerError('bad-configuration', `auth.token-keys-url: '${tokenKeysUrl}' is no URL.`);
  }
  return createRemoteJWKSet(new URL(tokenKeysUrl), {
    timeoutDuration: FETCH_TIMEOUT_MS,
    cooldownDuration: FETCH_AGAIN_MS,
    cacheMaxAge: tokenKeysAge,
  });
}

async function keysOfFile(file: string): Promise<JWTVerifyGetKey> {
  try {
    return createLocalJWKSet(JSON.parse(await readFile(file, 'utf8')) as JSONWebKeySet);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new BrokerError('bad-configuration', `auth.token-keys-file: ${reason}`);
  }
}
