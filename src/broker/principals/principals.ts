/**
 * Users and what they may do: the one answer for all protocols. Users live in `user-store`, rules
 * in `rule-book`; this is what protocols and the admin API ask.
 */
import { createHmac } from 'node:crypto';
import {
  BrokerError,
  type Clock,
  type Counter,
  expectBrokerError,
  type Metrics,
  type Random,
} from '#kit';
import { Address, flatAddress } from '../addresses/address.ts';
import type { Pattern } from '../addresses/pattern.ts';
import type { Definitions, Json } from '../state/definitions.ts';
import { Account } from './account.ts';
import { Actor } from './actor.ts';
import type { DeriveKey } from './derive-key.ts';
import { LoginFailures } from './login-failures.ts';
import { StreamPlace } from './place.ts';
import { NO_FACTS, type PeerFacts, type Principal, SERVER_PRINCIPAL } from './principal.ts';
import { type Action, actionBit, checkedRule, type Rule } from './rule.ts';
import { blankAllows, type NoMatch, RuleBook } from './rule-book.ts';
import { type ScramCredential, ScramDialogue, type ScramMechanism } from './scram.ts';
import type { TokenCheck } from './token-check.ts';
import { type User, type UserSettings, UserStore } from './user-store.ts';

const RULE_KIND = 'rule';
const RULES_MAX = 100_000;
const ANONYMOUS_NAME = 'anonymous';
const NONCE_BYTES = 18;
const DOLLAR = 0x24;

export interface Credentials {
  readonly user: string;
  readonly password: string;
  readonly loopback: boolean;
  readonly facts?: PeerFacts;
}

/** Where a client comes from. */
export interface Origination {
  readonly loopback: boolean;
  /** Who may come without credentials there; absent: those of this machine. */
  readonly anonymous?: 'loopback' | 'everyone' | 'nobody';
  readonly facts?: PeerFacts;
}

export interface AuthSettings {
  readonly noMatch: NoMatch;
  /** Failed log-ins of one address in one window, after which it is not heard; 0 = no limit. */
  readonly failuresMax: number;
  readonly failuresWindowMs: number;
}

export interface PrincipalsGiven {
  readonly definitions: Definitions;
  readonly random: Random;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly deriveKey: DeriveKey | undefined;
}

/** A rule with where it is kept: in the catalogue, or in a file by its name. */
export interface SourcedRule extends Rule {
  readonly source: string;
}

/** One log-in by SCRAM; `final` makes it a principal. */
export interface ScramLogin {
  readonly begun: boolean;
  first(message: Buffer): Buffer;
  final(message: Buffer): { readonly answer: Buffer; readonly principal: Principal };
}

