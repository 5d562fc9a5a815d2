/**
 * ACLs of Kafka as rules of the broker and back. An ACL on a topic is a rule on the stream: it
 * holds for every way to what is in it. Rules on addresses have no form here and are not shown.
 */
import { createHash } from 'node:crypto';
import type { Action, ActionName, Rule, RuleKind, SourcedRule } from '#broker';
import { BrokerError } from '#kit';

export const ACL_ANY = 1;
export const PATTERN = { ANY: 1, MATCH: 2, LITERAL: 3, PREFIXED: 4 } as const;
const PERMISSION = { DENY: 2, ALLOW: 3 } as const;
const ALL = 2;
const ANY_HOST = '*';
/** The one name that the cluster has as a resource. */
const CLUSTER_NAME = 'kafka-cluster';
const RULE_ID_PREFIX = 'kafka:';
const FILE_RULES = 'the rule is kept in a file of the server';

const KINDS: readonly (readonly [resourceType: number, kind: RuleKind])[] = [
  [2, 'stream'],
  [3, 'group'],
  [4, 'cluster'],
  [5, 'transaction'],
];

const IDEMPOTENT_WRITE = 12;
/** IDEMPOTENT_WRITE stands apart: nothing is refused for want of it (KIP-679). */
const OPERATIONS: readonly (readonly [operation: number, action: Action])[] = [
  [3, 'subscribe'],
  [4, 'publish'],
  [5, 'create'],
  [6, 'remove'],
  [7, 'alter'],
  [8, 'describe'],
  [9, 'administer'],
  [10, 'describe-settings'],
  [11, 'alter-settings'],
];

/** What each kind of resource can be asked for. */
const LEGAL: Readonly<Record<string, readonly number[]>> = {
  stream: [ALL, 3, 4, 5, 6, 7, 8, 10, 11],
  group: [ALL, 3, 6, 8, 10, 11],
  cluster: [ALL, 5, 7, 8, 9, 10, 11, IDEMPOTENT_WRITE],
  transaction: [ALL, 4, 8],
};

export interface Binding {
  readonly resourceType: number;
  readonly resourceName: string;
  readonly patternType: number;
  /** `User:name`, `User:*`, `Role:name`. */
  readonly principal: string;
  readonly host: string;
  readonly operation: number;
  readonly permissionType: number;
}

/** A binding with the rule that it is, or is a part of. */
export interface BoundRule {
  readonly rule: SourcedRule;
  readonly binding: Binding;
}

/** The rule of a new ACL. @throws BrokerError `invalid-argument` */
export function ruleOf(binding: Binding): Rule {
  const { resourceName, patternType, operation, permissionType } = binding;
  const kind = KINDS.find(([type]) => type === binding.resourceType)?.[1];
  if (kind === undefined) throw wrong('there are no such resources here.');
  if (permissionType !== PERMISSION.ALLOW && permissionType !== PERMISSION.DENY) {
    throw wrong('the permission is neither allow nor deny.');
  }
  if (patternType !== PATTERN.LITERAL && patternType !== PATTERN.PREFIXED) {
    throw wrong('the pattern is neither literal nor prefixed.');
  }
  if (resourceName === '') throw wrong('the resource has no name.');
  if (!LEGAL[kind]!.includes(operation)) throw wrong('the resource has no such operation.');
  if (kind === 'cluster') {
    const literal = patternType === PATTERN.LITERAL;
    if (resourceName !== CLUSTER_NAME || !literal) throw wrong(`the cluster is ${CLUSTER_NAME}.`);
  }
  if (operation === IDEMPOTENT_WRITE && permissionType === PERMISSION.DENY) {
    throw wrong('idempotent writes need no right that could be denied.');
  }
  const digest = createHash('sha256').update(JSON.stringify(Object.values(binding)));
  return {
    id: RULE_ID_PREFIX + digest.digest('hex').slice(0, 32),
    effect: permissionType === PERMISSION.ALLOW ? 'allow' : 'deny',
    principal: principalOf(binding.principal),
    actions: [actionOf(operation)],
    kind,
    pattern: resourceName,
    match: patternType === PATTERN.PREFIXED ? 'prefix' : 'literal',
    host: binding.host,
  };
}

