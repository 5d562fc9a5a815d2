/**
 * One protocol's side of a crossing: writes a sample natively, reads natively, both by the tables.
 */
import type { Inbox } from '../clients/inbox.ts';
import type { Outcome, ProtocolName, Sample } from './sample.ts';

export interface Endpoint {
  readonly protocol: ProtocolName;
  /** Resolves when everything published to `name` from now on will reach the inbox. */
  read(name: string): Promise<Inbox<Outcome>>;
  /** Resolves when the server has taken the message. */
  publish(name: string, sample: Sample): Promise<void>;
  close(): Promise<void>;
}

/** Headers of a text-only protocol with the hints taken out. */
export function splitHints(pairs: readonly (readonly [string, string])[]) {
  const hints: Record<string, string> = {};
  const headers: (readonly [string, string])[] = [];
  let markedNull = false;
  for (const [name, value] of pairs) {
    if (name === '_b.null') markedNull = true;
    else if (name.startsWith('_b.t.')) hints[name.slice('_b.t.'.length)] = value;
    else if (!name.startsWith('_b.')) headers.push([name, value]);
  }
  return { headers, hints, markedNull };
}

/** The values of repeated names, one pair each. */
export function flatPairs(
  table: Readonly<Record<string, string | readonly string[]>>,
): [string, string][] {
  return Object.entries(table).flatMap(([name, values]) =>
    [values].flat().map((value): [string, string] => [name, value]),
  );
}

/** A record with the values of each repeated name in an array. */
export function grouped<T>(pairs: readonly (readonly [string, T])[]): Record<string, T | T[]> {
  const table: Record<string, T | T[]> = {};
  for (const [name, value] of pairs) {
    const present = table[name];
    table[name] = present === undefined ? value : ([present, value].flat() as T[]);
  }
  return table;
}

/** Takes the named entries out of a list of pairs. */
export function takeOut<T>(pairs: (readonly [string, T])[], name: string): T | null {
  const at = pairs.findIndex(([each]) => each.toLowerCase() === name.toLowerCase());
  return at === -1 ? null : (pairs.splice(at, 1)[0]?.[1] ?? null);
}

export function numberOrNull(text: string | null): number | null {
  return text === null ? null : Number(text);
}

export function bufferOrNull(text: string | Buffer | null | undefined): Buffer | null {
  return text === null || text === undefined ? null : Buffer.from(text);
}
