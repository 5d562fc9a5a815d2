/**
 * A principal on one connection: its account, what the connection knows of it, and the answers that
 * it got to questions about its rights.
 */
import type { Account } from './account.ts';
import { NO_FACTS, type PeerFacts, type Principal } from './principal.ts';
import type { OwnRules } from './rule-book.ts';

/** A connection uses few places over and over; a publisher to many names asks each time. */
const GRANTS_MAX = 64;

/** Answers for one place: a bit per action, in the order of `ACTIONS`. */
export interface Grant {
  known: number;
  allowed: number;
}

export class Actor implements Principal {
  readonly account: Account;
  readonly facts: PeerFacts;
  /** The rules that concern it, when they were looked up. */
  rules: OwnRules | null = null;
  /** Version of the rules that `rules` and the answers belong to. */
  version = -1;
  /** The last place that was asked about. */
  last: unknown = null;
  lastGrant: Grant | null = null;
  #grants: Map<string, Grant> | null = null;

  constructor(account: Account, facts: PeerFacts = NO_FACTS) {
    this.account = account;
    this.facts = facts;
  }

  get name(): string {
    return this.account.name;
  }

  get id(): number {
    return this.account.id;
  }

  get anonymous(): boolean {
    return this.account.anonymous;
  }

  get superuser(): boolean {
    return this.account.superuser;
  }

  forget(version: number): void {
    this.version = version;
    this.rules = null;
    this.last = null;
    this.lastGrant = null;
    this.#grants = null;
  }

  grantOf(key: string): Grant {
    this.#grants ??= new Map();
    let grant = this.#grants.get(key);
    if (grant === undefined) {
      if (this.#grants.size >= GRANTS_MAX) this.#grants.clear();
      grant = { known: 0, allowed: 0 };
      this.#grants.set(key, grant);
    }
    return grant;
  }
}
