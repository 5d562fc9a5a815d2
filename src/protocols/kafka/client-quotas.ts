/** Quotas in Kafka's words: types of entities, names of quotas, and what may be asked of them. */
import type { QuotaEntity, QuotaKind, QuotaValues } from '#broker';

/** One part of an entity on the wire; a null name is the default. */
export interface EntityPart {
  readonly entityType: string;
  readonly entityName: string | null;
}

const PARTS: Readonly<Record<string, keyof QuotaEntity>> = {
  user: 'user',
  'client-id': 'client',
  ip: 'address',
};

/** Who has not logged in. */
const ANONYMOUS = { told: 'ANONYMOUS', here: 'anonymous' } as const;

interface QuotaName {
  readonly kind: QuotaKind;
  readonly isWhole: boolean;
}

const NAMES: Readonly<Record<string, QuotaName>> = {
  producer_byte_rate: { kind: 'publish-bytes', isWhole: true },
  consumer_byte_rate: { kind: 'deliver-bytes', isWhole: true },
  request_percentage: { kind: 'request-percent', isWhole: false },
  controller_mutation_rate: { kind: 'definition-changes', isWhole: false },
  connection_creation_rate: { kind: 'connections', isWhole: true },
};

export function isEntityType(type: string): boolean {
  return Object.hasOwn(PARTS, type);
}

/** The broker's entity, or what is wrong with Kafka's. */
export function readEntity(parts: readonly EntityPart[]): QuotaEntity | string {
  const entity: Record<string, string | null> = {};
  for (const { entityType, entityName } of parts) {
    if (!isEntityType(entityType)) return `there is no entity type '${entityType}'`;
    const part = PARTS[entityType]!;
    if (part in entity) return `${entityType} is named twice`;
    const isAnonymous = part === 'user' && entityName === ANONYMOUS.told;
    entity[part] = isAnonymous ? ANONYMOUS.here : entityName;
  }
  return entity;
}

export function showEntity(entity: QuotaEntity): EntityPart[] {
  return Object.entries(PARTS).flatMap(([entityType, part]) => {
    const name = entity[part];
    if (name === undefined) return [];
    const isAnonymous = part === 'user' && name === ANONYMOUS.here;
    return [{ entityType, entityName: isAnonymous ? ANONYMOUS.told : name }];
  });
}

export function showValues(values: QuotaValues): { key: string; value: number }[] {
  return Object.entries(NAMES).flatMap(([key, { kind }]) => {
    const value = values[kind];
    return value === undefined ? [] : [{ key, value }];
  });
}

export interface QuotaChange {
  readonly key: string;
  readonly value: number;
  readonly remove: boolean;
}

/** The values after some changes, or what is wrong with these. */
export function changeValues(
  before: QuotaValues,
  changes: readonly QuotaChange[],
): QuotaValues | string {
  const values: { [kind in QuotaKind]?: number } = { ...before };
  const seen = new Set<string>();
  for (const { key, value, remove } of changes) {
    if (!Object.hasOwn(NAMES, key)) return `there is no quota '${key}'`;
    if (seen.has(key)) return `${key} is named twice`;
    seen.add(key);
    const { kind, isWhole } = NAMES[key]!;
    if (remove) {
      delete values[kind];
      continue;
    }
    if (!(value > 0 && Number.isFinite(value))) return `${key}: a quota is more than 0`;
    if (isWhole && !Number.isInteger(value)) return `${key}: '${value}' is not a whole number`;
    // The largest number of the protocol means no limit.
    values[kind] = Math.min(value, Number.MAX_SAFE_INTEGER);
  }
  return values;
}
