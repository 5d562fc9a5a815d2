/**
 * All rules, ready to be asked: for each principal those that concern it, by the first word of
 * their places. A deny wins over every allow; what no rule speaks of follows `noMatch`.
 */
import { Address } from '../addresses/address.ts';
import { slashPattern } from '../addresses/pattern.ts';
import type { Actor } from './actor.ts';
import {
  CLUSTER_ADDRESS,
  NamedReach,
  PatternReach,
  type Place,
  Question,
  type Reach,
  StreamPlace,
  StreamReach,
} from './place.ts';
import {
  actionBit,
  actionMask,
  filled,
  hasPlaceholder,
  type Placeholder,
  ROLE_PREFIX,
  type Rule,
} from './rule.ts';

/** What holds where no rule speaks; `auto`: allowed to those that no allow rule names. */
export type NoMatch = 'auto' | 'allow' | 'deny';

export const GROUP_ROOT = '$group';
export const TRANSACTION_ROOT = '$transaction';
const ANONYMOUS = 'anonymous';

interface Compiled {
  readonly rule: Rule;
  readonly mask: number;
  readonly allows: boolean;
  /** Null: it has placeholders and is made for each connection. */
  readonly reach: Reach | null;
}

interface Active {
  readonly mask: number;
  readonly reach: Reach;
}

/** Rules by the first word of their places. */
class Shelf {
  readonly #byHead = new Map<string, Active[]>();
  readonly #open: Active[] = [];
  readonly #all: Active[] = [];

  add(active: Active): void {
    this.#all.push(active);
    const { head } = active.reach;
    if (head === null) {
      this.#open.push(active);
      return;
    }
    const known = this.#byHead.get(head);
    if (known === undefined) this.#byHead.set(head, [active]);
    else known.push(active);
  }

  some(bit: number, question: Question, way: 'touches' | 'covers'): boolean {
    if (question.head === null) return some(this.#all, bit, question, way);
    const known = this.#byHead.get(question.head);
    if (known !== undefined && some(known, bit, question, way)) return true;
    return some(this.#open, bit, question, way);
  }
}

function some(
  list: readonly Active[],
  bit: number,
  question: Question,
  way: 'touches' | 'covers',
): boolean {
  for (const { mask, reach } of list) {
    if ((mask & bit) !== 0 && reach[way](question)) return true;
  }
  return false;
}

/** The rules that concern one principal on one connection. */
export interface OwnRules {
  readonly denies: Shelf;
  readonly allows: Shelf;
  /** An allow rule names it, be it for another connection: then it may do what is allowed only. */
  restricted: boolean;
}

const ADMINISTER = actionBit('administer');
const CREATE = actionBit('create');

export class RuleBook {
  readonly #byPrincipal = new Map<string, Compiled[]>();
  readonly noMatch: NoMatch;
  readonly size: number;

  constructor(rules: Iterable<Rule>, noMatch: NoMatch) {
    this.noMatch = noMatch;
    let size = 0;
    for (const rule of rules) {
      size++;
      const compiled = compile(rule);
      const known = this.#byPrincipal.get(rule.principal);
      if (known === undefined) this.#byPrincipal.set(rule.principal, [compiled]);
      else known.push(compiled);
    }
    this.size = size;
  }

  /** Everything is answered without looking: there are no rules. */
  get blank(): boolean {
    return this.size === 0 && this.noMatch !== 'deny';
  }

  rulesFor(actor: Actor): OwnRules {
    const own = { denies: new Shelf(), allows: new Shelf(), restricted: false };
    this.#collect('*', actor, own);
    if (actor.anonymous) this.#collect(ANONYMOUS, actor, own);
    else this.#collect(actor.name, actor, own);
    for (const role of actor.account.roles) this.#collect(ROLE_PREFIX + role, actor, own);
    return own;
  }

  /** For principals that are no superusers. */
  allows(own: OwnRules, bit: number, place: Place): boolean {
    if (!this.#allows(own, bit, place)) return false;
    if (!(place instanceof StreamPlace)) return true;
    return place.routed.every((pattern) => this.#allows(own, bit, pattern));
  }

  #allows(own: OwnRules, bit: number, place: Place): boolean {
    const question = new Question(place);
    if (bit === ADMINISTER && question.head !== CLUSTER_ADDRESS) return false;
    if (own.denies.some(bit, question, 'touches')) return false;
    if (own.allows.some(bit, question, 'covers')) return true;
    if (question.head === CLUSTER_ADDRESS) return false;
    return this.noMatch === 'allow' || (this.noMatch === 'auto' && !own.restricted);
  }

  #collect(name: string, actor: Actor, own: OwnRules): void {
    for (const compiled of this.#byPrincipal.get(name) ?? []) {
      const { rule, mask, allows } = compiled;
      if (allows) own.restricted = true;
      const { peerHost } = actor.facts;
      if (rule.host !== undefined && rule.host !== peerHost) {
        // Where it comes from is not known any more (a will after a start): a deny holds.
        if (allows || peerHost !== undefined) continue;
      }
      const shelf = allows ? own.allows : own.denies;
      const reach = compiled.reach ?? reachFor(actor, rule);
      if (reach === null) continue;
      shelf.add({ mask, reach });
      // Who may create anything on the cluster may create every stream.
      if (allows && rule.kind === 'cluster' && (mask & CREATE) !== 0) {
        shelf.add({ mask: CREATE, reach: new StreamReach('*', true) });
      }
    }
  }
}

/** The answer where there are no rules at all. */
export function blankAllows(bit: number, what: Place | string): boolean {
  if (bit === ADMINISTER) return false;
  const text = typeof what === 'string' ? what : what instanceof Address ? what.text : '';
  return text !== CLUSTER_ADDRESS;
}

function compile(rule: Rule): Compiled {
  const own = rule.kind === undefined && hasPlaceholder(rule.pattern);
  const reach = own ? null : reachOf(rule);
  return { rule, mask: actionMask(rule), allows: rule.effect === 'allow', reach };
}

function reachOf({ kind, pattern, match }: Rule): Reach {
  const prefix = match === 'prefix';
  switch (kind) {
    case 'stream':
      return new StreamReach(pattern, prefix);
    case 'group':
      return new NamedReach(GROUP_ROOT, pattern, prefix);
    case 'transaction':
      return new NamedReach(TRANSACTION_ROOT, pattern, prefix);
    case 'cluster':
      return new PatternReach(slashPattern(CLUSTER_ADDRESS)!);
    default:
      return new PatternReach(slashPattern(pattern)!);
  }
}

/** A rule with placeholders, for this connection; null when it is not for it. */
function reachFor(actor: Actor, rule: Rule): Reach | null {
  const { facts, name, anonymous } = actor;
  const values: Readonly<Record<Placeholder, string | undefined>> = {
    clientid: facts.clientId,
    username: anonymous ? undefined : name,
    peerhost: facts.peerHost,
    cert_common_name: facts.commonName,
  };
  const unknown = rule.effect === 'deny' ? '+' : null;
  const text = filled(rule.pattern, (placeholder) => values[placeholder] ?? null, unknown);
  const pattern = text === null ? null : slashPattern(text);
  return pattern === null ? null : new PatternReach(pattern);
}
