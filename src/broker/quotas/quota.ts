/**
 * What may be limited, and whom a limit is for. A quota belongs to a user, to a client id, to a
 * client id of a user, or to an address; in place of each name may stand `null`: all those that
 * have no quota of their own name.
 */

export type QuotaKind =
  | 'publish-bytes'
  | 'deliver-bytes'
  | 'request-percent'
  | 'definition-changes'
  | 'connections';

/** Whom a quota is for. A part that is left out does not matter; null is everyone else. */
export interface QuotaEntity {
  readonly user?: string | null;
  readonly client?: string | null;
  /** Alone: what an address may do has nothing to do with who comes from there. */
  readonly address?: string | null;
}

/** Units a second; of `request-percent`, percent of the time of the one thread. */
export type QuotaValues = { readonly [kind in QuotaKind]?: number };

export interface Quota {
  readonly entity: QuotaEntity;
  readonly values: QuotaValues;
}

interface KindRow {
  /** Units that become free in a second for a value of 1. */
  readonly units: number;
  /** Seconds whose units may be taken at once by who took nothing for as long. */
  readonly burst: number;
}

/** Changes of definitions come in bunches, and are rare; what flows is to flow evenly. */
export const KINDS: Readonly<Record<QuotaKind, KindRow>> = {
  'publish-bytes': { units: 1, burst: 1 },
  'deliver-bytes': { units: 1, burst: 1 },
  // One percent of a second is 10 ms.
  'request-percent': { units: 10, burst: 1 },
  'definition-changes': { units: 1, burst: 10 },
  connections: { units: 1, burst: 1 },
};

export const QUOTA_KINDS = Object.keys(KINDS) as readonly QuotaKind[];

/** The text that an entity is found by, in memory and in the catalogue. */
export function entityKey({ user, client, address }: QuotaEntity): string {
  return JSON.stringify([part(user), part(client), part(address)]);
}

/** Absent: null, everyone else: true; a name is itself. */
function part(name: string | null | undefined): string | boolean | null {
  if (name === undefined) return null;
  return name === null ? true : name;
}

export function entityOf(key: string): QuotaEntity {
  const [user, client, address] = JSON.parse(key) as readonly (string | true | null)[];
  return {
    ...(user !== null && { user: user === true ? null : user! }),
    ...(client !== null && { client: client === true ? null : client! }),
    ...(address !== null && { address: address === true ? null : address! }),
  };
}
