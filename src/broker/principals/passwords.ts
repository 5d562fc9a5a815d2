/**
 * Is this the password? Answers off the event loop, and remembers answers for a while: a client
 * that comes back, or a flood of them, costs a hash and not a key derivation.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Random } from '#kit';
import type { Account, StoredUser } from './account.ts';
import { type DeriveKey, KeyQueue, pbkdf2Of, SCRYPT } from './derive-key.ts';
import { type ScramMechanism, scramCredential, scramHash } from './scram.ts';

/** Wrong attempts that are remembered; the oldest are forgotten first. */
const WRONG_MAX = 4096;

export class Passwords {
  readonly keys: KeyQueue;
  /** Digests of passwords that were right, by user. */
  readonly #right = new Map<string, Buffer>();
  readonly #wrong = new Set<string>();
  /** Checks that run: the same question asked twice is answered once. */
  readonly #running = new Map<string, Promise<boolean>>();
  /** Digests mean nothing outside this process. */
  readonly #secret: Buffer;

  constructor(random: Random, derive: DeriveKey) {
    this.keys = new KeyQueue(derive);
    this.#secret = random.bytes(32);
  }

  /** True when this password was right a while ago: no derivation is needed to know. */
  known(user: string, password: string): boolean {
    const right = this.#right.get(user);
    return right !== undefined && timingSafeEqual(right, this.#digest(user, password));
  }

  /**
   * As slow for a user that is not there as for one with another password, so that names cannot be
   * probed. @throws BrokerError `busy`
   */
  async fits(user: string, password: string, account: Account | undefined): Promise<boolean> {
    const digest = this.#digest(user, password);
    const right = this.#right.get(user);
    if (right !== undefined && timingSafeEqual(right, digest)) return true;
    const key = digest.toString('latin1');
    if (this.#wrong.has(key)) return false;
    let running = this.#running.get(key);
    if (running === undefined) {
      running = this.#check(user, password, account, digest).finally(() =>
        this.#running.delete(key),
      );
      this.#running.set(key, running);
    }
    return running;
  }

  /** What was remembered of a user does not hold any more. */
  forget(user: string): void {
    this.#right.delete(user);
    this.#wrong.clear();
  }

  async #check(
    user: string,
    password: string,
    account: Account | undefined,
    digest: Buffer,
  ): Promise<boolean> {
    const stored = account?.stored ?? null;
    const fits = stored === null ? await this.#dummy(password) : await this.#fits(password, stored);
    // Changed while it was checked: what was right then is not remembered.
    if (account !== undefined && account.stored !== stored) return false;
    if (fits) this.#right.set(user, digest);
    else this.#remember(digest);
    return fits;
  }

  #remember(digest: Buffer): void {
    if (this.#wrong.size >= WRONG_MAX) {
      for (const oldest of this.#wrong) {
        this.#wrong.delete(oldest);
        break;
      }
    }
    this.#wrong.add(digest.toString('latin1'));
  }

  async #dummy(password: string): Promise<boolean> {
    await this.keys.derive(normal(password), this.#secret, SCRYPT);
    return false;
  }

  async #fits(password: string, stored: StoredUser): Promise<boolean> {
    const { salt, hash, form = 'scrypt', iterations = 1 } = stored;
    if (hash === '') return this.#fitsScram(password, stored);
    const wanted = Buffer.from(hash, 'base64');
    const saltBytes = Buffer.from(salt, 'base64');
    if (form === 'scrypt') {
      return same(wanted, await this.keys.derive(normal(password), saltBytes, SCRYPT));
    }
    // Files of other brokers know no normal form: the bytes as they came.
    const key =
      form === 'sha512'
        ? createHash('sha512').update(password).update(saltBytes).digest()
        : await this.keys.derive(password, saltBytes, pbkdf2Of('sha512', iterations));
    return same(wanted, key);
  }

  /** A user whose credentials were set by the mechanism only has no hash: its keys tell as well. */
  async #fitsScram(password: string, { scram, plainBy }: StoredUser): Promise<boolean> {
    const mechanism = plainBy ?? (Object.keys(scram ?? {})[0] as ScramMechanism | undefined);
    const credential = mechanism === undefined ? undefined : scram?.[mechanism];
    if (mechanism === undefined || credential === undefined) return this.#dummy(password);
    const salt = Buffer.from(credential.salt, 'base64');
    const { iterations } = credential;
    const how = pbkdf2Of(scramHash(mechanism), iterations);
    const salted = await this.keys.derive(scramText(password), salt, how);
    const { storedKey } = scramCredential(mechanism, salted, salt, iterations);
    return same(Buffer.from(storedKey, 'base64'), Buffer.from(credential.storedKey, 'base64'));
  }

  #digest(user: string, password: string): Buffer {
    const size = Buffer.alloc(4);
    size.writeUInt32BE(Buffer.byteLength(user));
    return createHash('sha256')
      .update(this.#secret)
      .update(size)
      .update(user)
      .update(password)
      .digest();
  }
}

function same(one: Buffer, other: Buffer): boolean {
  return one.length === other.length && timingSafeEqual(one, other);
}

/** Passwords are compared in one form of Unicode. */
export function normal(password: string): string {
  return password.normalize('NFC');
}

/** What SASLprep (RFC 4013) makes of a password, but for its list of forbidden characters. */
export function scramText(password: string): string {
  return password.normalize('NFKC');
}