export class Principals {
  readonly store: UserStore;
  /** What proves tokens; null where they are not accepted. */
  tokens: TokenCheck | null = null;
  /** Grows whenever an answer of `authorize` may have changed. */
  version = 0;
  readonly #given: PrincipalsGiven;
  readonly #anonymous: Actor;
  readonly #failures: LoginFailures;
  #fileRules: ReadonlyMap<string, readonly Rule[]> = new Map();
  readonly #listeners = new Set<() => void>();
  /** Secret of this life: what a SCRAM client is told of a user that is not there. */
  readonly #secret: Buffer;
  #settings: AuthSettings = {
    noMatch: 'auto',
    failuresMax: 0,
    failuresWindowMs: 60_000,
  };
  #book: RuleBook | null = null;
  readonly #ownWords = new Set<string>();
  /** By protocol. */
  readonly #denials = new Map<string, Counter>();

  constructor(given: PrincipalsGiven) {
    const { definitions, random, clock } = given;
    this.#given = given;
    this.#secret = random.bytes(32);
    this.#anonymous = new Actor(new Account(ANONYMOUS_NAME, 1, true));
    this.#failures = new LoginFailures(clock);
    this.store = new UserStore(definitions, random, given.deriveKey, () => this.#changed());
    definitions.watch(RULE_KIND, () => {
      this.#book = null;
      this.#changed();
    });
  }

  /** What the operator chose; before the first client, and again when a file of it was read. */
  configure(settings: Partial<AuthSettings>): void {
    this.#settings = { ...this.#settings, ...settings };
    this.#failures.max = this.#settings.failuresMax;
    this.#failures.windowMs = this.#settings.failuresWindowMs;
    this.#book = null;
    this.#changed();
  }

  /**
   * Calls whenever users or rules have changed: connections of users that are gone are closed then,
   * and subscriptions without a right end. @returns a function that ends it
   */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  // ---- who ----------------------------------------------------------------------------------

  users(): User[] {
    return this.store.list();
  }

  /** Makes a user or changes one. @throws BrokerError `invalid-name`, `invalid-argument` */
  setUser(name: string, password: string, settings: UserSettings): Promise<void> {
    return this.store.set(name, password, settings);
  }

  removeUser(name: string): void {
    this.store.remove(name);
  }

  /** True when somebody other than the first, loopback-only user can log in. */
  get configured(): boolean {
    return this.users().some((user) => !user.loopbackOnly && user.enabled);
  }

  /** @throws BrokerError `bad-credentials`, or `not-authorized` when not allowed from there */
  async authenticate(credentials: Credentials): Promise<Principal> {
    const { user, password, loopback, facts = NO_FACTS } = credentials;
    const address = addressOf(credentials);
    const { passwords } = this.store;
    const account = this.store.account(user);
    try {
      // A password that is known to be right is no guess: others behind the address stay heard.
      if (this.#failures.blocked(address) && !passwords.known(user, password)) {
        throw new BrokerError('bad-credentials', 'too many failed log-ins from this address.');
      }
      const fits = await passwords.fits(user, password, account);
      if (!fits || account === undefined || !account.enabled) {
        this.#failures.failed(address);
        throw new BrokerError('bad-credentials');
      }
      return this.#loggedIn(account, loopback, facts);
    } catch (error) {
      this.#outcome(facts, 'failure').add();
      throw error;
    }
  }

  /** The server's side of a SCRAM log-in. */
  scram(mechanism: ScramMechanism, origination: Origination): ScramLogin {
    const { loopback, facts = NO_FACTS } = origination;
    const address = addressOf(origination);
    const nonce = this.#given.random.bytes(NONCE_BYTES).toString('base64');
    const dialogue = new ScramDialogue({
      ...{ mechanism, nonce },
      credentialOf: (user) => this.#credentialOf(user, mechanism),
    });
    const guarded = <T>(step: () => T): T => {
      try {
        return step();
      } catch (error) {
        this.#failures.failed(address);
        this.#outcome(facts, 'failure').add();
        throw error;
      }
    };
    return {
      get begun() {
        return dialogue.begun;
      },
      first: (message) => {
        if (!this.#failures.blocked(address)) {
          return guarded(() => dialogue.first(message));
        }
        this.#outcome(facts, 'failure').add();
        throw new BrokerError('bad-credentials', 'too many failed log-ins from this address.');
      },
      final: (message) =>
        guarded(() => {
          const answer = dialogue.final(message);
          const account = this.store.account(dialogue.user);
          if (account === undefined || !account.enabled) throw new BrokerError('bad-credentials');
          return { answer, principal: this.#loggedIn(account, loopback, facts) };
        }),
    };
  }

  /** Whoever comes without credentials. @throws BrokerError `not-authorized` where not allowed */
  anonymous({ loopback, anonymous = 'loopback', facts }: Origination): Principal {
    if (anonymous === 'everyone' || (anonymous === 'loopback' && loopback)) {
      return facts === undefined ? this.#anonymous : new Actor(this.#anonymous.account, facts);
    }
    throw new BrokerError('not-authorized', 'credentials are needed on this listener.');
  }

  /** A user that was proved in another way, such as by its certificate. @throws BrokerError */
  proved(user: string, { loopback, facts = NO_FACTS }: Origination): Principal {
    const account = this.store.account(user);
    if (account === undefined || !account.enabled) throw new BrokerError('bad-credentials');
    return this.#loggedIn(account, loopback, facts);
  }

  /**
   * The user of a token, and how long it lasts in ms.
   * @throws BrokerError `bad-credentials`, also when no user has the name, or `not-authorized`
   */
  async byToken(
    token: string,
    origination: Origination,
  ): Promise<{ readonly principal: Principal; readonly lifetimeMs: number }> {
    const { facts = NO_FACTS } = origination;
    try {
      if (this.tokens === null) throw new BrokerError('bad-credentials');
      const { user, endsAtMs } = await this.tokens.check(token);
      const lifetimeMs = endsAtMs - this.#given.clock.nowMs();
      // Within the skew of the clocks it may have ended.
      return { principal: this.proved(user, origination), lifetimeMs: Math.max(1, lifetimeMs) };
    } catch (error) {
      // Nobody finds a token by guessing, so those behind the same address stay heard.
      this.#outcome(facts, 'failure').add();
      throw error;
    }
  }

  /** False when the user was removed or disabled since: its connections are to be closed. */
  stands(principal: Principal): boolean {
    if (principal instanceof Actor) return principal.account.enabled;
    return principal.id === SERVER_PRINCIPAL.id || this.today(principal) !== null;
  }

  byId(id: number): Principal {
    if (id === SERVER_PRINCIPAL.id) return SERVER_PRINCIPAL;
    return this.store.byId(id) ?? this.#anonymous;
  }

  /** Who the principal of then is today; null when that user is gone, or another has the name. */
  today({ id, name }: Principal, facts?: PeerFacts): Principal | null {
    if (id === SERVER_PRINCIPAL.id) return SERVER_PRINCIPAL;
    if (id === this.#anonymous.id) {
      return facts === undefined ? this.#anonymous : new Actor(this.#anonymous.account, facts);
    }
    const account = this.store.account(name);
    if (account?.id !== id || !account.enabled) return null;
    return facts === undefined ? this.store.byId(id)! : new Actor(account, facts);
  }

  // ---- what ---------------------------------------------------------------------------------

  /** All rules, those of files included. */
  rules(): SourcedRule[] {
    const stored = this.#stored().map((rule) => ({ ...rule, source: 'catalogue' }));
    const files = [...this.#fileRules].flatMap(([source, rules]) =>
      rules.map((rule) => ({ ...rule, source })),
    );
    return [...stored, ...files];
  }

  /** Adds or replaces a rule. @throws BrokerError `invalid-argument`, `limit-reached` */
  putRule(rule: Rule): void {
    const checked = checkedRule(rule);
    if (this.#given.definitions.get(RULE_KIND, rule.id) === undefined) {
      if (this.#ready().size >= RULES_MAX) {
        throw new BrokerError('limit-reached', `at most ${RULES_MAX} rules.`);
      }
    }
    this.#given.definitions.put(RULE_KIND, rule.id, checked as unknown as Json);
  }

  removeRule(id: string): void {
    this.#given.definitions.remove(RULE_KIND, id);
  }

  /**
   * The rules of all files by their source, instead of those that there were.
   * @throws BrokerError `invalid-argument` that names the rule; nothing is changed then
   */
  setFileRules(files: ReadonlyMap<string, readonly Rule[]>): void {
    const checked = new Map<string, readonly Rule[]>();
    for (const [source, rules] of files) checked.set(source, rules.map(checkedFileRule));
    this.#fileRules = checked;
    this.#book = null;
    this.#changed();
  }

  /**
   * May the principal do this here? `what` is an address, a pattern to subscribe to, a stream with
   * all that it holds, or a flat name. A deny wins over every allow, whichever spelling they were
   * written in. What no rule speaks of follows the setting `noMatch`; rights on the cluster are
   * superusers' unless a rule gives them.
   */
  authorize(
    principal: Principal,
    action: Action,
    what: Address | Pattern | StreamPlace | string,
  ): boolean {
    const actor = principal instanceof Actor ? principal : this.#actorOf(principal);
    if (actor === null) return principal === SERVER_PRINCIPAL;
    const { account } = actor;
    const allowed =
      account.enabled &&
      !(action === 'publish' && this.#isOwn(what)) &&
      (account.superuser || this.#allowed(actor, action, what));
    if (!allowed) this.#denied(actor.facts);
    return allowed;
  }

  /**
   * Names whose first word only the server publishes under, in every protocol and whoever asks.
   * @param words such as `$SYS`; they begin with `$`
   */
  keepForServer(words: readonly string[]): void {
    for (const word of words) this.#ownWords.add(word);
  }

  #isOwn(what: Address | Pattern | StreamPlace | string): boolean {
    const text = typeof what === 'string' ? what : what instanceof Address ? what.text : '';
    // Asked for each message: mostly the first letter decides.
    if (text.charCodeAt(0) !== DOLLAR) return false;
    return this.#ownWords.has(/^[^/.]*/.exec(text)![0]);
  }

  #allowed(actor: Actor, action: Action, what: Address | Pattern | StreamPlace | string): boolean {
    if (actor.version !== this.version) actor.forget(this.version);
    const bit = actionBit(action);
    if (this.#ready().blank) return blankAllows(bit, what);
    if (actor.last === what && actor.lastGrant !== null && (actor.lastGrant.known & bit) !== 0) {
      return (actor.lastGrant.allowed & bit) !== 0;
    }
    const place = typeof what === 'string' ? flatAddress(what) : what;
    const grant = actor.grantOf(keyOf(place));
    actor.last = what;
    actor.lastGrant = grant;
    if ((grant.known & bit) === 0) {
      const book = this.#ready();
      actor.rules ??= book.rulesFor(actor);
      grant.known |= bit;
      if (book.allows(actor.rules, bit, place)) grant.allowed |= bit;
    }
    return (grant.allowed & bit) !== 0;
  }

  /** Who is stored with a message or a session, as it is today. */
  #actorOf(principal: Principal): Actor | null {
    if (principal.id === SERVER_PRINCIPAL.id) return null;
    const today = this.today(principal);
    return today instanceof Actor ? today : NOBODY;
  }

  #loggedIn(account: Account, loopback: boolean, facts: PeerFacts): Principal {
    if (account.stored?.loopbackOnly === true && !loopback) {
      throw new BrokerError('not-authorized', `'${account.name}' may come from this machine only.`);
    }
    this.#outcome(facts, 'success').add();
    return new Actor(account, facts);
  }

  #credentialOf(user: string, mechanism: ScramMechanism): ScramCredential {
    const known = this.store.account(user)?.stored?.scram?.[mechanism];
    if (known !== undefined) return known;
    const text = (what: string): string =>
      createHmac('sha512', this.#secret).update(`${what}\0${mechanism}\0${user}`).digest('base64');
    const salt = Buffer.from(text('salt'), 'base64').subarray(0, this.store.scramSaltBytes);
    const { iterations } = this.store;
    // No client can make a key whose hash is this one.
    const bytes = mechanism === 'SCRAM-SHA-256' ? 32 : 64;
    const storedKey = Buffer.from(text('stored'), 'base64').subarray(0, bytes).toString('base64');
    return { salt: salt.toString('base64'), iterations, storedKey, serverKey: storedKey };
  }

  #stored(): Rule[] {
    return [...this.#given.definitions.list(RULE_KIND)].map(
      ([, value]) => value as unknown as Rule,
    );
  }

  #ready(): RuleBook {
    this.#book ??= new RuleBook(
      [...this.#stored(), ...[...this.#fileRules.values()].flat()],
      this.#settings.noMatch,
    );
    return this.#book;
  }

  #changed(): void {
    this.version++;
    for (const listener of [...this.#listeners]) listener();
  }

  #outcome({ protocol = 'other' }: PeerFacts, outcome: 'success' | 'failure'): Counter {
    return this.#given.metrics.counter(
      'robustmq_authentications_total',
      'Log-ins with credentials, by protocol and outcome.',
      { protocol, outcome },
    );
  }

  #denied({ protocol = 'other' }: PeerFacts): void {
    let counter = this.#denials.get(protocol);
    if (counter === undefined) {
      counter = this.#given.metrics.counter(
        'robustmq_authorization_denials_total',
        'Actions that were refused for want of a right, by protocol.',
        { protocol },
      );
      this.#denials.set(protocol, counter);
    }
    counter.add();
  }
}

function checkedFileRule(rule: Rule): Rule {
  try {
    return checkedRule(rule);
  } catch (error) {
    const { message } = expectBrokerError(error);
    throw new BrokerError('invalid-argument', `the rule '${rule.id}': ${message}`);
  }
}

/** Whose failures count together; '' for nobody: guesses on this machine are not counted. */
function addressOf({ loopback, facts }: Origination): string {
  return loopback ? '' : (facts?.peerHost ?? '');
}

/** Stands for a user that is gone: it may do nothing. */
const NOBODY = ((): Actor => {
  const account = new Account('', -1, false);
  account.end();
  return new Actor(account);
})();

/** One text per place; kinds of places do not mix. */
function keyOf(place: Address | Pattern | StreamPlace): string {
  if (place instanceof Address) return place.dotted ? `.${place.text}` : `/${place.text}`;
  if (place instanceof StreamPlace) return `s${place.key}`;
  return `${place.form === 'dot' ? 'd' : 'l'}${place.hidesReserved ? '1' : '0'}${place.text}`;
}
