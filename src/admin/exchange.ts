/** One request as route handlers see it, and what they answer. */
import { BrokerError, type ErrorCode } from '#kit';
import type { AdminContext } from './admin-context.ts';

export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

export interface Call {
  readonly context: AdminContext;
  /** Values of the `:name` parts of the path, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** The parsed body; an empty object when there is none. */
  readonly body: JsonObject;
  /** Name of the user who asks; empty on open routes. */
  readonly user: string;
}

export interface Reply {
  readonly status: number;
  readonly body: Json | string;
}

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** `/api/v1/streams/:name` */
  readonly path: string;
  /** One sentence; the API document shows it. */
  readonly summary: string;
  /** Who may ask without credentials: everybody, or who comes from this machine. */
  readonly open?: 'all' | 'loopback';
  run(call: Call): Reply | Promise<Reply>;
}

export const ok = (body: Json): Reply => ({ status: 200, body });
export const created = (body: Json): Reply => ({ status: 201, body });
export const done: Reply = { status: 204, body: null };

/** How each failure of the catalogue is told over HTTP. */
export const HTTP_STATUS: Readonly<Record<ErrorCode, number>> = {
  malformed: 400,
  'not-supported': 501,
  'invalid-argument': 400,
  'invalid-name': 400,
  'invalid-batch': 400,
  'old-message-format': 400,
  'message-too-large': 413,
  'bad-credentials': 401,
  'not-authorized': 403,
  'unknown-stream': 404,
  'stream-exists': 409,
  'unknown-queue': 404,
  'queue-locked': 409,
  'precondition-failed': 409,
  'offset-out-of-range': 400,
  'out-of-order-sequence': 409,
  'stale-producer': 409,
  'unknown-producer': 404,
  'limit-reached': 429,
  busy: 503,
  'storage-full': 507,
  'remote-unavailable': 503,
  'storage-failed': 503,
  damaged: 500,
  closing: 503,
  timeout: 504,
  'bad-configuration': 500,
};

/** Rows of a page when the client does not say. */
const PAGE_ROWS = 1000;
/** Largest page of a listing that a client may ask for. */
const PAGE_ROWS_MAX = 10_000;

/**
 * A page of a listing. `?limit=` sets its size; `next` of the answer goes into `?after=` of the
 * next request and is null at the end.
 */
export function page(call: Call, rows: Iterable<Json>): Reply {
  const limit = pageNumber(call, 'limit', PAGE_ROWS, PAGE_ROWS_MAX);
  const after = pageNumber(call, 'after', 0, Number.MAX_SAFE_INTEGER);
  const items: Json[] = [];
  let index = 0;
  for (const row of rows) {
    if (items.length === limit) return ok({ items, next: String(after + limit) });
    if (index++ >= after) items.push(row);
  }
  return ok({ items, next: null });
}

function pageNumber(call: Call, name: string, missing: number, max: number): number {
  const text = call.query.get(name);
  if (text === null) return missing;
  const value = Number(text);
  const least = name === 'limit' ? 1 : 0;
  if (Number.isInteger(value) && value >= least && value <= max) return value;
  throw new BrokerError('invalid-argument', `${name}: a whole number from ${least} to ${max}.`);
}
