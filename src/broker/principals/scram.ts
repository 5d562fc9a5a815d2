/**
 * SCRAM (RFC 5802, RFC 7677): the credentials that are kept of a password, and the server's side of
 * one dialogue. Without channel binding. Bytes in, bytes out; each protocol carries them its way.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { BrokerError } from '#kit';

export const SCRAM_MECHANISMS = ['SCRAM-SHA-256', 'SCRAM-SHA-512'] as const;
export type ScramMechanism = (typeof SCRAM_MECHANISMS)[number];
export type ScramHash = 'sha256' | 'sha512';

export const SCRAM_ITERATIONS_MIN = 4096;
/** More would let whoever sets credentials slow down every log-in of the user. */
export const SCRAM_ITERATIONS_MAX = 16_384;

/** All but the iterations in base64. */
export interface ScramCredential {
  readonly salt: string;
  readonly iterations: number;
  readonly storedKey: string;
  readonly serverKey: string;
}

export function scramHash(mechanism: ScramMechanism): ScramHash {
  return mechanism === 'SCRAM-SHA-256' ? 'sha256' : 'sha512';
}

export function isScram(mechanism: string): mechanism is ScramMechanism {
  return (SCRAM_MECHANISMS as readonly string[]).includes(mechanism);
}

export function scramCredential(
  mechanism: ScramMechanism,
  salted: Buffer,
  salt: Buffer,
  iterations: number,
): ScramCredential {
  const hash = scramHash(mechanism);
  const clientKey = createHmac(hash, salted).update('Client Key').digest();
  return {
    salt: salt.toString('base64'),
    iterations,
    storedKey: createHash(hash).update(clientKey).digest('base64'),
    serverKey: createHmac(hash, salted).update('Server Key').digest('base64'),
  };
}

/** What a dialogue asks for. */
export interface ScramSource {
  readonly mechanism: ScramMechanism;
  /** 18 random bytes as base64. */
  readonly nonce: string;
  /** Of a user that is not there, one that no password fits; always the same for its name. */
  credentialOf(user: string): ScramCredential;
}

type Step = 'first' | 'final' | 'done';

export class ScramDialogue {
  readonly #source: ScramSource;
  #step: Step = 'first';
  #user = '';
  #credential: ScramCredential | null = null;
  #nonce = '';
  #gs2Header = '';
  /** client-first-message-bare and server-first-message. */
  #spoken = '';

  constructor(source: ScramSource) {
    this.#source = source;
  }

  /** Who it says it is; proved when `final` has answered. */
  get user(): string {
    return this.#user;
  }

  /** Waits for the client's last message. */
  get begun(): boolean {
    return this.#step === 'final';
  }

  /** client-first-message -> server-first-message. @throws BrokerError `bad-credentials` */
  first(message: Buffer): Buffer {
    if (this.#step !== 'first') throw broken('a message too many');
    this.#step = 'done';
    const match = /^([nyp][^,]*),([^,]*),(.*)$/s.exec(message.toString('utf8'));
    if (match === null) throw broken('no client-first-message');
    const [, binding, authorization = '', bare = ''] = match;
    if (binding !== 'n' && binding !== 'y') throw broken('channel binding is not supported');
    const [name = '', nonce = '', ...extensions] = bare.split(',');
    const user = name.startsWith('n=') ? saslName(name.slice(2)) : '';
    if (user === '' || !/^r=[!-+--~]+$/.test(nonce)) throw broken('no name or no nonce');
    if (extensions.some((one) => one.startsWith('m=') || one === 'tokenauth=true')) {
      throw broken('an extension that is not supported');
    }
    if (authorization !== '' && saslName(authorization.replace(/^a=/, '')) !== user) {
      throw broken('acting for another user is not supported');
    }
    this.#user = user;
    this.#credential = this.#source.credentialOf(user);
    this.#nonce = nonce.slice(2) + this.#source.nonce;
    this.#gs2Header = `${binding},${authorization},`;
    const { salt, iterations } = this.#credential;
    const answer = `r=${this.#nonce},s=${salt},i=${iterations}`;
    this.#spoken = `${bare},${answer}`;
    this.#step = 'final';
    return Buffer.from(answer);
  }

  /** client-final-message -> server-final-message. @throws BrokerError `bad-credentials` */
  final(message: Buffer): Buffer {
    if (this.#step !== 'final') throw broken('no client-first-message came before');
    this.#step = 'done';
    const text = message.toString('utf8');
    const proofAt = text.lastIndexOf(',p=');
    if (proofAt < 0) throw broken('no proof');
    const withoutProof = text.slice(0, proofAt);
    const [channel, nonce] = withoutProof.split(',');
    if (channel !== `c=${Buffer.from(this.#gs2Header).toString('base64')}`) {
      throw broken('another channel binding than before');
    }
    if (nonce !== `r=${this.#nonce}`) throw broken('another nonce than before');
    const hash = scramHash(this.#source.mechanism);
    const proof = Buffer.from(text.slice(proofAt + 3), 'base64');
    const { storedKey, serverKey } = this.#credential!;
    const stored = Buffer.from(storedKey, 'base64');
    const spoken = `${this.#spoken},${withoutProof}`;
    const signature = createHmac(hash, stored).update(spoken).digest();
    if (proof.length !== signature.length) throw new BrokerError('bad-credentials');
    const clientKey = Buffer.allocUnsafe(proof.length);
    for (let at = 0; at < proof.length; at++) clientKey[at] = proof[at]! ^ signature[at]!;
    const proved = createHash(hash).update(clientKey).digest();
    if (!timingSafeEqual(proved, stored)) throw new BrokerError('bad-credentials');
    const key = Buffer.from(serverKey, 'base64');
    const answer = createHmac(hash, key).update(spoken).digest('base64');
    return Buffer.from(`v=${answer}`);
  }
}

/** `,` and `=` are written as codes in names. */
function saslName(text: string): string {
  if (/=(?!2C|3D)/.test(text)) throw broken('a name that is not well-formed');
  return text.replaceAll('=2C', ',').replaceAll('=3D', '=');
}

function broken(detail: string): BrokerError {
  return new BrokerError('bad-credentials', detail);
}
