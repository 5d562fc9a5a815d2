/** A rule as people write it: who may or may not do what, where. `rule-book.ts` puts it to use. */
import { BrokerError } from '#kit';
import { slashPattern } from '../addresses/pattern.ts';

export const ACTIONS = [
  'publish',
  'subscribe',
  'create',
  'remove',
  'describe',
  'alter',
  'describe-settings',
  'alter-settings',
  'administer',
] as const;
export type Action = (typeof ACTIONS)[number];

/** What rules may name besides: several actions at once. */
const ACTION_GROUPS = {
  all: ACTIONS,
  manage: ['create', 'remove', 'alter', 'alter-settings', 'describe-settings'],
} as const satisfies Record<string, readonly Action[]>;
export type ActionName = Action | keyof typeof ACTION_GROUPS;

/** Who may do the first may do the second. Holds for what is allowed, not for what is denied. */
const IMPLIED: readonly (readonly [Action, Action])[] = [
  ['publish', 'describe'],
  ['subscribe', 'describe'],
  ['remove', 'describe'],
  ['alter', 'describe'],
  ['alter-settings', 'describe-settings'],
];

/**
 * What a rule is about. `address`: a pattern of canonical addresses, slash form, with placeholders.
 * `stream`: everything that a stream of this name may hold. The others are named things.
 */
export const RULE_KINDS = ['address', 'stream', 'group', 'transaction', 'cluster'] as const;
export type RuleKind = (typeof RULE_KINDS)[number];

export interface Rule {
  readonly id: string;
  readonly effect: 'allow' | 'deny';
  /** A user's name, `role:NAME`, `anonymous`, or `*` for everybody. */
  readonly principal: string;
  readonly actions: readonly ActionName[];
  /** Absent: `address`. */
  readonly kind?: RuleKind;
  /** Of addresses a pattern, of the other kinds a name, a prefix, or `*`. */
  readonly pattern: string;
  /** Of the kinds that are names; absent: `literal`. */
  readonly match?: 'literal' | 'prefix';
  /** Only for clients from this address. */
  readonly host?: string;
}

export const ROLE_PREFIX = 'role:';
const USER_PREFIX = 'user:';
const NAME_CHARS_MAX = 255;
const PATTERN_CHARS_MAX = 65_535;
const PLACEHOLDER = /\$\{([^}]*)\}/g;
const PLACEHOLDERS = ['clientid', 'username', 'peerhost', 'cert_common_name'] as const;
export type Placeholder = (typeof PLACEHOLDERS)[number];

/** The bit of an action in masks. */
export function actionBit(action: Action): number {
  return BITS[action];
}

const BITS = Object.fromEntries(ACTIONS.map((action, index) => [action, 1 << index])) as Readonly<
  Record<Action, number>
>;

/** The actions of a rule as a mask, with what an allowed action brings along. */
export function actionMask(rule: Rule): number {
  let mask = 0;
  for (const name of rule.actions) {
    if (name in ACTION_GROUPS) {
      for (const action of ACTION_GROUPS[name as keyof typeof ACTION_GROUPS]) mask |= BITS[action];
    } else mask |= BITS[name as Action];
  }
  if (rule.effect === 'deny') return mask;
  for (const [action, implied] of IMPLIED) if (mask & BITS[action]) mask |= BITS[implied];
  return mask;
}

/** The rule in its one form. @throws BrokerError `invalid-argument` */
export function checkedRule(rule: Rule): Rule {
  const { id, effect, pattern, kind = 'address', match = 'literal', host } = rule;
  if (id === '' || id.length > NAME_CHARS_MAX) throw wrong('a rule has a name.');
  if (effect !== 'allow' && effect !== 'deny') throw wrong('effect: allow or deny.');
  const known = [...ACTIONS, ...Object.keys(ACTION_GROUPS)];
  const unknown = rule.actions.find((action) => !known.includes(action));
  if (unknown !== undefined || rule.actions.length === 0) {
    throw wrong(`actions: ${known.join(', ')}.`);
  }
  if (!RULE_KINDS.includes(kind)) throw wrong(`kind: ${RULE_KINDS.join(', ')}.`);
  if (match !== 'literal' && match !== 'prefix') throw wrong('match: literal or prefix.');
  checkPattern(pattern, kind, match);
  const principal = rule.principal.startsWith(USER_PREFIX)
    ? rule.principal.slice(USER_PREFIX.length)
    : rule.principal;
  if (principal === '' || principal === ROLE_PREFIX || principal.length > NAME_CHARS_MAX) {
    throw wrong('principal: a user, role:NAME, anonymous, or * for everybody.');
  }
  return {
    ...{ id, effect, principal, actions: [...rule.actions], pattern },
    ...(kind === 'address' ? {} : { kind, match }),
    ...(host === undefined || host === '*' || host === '' ? {} : { host }),
  };
}

function checkPattern(pattern: string, kind: RuleKind, match: 'literal' | 'prefix'): void {
  if (pattern === '' || pattern.length > PATTERN_CHARS_MAX) throw wrong('a rule has a pattern.');
  if (kind !== 'address') return;
  if (match === 'prefix') throw wrong('a prefix is for streams, groups and transactions.');
  for (const [, name] of pattern.matchAll(PLACEHOLDER)) {
    if (!(PLACEHOLDERS as readonly string[]).includes(name!)) {
      throw wrong(`placeholders: ${PLACEHOLDERS.map((one) => `\${${one}}`).join(', ')}.`);
    }
  }
  if (slashPattern(pattern) === null) throw wrong(`'${pattern}' is not a pattern.`);
}

function wrong(detail: string): BrokerError {
  return new BrokerError('invalid-argument', detail);
}

export function hasPlaceholder(pattern: string): boolean {
  return pattern.includes('${');
}

/**
 * The pattern for one connection.
 * @param lookUp null when the connection has no such value
 * @param unknown what a level becomes whose value is missing; null: the rule is not for it
 */
export function filled(
  pattern: string,
  lookUp: (name: Placeholder) => string | null,
  unknown: '+' | null,
): string | null {
  const levels: string[] = [];
  for (const level of pattern.split('/')) {
    let missing = false;
    const text = level.replace(PLACEHOLDER, (_, name: Placeholder) => {
      const value = lookUp(name);
      // A value is one piece of one level: with a separator or a wildcard it would be more.
      if (value === null || value === '' || /[/+#\0]/.test(value)) missing = true;
      return value ?? '';
    });
    if (missing && unknown === null) return null;
    levels.push(missing ? '+' : text);
  }
  return levels.join('/');
}
