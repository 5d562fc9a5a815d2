/** Which of the queues that are not in memory get a message, and with what they note. */
import type { QueueRoutes } from '../queues/queue-routes.ts';
import type { ColdFilters } from './cold-filters.ts';
import type { ColdLines } from './cold-lines.ts';
import type { ColdMatches, ColdPolicy } from './cold-policy.ts';

export interface MatchingHost {
  readonly filters: ColdFilters;
  readonly lines: ColdLines;
  /** So many of one filter have a line: a row per message for all of them. */
  readonly lineMembers: number;
  /** Messages that wait for a queue. */
  readonly lengthOf: (row: number) => number;
}

interface Found {
  options: number;
  alias: boolean;
}

/** Notes them in `routes`. */
export function collectCold(
  host: MatchingHost,
  policy: ColdPolicy,
  { filters, aliases }: ColdMatches,
  routes: QueueRoutes,
): void {
  const found = filters.length === 1 ? null : new Map<number, Found>();
  const index = host.filters;
  for (let which = 0; which < filters.length; which++) {
    const filter = filters[which]!;
    const alias = aliases[which]!;
    if (index.countOf(filter) >= host.lineMembers) {
      if (host.lines.admits(filter)) addLine(routes, filter, alias);
      continue;
    }
    for (let at = index.first(filter); at !== 0; at = index.next(at)) {
      const row = index.ownerOf(at);
      const options = index.optionsOf(at);
      if (found === null) addRow(host, policy, row, options, alias, routes);
      else join(found, row, options, alias);
    }
  }
  for (const [row, one] of found ?? []) {
    if (routes.coldFilters.length > 0) joinLines(index, row, one, routes);
    addRow(host, policy, row, one.options, one.alias, routes);
  }
}

function addLine(routes: QueueRoutes, filter: number, alias: boolean): void {
  routes.coldFilters.push(filter);
  routes.coldAliases.push(alias);
  routes.durable = true;
}

function addRow(
  host: MatchingHost,
  policy: ColdPolicy,
  row: number,
  options: number,
  alias: boolean,
  routes: QueueRoutes,
): void {
  const { newestMax } = policy;
  if (newestMax !== Number.POSITIVE_INFINITY && host.lengthOf(row) >= newestMax) {
    policy.dropped(1);
    return;
  }
  routes.coldRows.push(row);
  routes.coldMetas.push(policy.meta(options, alias));
  routes.durable = true;
}

function join(found: Map<number, Found>, row: number, options: number, alias: boolean): void {
  const known = found.get(row);
  if (known === undefined) found.set(row, { options, alias });
  else {
    known.options |= options;
    known.alias &&= alias;
  }
}

/** It waits in lines for the same message: the reference of its own stands for them, too. */
function joinLines(
  index: ColdFilters,
  row: number,
  found: Found,
  { coldFilters, coldAliases }: QueueRoutes,
): void {
  for (let at = index.firstOf(row); at !== 0; at = index.nextOf(at)) {
    const which = coldFilters.indexOf(index.filterOf(at));
    if (which < 0) continue;
    found.options |= index.optionsOf(at);
    found.alias &&= coldAliases[which]!;
  }
}
