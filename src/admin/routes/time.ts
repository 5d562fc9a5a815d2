/** What waits for its time: delayed messages, wills, ends of sessions, retries, remembered ids. */
import type { TimeEntry } from '#broker';
import { BrokerError } from '#kit';
import { type Call, done, type Json, type JsonObject, ok, page, type Route } from '../exchange.ts';

const PAGE_ROWS = 200;

export const TIME_ROUTES: readonly Route[] = [
  {
    method: 'GET',
    path: '/api/v1/time',
    summary: 'Lists the kinds of pending entries, how many there are and when the first is due.',
    run: (call) => page(call, kinds(call)),
  },
  {
    method: 'GET',
    path: '/api/v1/time/:kind',
    summary: 'Lists the pending entries of a kind in the order of their time.',
    run: (call) => page(call, entries(call)),
  },
  {
    method: 'DELETE',
    path: '/api/v1/time/:kind/:id',
    summary: 'Cancels a pending entry.',
    async run({ context, params }) {
      const { time, state } = context.broker;
      if (!time.cancel(params['kind']!, params['id']!)) {
        throw new BrokerError('precondition-failed', 'no such entry is pending.');
      }
      await new Promise<void>((resolve, reject) => {
        state.committed((error) => (error === null ? resolve() : reject(error)));
      });
      return done;
    },
  },
  {
    method: 'GET',
    path: '/api/v1/time/:kind/:id',
    summary: 'Shows a pending entry.',
    run({ context, params }) {
      const entry = context.broker.time.get(params['kind']!, params['id']!);
      if (entry !== undefined) return ok(entryRow(entry));
      throw new BrokerError('precondition-failed', 'no such entry is pending.');
    },
  },
];

function* kinds({ context }: Call): Iterable<Json> {
  const { time } = context.broker;
  for (const kind of time.kinds()) {
    const first = time.first(kind);
    if (first !== undefined) yield { kind, count: time.count(kind), next: dueText(first) };
  }
}

function* entries({ context, params }: Call): Iterable<Json> {
  const { time } = context.broker;
  const kind = params['kind']!;
  for (let rows = time.page(kind, PAGE_ROWS); rows.length > 0; ) {
    for (const entry of rows) yield entryRow(entry);
    rows = time.page(kind, PAGE_ROWS, rows[rows.length - 1]!);
  }
}

function entryRow(entry: TimeEntry): JsonObject {
  return { id: entry.id, due: dueText(entry), bytes: entry.value.length };
}

function dueText({ dueMs }: TimeEntry): string {
  return new Date(dueMs).toISOString();
}
