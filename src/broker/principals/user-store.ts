/**
 * The users, kept in the catalogue: hashes and SCRAM credentials of passwords, never a password.
 * Who may do what is not here.
 */
import { BrokerError, type Random } from '#kit';
import type { Definitions, Json } from '../state/definitions.ts';
import { Account, type PasswordForm, type StoredUser } from './account.ts';
import { Actor } from './actor.ts';
import { type DeriveKey, deriveKey, pbkdf2Of, SCRYPT } from './derive-key.ts';
import { normal, Passwords, scramText } from './passwords.ts';
import { ROLE_PREFIX } from './rule.ts';
import {
  SCRAM_ITERATIONS_MAX,
  SCRAM_ITERATIONS_MIN,
  SCRAM_MECHANISMS,
  type ScramCredential,
  type ScramMechanism,
  scramCredential,
  scramHash,
} from './scram.ts';

const USER_KIND = 'user';
/** The largest id that was ever given, so that none is given twice. */
const COUNTER = ['server', 'last-user-id'] as const;
const USERS_MAX = 1_000_000;
const NAME_CHARS_MAX = 255;
const ROLES_MAX = 64;
const SALT_BYTES = 16;
const FIRST_USER = 'admin';
const FIRST_PASSWORD = 'robustmq';
const ANONYMOUS_NAME = 'anonymous';
/** 0 is the server, 1 is anonymous. */
const FIRST_ID = 2;

export interface User {
  readonly name: string;
  readonly id: number;
  readonly superuser: boolean;
  /** May come from this machine only. */
  readonly loopbackOnly: boolean;
  readonly enabled: boolean;
  readonly roles: readonly string[];
  readonly mechanisms: readonly ScramMechanism[];
  /** `catalogue`, or the file that it is kept up from. */
  readonly source: string;
}

export interface UserSettings {
  readonly superuser: boolean;
  readonly loopbackOnly?: boolean;
  readonly enabled?: boolean;
  readonly roles?: readonly string[];
}

/** A password as another broker stored it. */
export interface ForeignPassword {
  readonly name: string;
  readonly form: Exclude<PasswordForm, 'scrypt'>;
  readonly iterations: number;
  /** Base64. */
  readonly salt: string;
  readonly hash: string;
}

/** What a client that sets credentials sends instead of a password (KIP-554). */
export interface ScramChange {
  readonly mechanism: ScramMechanism;
  readonly salt: Buffer;
  readonly iterations: number;
  readonly salted: Buffer;
}

export class UserStore {
  readonly passwords: Passwords;
  /** Of the SCRAM credentials that are made here. */
  iterations = SCRAM_ITERATIONS_MIN * 2;
  readonly scramSaltBytes = SALT_BYTES;
  readonly #definitions: Definitions;
  readonly #random: Random;
  readonly #accounts = new Map<string, Account>();
  readonly #byId = new Map<number, Actor>();
  readonly #changed: () => void;

  constructor(
    definitions: Definitions,
    random: Random,
    derive: DeriveKey = deriveKey,
    changed: () => void,
  ) {
    this.#definitions = definitions;
    this.#random = random;
    this.#changed = changed;
    this.passwords = new Passwords(random, derive);
    for (const [name, value] of definitions.list(USER_KIND)) this.#enter(name, value);
    definitions.watch(USER_KIND, (name, value) => {
      this.passwords.forget(name);
      if (value === undefined) this.#leave(name);
      else this.#enter(name, value);
      this.#changed();
    });
  }

  account(name: string): Account | undefined {
    return this.#accounts.get(name);
  }

  byId(id: number): Actor | undefined {
    return this.#byId.get(id);
  }

  get size(): number {
    return this.#accounts.size;
  }

