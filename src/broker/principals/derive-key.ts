/** How passwords become keys: slow on purpose, in the thread pool, a few at a time. */
import { pbkdf2, scrypt } from 'node:crypto';
import { promisify } from 'node:util';
import { BrokerError } from '#kit';

export interface Derivation {
  readonly form: 'scrypt' | 'pbkdf2';
  /** Of pbkdf2. */
  readonly hash: 'sha256' | 'sha512';
  readonly iterations: number;
}

/** scrypt cost 2^14, block 8: about 30 ms and 16 MB. */
const SCRYPT_OPTIONS = { N: 16_384, r: 8, p: 1 } as const;
const SCRYPT_BYTES = 32;
export const SCRYPT: Derivation = { form: 'scrypt', hash: 'sha512', iterations: 1 };

export function pbkdf2Of(hash: 'sha256' | 'sha512', iterations: number): Derivation {
  return { form: 'pbkdf2', hash, iterations };
}

/** Makes the key that is kept of a password. A simulation gives a quick one of its own. */
export type DeriveKey = (password: string, salt: Buffer, how: Derivation) => Promise<Buffer>;

const byScrypt = promisify(
  (password: string, salt: Buffer, done: (error: Error | null, key: Buffer) => void) =>
    scrypt(password, salt, SCRYPT_BYTES, SCRYPT_OPTIONS, done),
);
const byPbkdf2 = promisify(pbkdf2);

export const deriveKey: DeriveKey = (password, salt, { form, hash, iterations }) =>
  form === 'scrypt'
    ? byScrypt(password, salt)
    : byPbkdf2(password, salt, iterations, hash === 'sha256' ? 32 : 64, hash);

/** The thread pool serves disks and name look-ups as well: a flood of log-ins may not fill it. */
const AT_ONCE_MAX = 2;
/** At 30 ms each, a client that would wait longer than this has given up. */
const WAITING_MAX = 512;

export class KeyQueue {
  readonly #derive: DeriveKey;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(derive: DeriveKey) {
    this.#derive = derive;
  }

  /** @throws BrokerError `busy` when too many wait */
  async derive(password: string, salt: Buffer, how: Derivation): Promise<Buffer> {
    if (this.#running >= AT_ONCE_MAX) {
      if (this.#waiting.length >= WAITING_MAX) throw new BrokerError('busy', 'too many log-ins.');
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else this.#running++;
    try {
      return await this.#derive(password, salt, how);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }
}
