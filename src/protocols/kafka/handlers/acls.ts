/** DescribeAcls, CreateAcls, DeleteAcls: the broker's rules in Kafka's words (KIP-140, KIP-290). */
import type { Rule, SourcedRule } from '#broker';
import { BrokerError } from '#kit';
import { type Binding, bindingsOf, fits, ruleOf, ruleWithout } from '../acl-bindings.ts';
import { KAFKA } from '../error-codes.ts';
import { wireCode } from '../errors.ts';
import { describeAcls } from '../messages/29-describe-acls.ts';
import { createAcls } from '../messages/30-create-acls.ts';
import { deleteAcls } from '../messages/31-delete-acls.ts';
import { answers } from '../operation.ts';
import type { Room } from '../room.ts';
import type { RequestOf, ResponseOf } from '../rows.ts';

const NOT_ALLOWED = 'it takes the right on the cluster';

type Described = ResponseOf<typeof describeAcls>['resources'][number];
type Filter = RequestOf<typeof deleteAcls>['filters'][number];
type FilterResult = ResponseOf<typeof deleteAcls>['filterResults'][number];

export const describeAclsOperation = answers(describeAcls, (request, call, room) => {
  if (!room.mayOnCluster(call.session, 'describe')) {
    const errorCode = KAFKA.CLUSTER_AUTHORIZATION_FAILED;
    return { errorCode, errorMessage: NOT_ALLOWED, resources: [] };
  }
  const resources = new Map<string, { row: Described; acls: Described['acls'][number][] }>();
  for (const { binding } of bindingsOf(room.broker.principals.rules())) {
    if (!fits(request, binding)) continue;
    const { resourceType, resourceName, patternType, ...acl } = binding;
    const key = `${resourceType} ${patternType} ${resourceName}`;
    let resource = resources.get(key);
    if (resource === undefined) {
      const acls: Described['acls'][number][] = [];
      resource = { row: { resourceType, resourceName, patternType, acls }, acls };
      resources.set(key, resource);
    }
    resource.acls.push(acl);
  }
  return { errorCode: KAFKA.NONE, resources: [...resources.values()].map(({ row }) => row) };
});

export const createAclsOperation = answers(createAcls, async ({ creations }, call, room) => {
  const allowed = room.mayOnCluster(call.session, 'alter');
  const results = creations.map(({ resourcePatternType: patternType, ...fields }) => {
    if (!allowed) {
      return { errorCode: KAFKA.CLUSTER_AUTHORIZATION_FAILED, errorMessage: NOT_ALLOWED };
    }
    const { resourceType, resourceName, principal, host, operation, permissionType } = fields;
    return create(room, {
      ...{ resourceType, resourceName, patternType, principal, host, operation, permissionType },
    });
  });
  await room.broker.definitions.durable();
  return { results };
});

function create(room: Room, binding: Binding): { errorCode: number; errorMessage: string | null } {
  try {
    room.broker.principals.putRule(ruleOf(binding));
    return { errorCode: KAFKA.NONE, errorMessage: null };
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error;
    return { errorCode: wireCode(error), errorMessage: error.message };
  }
}

export const deleteAclsOperation = answers(deleteAcls, async ({ filters }, call, room) => {
  const allowed = room.mayOnCluster(call.session, 'alter');
  const filterResults = filters.map((filter): FilterResult => {
    if (allowed) return remove(room, filter);
    const errorCode = KAFKA.CLUSTER_AUTHORIZATION_FAILED;
    return { errorCode, errorMessage: NOT_ALLOWED, matchingAcls: [] };
  });
  await room.broker.definitions.durable();
  return { filterResults };
});

/** A rule of several actions loses those that the filter names. */
function remove(room: Room, filter: Filter): FilterResult {
  const found = new Map<string, { rule: SourcedRule; bindings: Binding[] }>();
  for (const { rule, binding } of bindingsOf(room.broker.principals.rules())) {
    if (!fits(filter, binding)) continue;
    const key = `${rule.source}\0${rule.id}`;
    const known = found.get(key);
    if (known === undefined) found.set(key, { rule, bindings: [binding] });
    else known.bindings.push(binding);
  }
  const matchingAcls = [...found.values()].flatMap(({ rule, bindings }) => {
    const operations = bindings.map(({ operation }) => operation);
    const fault = shorten(room, rule, operations);
    return bindings.map((binding) => ({ ...fault, ...binding }));
  });
  return { errorCode: KAFKA.NONE, matchingAcls };
}

function shorten(
  { broker }: Room,
  rule: SourcedRule,
  operations: readonly number[],
): { errorCode: number; errorMessage: string | null } {
  try {
    const left: Rule | null = ruleWithout(rule, operations);
    if (left === null) broker.principals.removeRule(rule.id);
    else broker.principals.putRule(left);
    return { errorCode: KAFKA.NONE, errorMessage: null };
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error;
    return { errorCode: KAFKA.POLICY_VIOLATION, errorMessage: error.message };
  }
}
