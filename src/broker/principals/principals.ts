/**
 * Users and what they may do: the one answer for all protocols. Passwords are kept as scrypt
 * hashes. Rules allow or deny actions on addresses; a deny always wins, on whichever spelling it
 * was written.
 */
import { createHash, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { BrokerError, type Random } from '#kit';
import { type Address, flatAddress } from '../addresses/address.ts';
import { matches, overlaps, Pattern, slashPattern } from '../addresses/pattern.ts';
import type { Definitions, Json } from '../state/definitions.ts';
import { type Principal, SERVER_PRINCIPAL } from './principal.ts';

export const ACTIONS = [
  'publish',
  'subscribe',
  'create',
  'remove',
  'describe',
  'administer',
] as const;
export type Action = (typeof ACTIONS)[number];

const USER_KIND = 'user';
const RULE_KIND = 'rule';
const SCRYPT_BYTES = 32;
const SALT_BYTES = 16;
/** scrypt cost 2^14, block 8: about 30 ms, in the thread pool. */
const SCRYPT_OPTIONS = { N: 16_384, r: 8, p: 1 } as const;
const FIRST_USER = 'admin';
const FIRST_PASSWORD = 'robustmq';
const ANONYMOUS_NAME = 'anonymous';

export interface User {
  readonly name: string;
  readonly id: number;
  readonly superuser: boolean;
  /** May come from this machine only. */
  readonly loopbackOnly: boolean;
}

interface StoredUser extends Omit<User, 'name'> {
  readonly salt: string;
  readonly hash: string;
}

export interface Rule {
  readonly id: string;
  readonly effect: 'allow' | 'deny';
  /** A user's name, `anonymous`, or `*` for everybody. */
  readonly principal: string;
  readonly actions: readonly Action[];
  /** Canonical pattern, slash form. */
  readonly pattern: string;
}

interface ActiveRule extends Rule {
  readonly compiled: Pattern;
}

/** Makes the key that is kept of a password. A simulation gives a quick one of its own. */
export type DeriveKey = (password: string, salt: Buffer) => Promise<Buffer>;

const deriveByScrypt: DeriveKey = promisify(
  (password: string, salt: Buffer, done: (error: Error | null, key: Buffer) => void) =>
    scrypt(password.normalize('NFC'), salt, SCRYPT_BYTES, SCRYPT_OPTIONS, done),
);

export interface Credentials {
  readonly user: string;
  readonly password: string;
  readonly loopback: boolean;
}

export class Principals {
  readonly #definitions: Definitions;
  readonly #users = new Map<string, Principal & { stored: StoredUser }>();
  readonly #byId = new Map<number, Principal>([[0, SERVER_PRINCIPAL]]);
  readonly #anonymous: Principal = {
    name: ANONYMOUS_NAME,
    id: 1,
    anonymous: true,
    superuser: false,
  };
  #rules: ActiveRule[] = [];
  /** Digests of passwords that were right once, so that a reconnect does not cost a scrypt. */
  readonly #verified = new Map<string, Buffer>();
  readonly #verifiedKey: Buffer;
  readonly #random: Random;
  readonly #deriveKey: DeriveKey;

  constructor(definitions: Definitions, random: Random, deriveKey: DeriveKey = deriveByScrypt) {
    this.#definitions = definitions;
    this.#random = random;
    this.#deriveKey = deriveKey;
    this.#verifiedKey = random.bytes(32);
    this.#byId.set(1, this.#anonymous);
    for (const [name, value] of definitions.list(USER_KIND)) this.#enter(name, value);
    definitions.watch(USER_KIND, (name, value) => {
      this.#verified.delete(name);
      if (value === undefined) this.#users.delete(name);
      else this.#enter(name, value);
    });
    this.#compileRules();
    definitions.watch(RULE_KIND, () => this.#compileRules());
  }

  /** Makes the first user when there is none. */
  async ensureFirstUser(): Promise<void> {
    if (this.#users.size > 0) return;
    await this.setUser(FIRST_USER, FIRST_PASSWORD, { superuser: true, loopbackOnly: true });
  }

  users(): User[] {
    return [...this.#users.values()].map(({ name, id, superuser, stored }) => ({
      name,
      id,
      superuser,
      loopbackOnly: stored.loopbackOnly,
    }));
  }

  /** True when somebody other than the first, loopback-only user can log in. */
  get configured(): boolean {
    return this.users().some((user) => !user.loopbackOnly);
  }

  /** Makes a user or changes one. @throws BrokerError `invalid-name`, `invalid-argument` */
  async setUser(
    name: string,
    password: string,
    settings: { superuser: boolean; loopbackOnly: boolean },
  ): Promise<void> {
    if (name === '' || name === ANONYMOUS_NAME || name === '*' || name.length > 255) {
      throw new BrokerError('invalid-name', `'${name}' cannot be a user.`);
    }
    if (password === '') throw new BrokerError('invalid-argument', 'the password is empty.');
    const salt = this.#random.bytes(SALT_BYTES);
    const hash = await this.#deriveKey(password, salt);
    const id = this.#users.get(name)?.id ?? Math.max(1, ...this.#byId.keys()) + 1;
    const stored = {
      id,
      ...settings,
      salt: salt.toString('base64'),
      hash: hash.toString('base64'),
    };
    this.#definitions.put(USER_KIND, name, stored);
  }

  removeUser(name: string): void {
    this.#definitions.remove(USER_KIND, name);
  }

  /** @throws BrokerError `bad-credentials`, or `not-authorized` when not allowed from there */
  async authenticate({ user, password, loopback }: Credentials): Promise<Principal> {
    const known = this.#users.get(user);
    if (known === undefined) {
      // As slow as a known user, so that names cannot be probed.
      await this.#deriveKey(password, this.#verifiedKey);
      throw new BrokerError('bad-credentials');
    }
    if (!(await this.#passwordFits(user, password, known.stored))) {
      throw new BrokerError('bad-credentials');
    }
    if (known.stored.loopbackOnly && !loopback) {
      throw new BrokerError('not-authorized', `'${user}' may come from this machine only.`);
    }
    return known;
  }

  /** Whoever comes without credentials. @throws BrokerError `not-authorized` off loopback */
  anonymous({ loopback }: { readonly loopback: boolean }): Principal {
    if (loopback) return this.#anonymous;
    throw new BrokerError('not-authorized', 'credentials are needed on this listener.');
  }

  byId(id: number): Principal {
    return this.#byId.get(id) ?? this.#anonymous;
  }

  /** Who the principal of then is today; null when that user is gone, or another has the name. */
  today({ id, name }: Principal): Principal | null {
    if (id === SERVER_PRINCIPAL.id || id === this.#anonymous.id) return this.byId(id);
    const known = this.#users.get(name);
    return known?.id === id ? known : null;
  }

  rules(): Rule[] {
    return this.#rules.map(({ compiled: _, ...rule }) => rule);
  }

  /** @throws BrokerError `invalid-argument` */
  putRule(rule: Rule): void {
    if (slashPattern(rule.pattern) === null) {
      throw new BrokerError('invalid-argument', `'${rule.pattern}' is not a pattern.`);
    }
    const unknown = rule.actions.find((action) => !ACTIONS.includes(action));
    if (unknown !== undefined || rule.actions.length === 0) {
      throw new BrokerError('invalid-argument', `actions: ${ACTIONS.join(', ')}.`);
    }
    this.#definitions.put(RULE_KIND, rule.id, rule as unknown as Json);
  }

  removeRule(id: string): void {
    this.#definitions.remove(RULE_KIND, id);
  }

  /**
   * May the principal do this here? `what` is an address, a pattern to subscribe to, or a flat
   * name. Without rules everybody who got in may use data, and only superusers administer. As soon
   * as an allow rule names a principal, it may do only what is allowed. A deny wins.
   */
  authorize(principal: Principal, action: Action, what: Address | Pattern | string): boolean {
    if (principal.superuser) return true;
    if (action === 'administer') return false;
    if (this.#rules.length === 0) return true;
    let restricted = false;
    let allowed = false;
    for (const rule of this.#rules) {
      if (rule.principal !== '*' && rule.principal !== principal.name) continue;
      if (rule.effect === 'allow') {
        restricted = true;
        if (!allowed && rule.actions.includes(action)) allowed = covers(rule.compiled, what);
      } else if (rule.actions.includes(action) && touches(rule.compiled, what)) return false;
    }
    return !restricted || allowed;
  }

  async #passwordFits(user: string, password: string, stored: StoredUser): Promise<boolean> {
    const digest = createHash('sha256').update(this.#verifiedKey).update(password).digest();
    const verified = this.#verified.get(user);
    if (verified !== undefined && timingSafeEqual(verified, digest)) return true;
    const hash = await this.#deriveKey(password, Buffer.from(stored.salt, 'base64'));
    if (!timingSafeEqual(hash, Buffer.from(stored.hash, 'base64'))) return false;
    this.#verified.set(user, digest);
    return true;
  }

  #enter(name: string, value: Json): void {
    const stored = value as unknown as StoredUser;
    const principal = {
      name,
      id: stored.id,
      anonymous: false,
      superuser: stored.superuser,
      stored,
    };
    this.#users.set(name, principal);
    this.#byId.set(stored.id, principal);
  }

  #compileRules(): void {
    this.#rules = [...this.#definitions.list(RULE_KIND)].map(([, value]) => {
      const rule = value as unknown as Rule;
      const compiled = slashPattern(rule.pattern)!;
      // Unlike a subscription, a rule about everything is also about `$…`.
      return { ...rule, compiled: new Pattern('slash', rule.pattern, compiled.parts, false) };
    });
  }
}