  list(): User[] {
    return [...this.#accounts.values()].map(shown);
  }

  get(name: string): User | undefined {
    const account = this.#accounts.get(name);
    return account === undefined ? undefined : shown(account);
  }

  /** Makes the first user when there is none. */
  async ensureFirst(): Promise<void> {
    if (this.#accounts.size > 0) return;
    await this.set(FIRST_USER, FIRST_PASSWORD, { superuser: true, loopbackOnly: true });
  }

  /** Makes a user or changes one. @throws BrokerError `invalid-name`, `invalid-argument` */
  async set(name: string, password: string, settings: UserSettings): Promise<void> {
    this.#checkName(name);
    if (password === '') throw new BrokerError('invalid-argument', 'the password is empty.');
    const salt = this.#random.bytes(SALT_BYTES);
    const hash = await this.passwords.keys.derive(normal(password), salt, SCRYPT);
    const scram: { [mechanism in ScramMechanism]?: ScramCredential } = {};
    for (const mechanism of SCRAM_MECHANISMS) {
      scram[mechanism] = await this.#scramOf(mechanism, password);
    }
    this.#put(name, {
      ...this.#settingsOf(settings),
      salt: salt.toString('base64'),
      hash: hash.toString('base64'),
      scram,
    });
  }

  /** @throws BrokerError `invalid-name` */
  change(name: string, settings: Partial<UserSettings>): void {
    const stored = this.#stored(name);
    const { superuser, loopbackOnly, enabled = true, roles = [] } = stored;
    const merged = { superuser, loopbackOnly, enabled, roles, ...settings };
    this.#put(name, { ...stored, ...this.#settingsOf(merged) });
  }