/** All rules that can be said as ACLs, one row for each of their actions. */
export function* bindingsOf(rules: Iterable<SourcedRule>): Generator<BoundRule> {
  for (const rule of rules) {
    const type = KINDS.find(([, kind]) => kind === rule.kind)?.[0];
    if (type === undefined) continue;
    for (const action of rule.actions) {
      for (const operation of operationsOf(action, rule)) {
        const binding = {
          resourceType: type,
          resourceName: rule.kind === 'cluster' ? CLUSTER_NAME : rule.pattern,
          patternType: rule.match === 'prefix' ? PATTERN.PREFIXED : PATTERN.LITERAL,
          principal: shownPrincipal(rule.principal),
          host: rule.host ?? ANY_HOST,
          operation,
          permissionType: rule.effect === 'allow' ? PERMISSION.ALLOW : PERMISSION.DENY,
        };
        yield { rule, binding };
      }
    }
  }
}

/** The rule without one of its rows; null when nothing is left. @throws BrokerError of a file */
export function ruleWithout(rule: SourcedRule, operations: readonly number[]): Rule | null {
  const { source, ...rest } = rule;
  if (source !== 'catalogue') throw new BrokerError('precondition-failed', FILE_RULES);
  const left = rule.actions
    .flatMap((action) => operationsOf(action, rule))
    .filter((operation) => !operations.includes(operation));
  return left.length === 0 ? null : { ...rest, actions: [...new Set(left.map(actionOf))] };
}

export interface BindingFilter {
  readonly resourceTypeFilter: number;
  readonly resourceNameFilter: string | null;
  readonly patternTypeFilter: number;
  readonly principalFilter: string | null;
  readonly hostFilter: string | null;
  readonly operation: number;
  readonly permissionType: number;
}

export function fits(filter: BindingFilter, binding: Binding): boolean {
  const same = (wanted: number, value: number): boolean => wanted === ACL_ANY || wanted === value;
  const equal = (wanted: string | null, value: string): boolean =>
    wanted === null || wanted === value;
  return (
    same(filter.resourceTypeFilter, binding.resourceType) &&
    fitsName(filter, binding) &&
    equal(filter.principalFilter, binding.principal) &&
    equal(filter.hostFilter, binding.host) &&
    same(filter.operation, binding.operation) &&
    same(filter.permissionType, binding.permissionType)
  );
}

/** MATCH asks for everything that holds for the name, KIP-290. */
function fitsName(filter: BindingFilter, { resourceName, patternType }: Binding): boolean {
  const { resourceNameFilter: name, patternTypeFilter: type } = filter;
  if (type === PATTERN.MATCH) {
    if (name === null) return true;
    return patternType === PATTERN.PREFIXED
      ? name.startsWith(resourceName)
      : resourceName === name || resourceName === '*';
  }
  if (type !== PATTERN.ANY && type !== patternType) return false;
  return name === null || name === resourceName;
}

function operationsOf(action: ActionName, rule: Rule): readonly number[] {
  if (action === 'all') return [ALL];
  if (action === 'manage') return [5, 6, 7, 10, 11];
  if (action === 'publish' && rule.kind === 'cluster') return [IDEMPOTENT_WRITE];
  return OPERATIONS.filter(([, known]) => known === action).map(([operation]) => operation);
}

function actionOf(operation: number): ActionName {
  if (operation === ALL) return 'all';
  if (operation === IDEMPOTENT_WRITE) return 'publish';
  return OPERATIONS.find(([known]) => known === operation)![1];
}

function principalOf(text: string): string {
  const colon = text.indexOf(':');
  const type = text.slice(0, colon);
  const name = text.slice(colon + 1);
  if (colon < 0 || name === '') throw wrong('a principal is User:name or Role:name.');
  if (type === 'Role') return `role:${name}`;
  if (type !== 'User') throw wrong('a principal is User:name or Role:name.');
  return name === 'ANONYMOUS' ? 'anonymous' : name;
}

function shownPrincipal(principal: string): string {
  if (principal.startsWith('role:')) return `Role:${principal.slice(5)}`;
  return principal === 'anonymous' ? 'User:ANONYMOUS' : `User:${principal}`;
}

function wrong(detail: string): BrokerError {
  return new BrokerError('invalid-argument', detail);
}
