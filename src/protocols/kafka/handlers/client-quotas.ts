/** DescribeClientQuotas and AlterClientQuotas: the quotas of the broker (KIP-546). */
import type { QuotaEntity } from '#broker';
import { BrokerError } from '#kit';
import {
  changeValues,
  type EntityPart,
  isEntityType,
  readEntity,
  showEntity,
  showValues,
} from '../client-quotas.ts';
import { KAFKA } from '../error-codes.ts';
import { wireCode } from '../errors.ts';
import { describeClientQuotas } from '../messages/48-describe-client-quotas.ts';
import { alterClientQuotas } from '../messages/49-alter-client-quotas.ts';
import { answers } from '../operation.ts';
import type { Room } from '../room.ts';
import type { RequestOf, ResponseOf } from '../rows.ts';

const MATCH = { EXACT: 0, DEFAULT: 1, ANY: 2 } as const;

type Filter = RequestOf<typeof describeClientQuotas>;
type Altered = ResponseOf<typeof alterClientQuotas>['entries'][number];
type Alteration = RequestOf<typeof alterClientQuotas>['entries'][number];

export const describeClientQuotasOperation = answers(
  describeClientQuotas,
  (request, call, room) => {
    if (!room.mayOnCluster(call.session, 'describe-settings')) {
      const errorCode = KAFKA.CLUSTER_AUTHORIZATION_FAILED;
      return { errorCode, errorMessage: 'it takes the right on the cluster', entries: null };
    }
    const fault = filterFault(request);
    if (fault !== null) return { ...fault, entries: null };
    const entries = [];
    for (const { entity, values } of room.broker.quotas.list()) {
      const parts = showEntity(entity);
      if (fits(parts, request)) entries.push({ entity: parts, values: showValues(values) });
    }
    return { errorCode: KAFKA.NONE, entries };
  },
);

function filterFault({ components }: Filter): { errorCode: number; errorMessage: string } | null {
  const wrong = (errorMessage: string) => ({ errorCode: KAFKA.INVALID_REQUEST, errorMessage });
  const types = new Set<string>();
  for (const { entityType, matchType, match } of components) {
    if (entityType === '') return wrong('an entity type is empty');
    if (!isEntityType(entityType)) {
      const errorMessage = `there is no entity type '${entityType}'`;
      return { errorCode: KAFKA.UNSUPPORTED_VERSION, errorMessage };
    }
    if (types.has(entityType)) return wrong(`${entityType} is named twice`);
    types.add(entityType);
    const isNamed = matchType === MATCH.EXACT;
    if (!isNamed && matchType !== MATCH.DEFAULT && matchType !== MATCH.ANY) {
      return wrong(`there is no match type ${matchType}`);
    }
    if (isNamed !== (match !== null))
      return wrong('a name belongs to an exact match, and to no other');
  }
  if (types.has('ip') && types.size > 1) return wrong('an ip has quotas of its own');
  return null;
}

function fits(parts: readonly EntityPart[], { components, strict }: Filter): boolean {
  if (strict && parts.length !== components.length) return false;
  return components.every(({ entityType, matchType, match }) => {
    const part = parts.find((one) => one.entityType === entityType);
    if (part === undefined) return false;
    return (
      matchType === MATCH.ANY || part.entityName === (matchType === MATCH.EXACT ? match : null)
    );
  });
}

export const alterClientQuotasOperation = answers(
  alterClientQuotas,
  async ({ entries: asked, validateOnly }, call, room) => {
    const allowed = room.mayOnCluster(call.session, 'alter-settings');
    const seen = new Set<string>();
    const entries = asked.map((entry): Altered => {
      const { entity } = entry;
      if (!allowed) {
        const errorCode = KAFKA.CLUSTER_AUTHORIZATION_FAILED;
        return { errorCode, errorMessage: 'it takes the right on the cluster', entity };
      }
      const read = readEntity(entity);
      if (typeof read === 'string') return invalid(entity, read);
      const key = JSON.stringify(showEntity(read));
      if (seen.has(key)) return invalid(entity, 'the entity is named twice');
      seen.add(key);
      return alter(read, entry, validateOnly, room);
    });
    if (!validateOnly) await room.broker.definitions.durable();
    return { entries };
  },
);

function alter(
  target: QuotaEntity,
  { entity, ops }: Alteration,
  validateOnly: boolean,
  { broker: { quotas } }: Room,
): Altered {
  const values = changeValues(quotas.valuesOf(target), ops);
  if (typeof values === 'string') return invalid(entity, values);
  const fault = quotas.fault(target, values);
  if (fault !== null) return invalid(entity, fault);
  try {
    if (!validateOnly) quotas.set(target, values);
    return { errorCode: KAFKA.NONE, entity };
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error;
    return { errorCode: wireCode(error), errorMessage: error.message, entity };
  }
}

function invalid(entity: readonly EntityPart[], errorMessage: string): Altered {
  return { errorCode: KAFKA.INVALID_REQUEST, errorMessage, entity };
}