  /**
   * Sets the credential of a mechanism; the user is made when it is not there. From then on a plain
   * password is compared with it: the password before is no password any more.
   * @throws BrokerError `invalid-name`, `invalid-argument`
   */
  setScram(name: string, change: ScramChange): void {
    this.checkScram(name, [change]);
    const { mechanism, salt, iterations, salted } = change;
    const known = this.#accounts.get(name)?.stored ?? null;
    const base = known ?? { superuser: false, loopbackOnly: false };
    const { source: _, form: __, iterations: ___, ...kept } = base as Partial<StoredUser>;
    this.#put(name, {
      superuser: base.superuser,
      loopbackOnly: base.loopbackOnly,
      ...kept,
      ...{ salt: '', hash: '', plainBy: mechanism },
      scram: {
        ...known?.scram,
        [mechanism]: scramCredential(mechanism, salted, salt, iterations),
      },
    });
  }

  /** Would `setScram` take these? @throws BrokerError as it does */
  checkScram(name: string, changes: readonly ScramChange[]): void {
    this.#checkName(name);
    for (const { mechanism, salt, iterations, salted } of changes) {
      if (iterations < SCRAM_ITERATIONS_MIN || iterations > SCRAM_ITERATIONS_MAX) {
        const range = `${SCRAM_ITERATIONS_MIN} to ${SCRAM_ITERATIONS_MAX}`;
        throw new BrokerError('invalid-argument', `iterations: ${range}.`);
      }
      const bytes = scramHash(mechanism) === 'sha256' ? 32 : 64;
      if (salt.length === 0 || salted.length !== bytes) {
        throw new BrokerError('invalid-argument', 'salt or salted password has a wrong length.');
      }
    }
  }

  /** Takes the credential away. @throws BrokerError `invalid-name` when there is none */
  removeScram(name: string, mechanism: ScramMechanism): void {
    const stored = this.#accounts.get(name)?.stored ?? null;
    if (stored?.scram?.[mechanism] === undefined) {
      throw new BrokerError('invalid-name', `'${name}' has no ${mechanism} credential.`);
    }
    const { [mechanism]: _, ...scram } = stored.scram;
    const { plainBy, ...rest } = stored;
    const other = (Object.keys(scram) as ScramMechanism[])[0];
    const plain = plainBy === mechanism ? other : plainBy;
    this.#put(name, { ...rest, scram, ...(plain === undefined ? {} : { plainBy: plain }) });
  }

  scramOf(name: string, mechanism: ScramMechanism): ScramCredential | undefined {
    return this.#accounts.get(name)?.stored?.scram?.[mechanism];
  }

  remove(name: string): void {
    this.#definitions.remove(USER_KIND, name);
  }

  /**
   * Makes the users of a file what the file says: new ones are made, those that it lost are
   * removed. @returns names that it cannot have, because they were made in another way
   */
  takeOver(source: string, passwords: readonly ForeignPassword[]): string[] {
    const taken: string[] = [];
    const named = new Set<string>();
    for (const { name, form, iterations, salt, hash } of passwords) {
      const known = this.#accounts.get(name)?.stored ?? null;
      if (known !== null && known.source !== source) {
        taken.push(name);
        continue;
      }
      this.#checkName(name);
      named.add(name);
      const same =
        known?.hash === hash && known.salt === salt && (known.iterations ?? 1) === iterations;
      if (same) continue;
      const base = known ?? { superuser: false, loopbackOnly: false };
      this.#put(name, { ...base, salt, hash, form, iterations, source });
    }
    for (const [name, { stored }] of [...this.#accounts]) {
      if (stored?.source === source && !named.has(name)) this.remove(name);
    }
    return taken;
  }

  async #scramOf(mechanism: ScramMechanism, password: string): Promise<ScramCredential> {
    const salt = this.#random.bytes(SALT_BYTES);
    const how = pbkdf2Of(scramHash(mechanism), this.iterations);
    const salted = await this.passwords.keys.derive(scramText(password), salt, how);
    return scramCredential(mechanism, salted, salt, this.iterations);
  }

  #settingsOf(settings: UserSettings): Required<UserSettings> {
    const { superuser, loopbackOnly = false, enabled = true, roles = [] } = settings;
    if (roles.length > ROLES_MAX || roles.some((role) => role === '' || role.length > 255)) {
      throw new BrokerError('invalid-argument', `at most ${ROLES_MAX} roles, each with a name.`);
    }
    return { superuser, loopbackOnly, enabled, roles: [...new Set(roles)] };
  }

  #checkName(name: string): void {
    const reserved = name === '' || name === ANONYMOUS_NAME || name === '*';
    const prefixed = name.startsWith(ROLE_PREFIX) || name.startsWith('user:');
    if (reserved || prefixed || name.length > NAME_CHARS_MAX || name.includes('\0')) {
      throw new BrokerError('invalid-name', `'${name}' cannot be a user.`);
    }
  }

  #stored(name: string): StoredUser {
    const stored = this.#accounts.get(name)?.stored ?? null;
    if (stored !== null) return stored;
    throw new BrokerError('invalid-name', `there is no user '${name}'.`);
  }

  #put(name: string, user: Omit<StoredUser, 'id'>): void {
    const id = this.#accounts.get(name)?.id ?? this.#newId();
    this.#definitions.put(USER_KIND, name, { ...user, id } as unknown as Json);
  }

  #newId(): number {
    if (this.#accounts.size >= USERS_MAX) {
      throw new BrokerError('limit-reached', `at most ${USERS_MAX} users.`);
    }
    let last = FIRST_ID - 1;
    const counted = this.#definitions.get(...COUNTER);
    if (typeof counted === 'number') last = counted;
    else for (const id of this.#byId.keys()) last = Math.max(last, id);
    this.#definitions.put(...COUNTER, last + 1);
    return last + 1;
  }

  #enter(name: string, value: Json): void {
    const stored = value as unknown as StoredUser;
    let account = this.#accounts.get(name);
    if (account === undefined || account.id !== stored.id) {
      account?.end();
      account = new Account(name, stored.id, false);
      this.#accounts.set(name, account);
      this.#byId.set(stored.id, new Actor(account));
    }
    account.update(stored);
  }

  #leave(name: string): void {
    const account = this.#accounts.get(name);
    if (account === undefined) return;
    account.end();
    this.#accounts.delete(name);
    this.#byId.delete(account.id);
  }
}

function shown({ name, id, superuser, enabled, roles, stored }: Account): User {
  return {
    ...{ name, id, superuser, enabled, roles },
    loopbackOnly: stored?.loopbackOnly ?? false,
    mechanisms: Object.keys(stored?.scram ?? {}) as ScramMechanism[],
    source: stored?.source ?? 'catalogue',
  };
}