/** The forms under which an address is one place: by its levels, and by the dots of a flat name. */
function formsOf(what: Address | string): readonly (readonly string[])[] {
  const address = typeof what === 'string' ? flatAddress(what) : what;
  const levels = address.text.split('/');
  if (address.flat) {
    const words = address.text.split('.');
    return words.length > 1 ? [levels, words] : [levels];
  }
  return address.dotted ? [levels, [levels.join('.')]] : [levels];
}

/** Does a deny rule reach any of it? */
function touches(rule: Pattern, what: Address | Pattern | string): boolean {
  if (what instanceof Pattern) return overlaps(rule, what);
  return formsOf(what).some((words) => matches(rule, words));
}

/** Does an allow rule hold for all of it? */
function covers(rule: Pattern, what: Address | Pattern | string): boolean {
  if (what instanceof Pattern) return coversPattern(rule, what);
  return formsOf(what).some((words) => matches(rule, words));
}

/**
 * A pattern is covered when the rule matches it with its wildcards taken as words it cannot name.
 */
function coversPattern(rule: Pattern, pattern: Pattern): boolean {
  const words: string[] = [];
  for (const part of pattern.parts) {
    if (typeof part === 'string') words.push(part);
    else if (part.description === 'one') words.push('\0one');
    else {
      // "Any number of" is covered only by a rule that is open at the same place or before.
      return matchesOpenEnd(rule, words);
    }
  }
  return matches(rule, words);
}

function matchesOpenEnd(rule: Pattern, words: readonly string[]): boolean {
  const last = rule.parts[rule.parts.length - 1];
  if (typeof last !== 'symbol' || last.description !== 'any') return false;
  return matches(rule, words) || matches(rule, [...words, '\0any']);
}
