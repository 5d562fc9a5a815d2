import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openTestHost } from '../../test/contract/test-host.ts';
import type { AdminContext } from './admin-context.ts';
import type { JsonObject, Reply, Route } from './exchange.ts';
import { TIME_ROUTES } from './routes/time.ts';

async function asked(
  context: Pick<AdminContext, 'broker'>,
  method: Route['method'],
  path: string,
  params: Readonly<Record<string, string>> = {},
): Promise<Reply> {
  const route = TIME_ROUTES.find((one) => one.method === method && one.path === path)!;
  const rest = { query: new URLSearchParams(), body: {}, user: 'admin' };
  return route.run({ context: context as AdminContext, params, ...rest });
}

test('what waits for its time is listed by kind and can be cancelled X69', async () => {
  const host = await openTestHost();
  const { time } = host.broker;
  const dueMs = host.clock.nowMs() + 60_000;
  time.set('a/b', 'one', dueMs, Buffer.from('12'));
  time.set('a/b', 'two', dueMs + 1000, Buffer.alloc(0));
  const kinds = (await asked(host, 'GET', '/api/v1/time')).body as { items: JsonObject[] };
  assert.deepEqual(kinds.items, [{ kind: 'a/b', count: 2, next: new Date(dueMs).toISOString() }]);
  const path = '/api/v1/time/:kind';
  const rows = (await asked(host, 'GET', path, { kind: 'a/b' })).body as { items: JsonObject[] };
  assert.deepEqual(
    rows.items.map(({ id, bytes }) => [id, bytes]),
    [
      ['one', 2],
      ['two', 0],
    ],
  );
  const one = { kind: 'a/b', id: 'one' };
  assert.equal((await asked(host, 'GET', `${path}/:id`, one)).status, 200);
  assert.equal((await asked(host, 'DELETE', `${path}/:id`, one)).status, 204);
  await assert.rejects(asked(host, 'DELETE', `${path}/:id`, one), { code: 'precondition-failed' });
  await assert.rejects(asked(host, 'GET', `${path}/:id`, one), { code: 'precondition-failed' });
  assert.equal(time.count('a/b'), 1);
  await host.close();
});
