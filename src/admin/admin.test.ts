import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { flatAddress, Message } from '#broker';
import { ERROR_CODES } from '#kit';
import { openTestHost, type TestHost } from '../../test/contract/test-host.ts';
import { ADMIN_ROUTES, Admin } from './admin.ts';
import { HTTP_STATUS } from './exchange.ts';

interface Asked {
  readonly status: number;
  readonly text: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly json: Readonly<Record<string, unknown>>;
}

interface Rig {
  readonly host: TestHost;
  phase: 'starting' | 'ready' | 'stopping';
  health: string;
  ask(method: string, path: string, options?: AskOptions): Promise<Asked>;
}

interface AskOptions {
  readonly body?: unknown;
  readonly user?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
}

async function rig(t: TestContext, loopback = true): Promise<Rig> {
  const host = await openTestHost();
  const server = createServer({ allowHalfOpen: true });
  const state = { phase: 'ready' as Rig['phase'], health: 'ok' };
  const report = { milliseconds: 1, entriesReplayed: 2, tornBytes: 3, damaged: [] };
  let checkpoints = 0;
  const admin = new Admin(
    {
      ...host,
      storage: {
        get health() {
          return state.health;
        },
        report,
        usage: () => ({ walBytes: 1, checkpoints }),
        remote: () => null,
        check: {
          start() {},
          async cancel() {},
          status: () => ({
            ...{ state: 'done', startedAtMs: 1, endedAtMs: 2, bytes: 3, reason: '' },
            problems: [
              {
                ...{ file: 'seg-1', position: 4, bytes: 5, what: 'body', kind: 'damaged' },
                ...{ logId: 6, from: 7, to: 8 },
              },
            ],
          }),
        },
        async checkpoint() {
          checkpoints++;
        },
      },
      bans: { list: () => [], add: () => assert.fail('not here'), lift: () => false },
      drain: {
        start: () => Promise.resolve(),
        status: () => ({ state: 'none', perSecond: 0, sent: 0, left: 0 }),
      },
      reloadTls: () => Promise.resolve(0),
      reloadAuth: () => Promise.resolve({ users: 1, rules: 2 }),
      protocols: [
        {
          name: 'toy',
          resources: [{ noun: 'connections', columns: ['id'] }],
          instance: { list: () => [{ id: 1 }, { id: 2 }, { id: 3 }] },
        },
      ],
      listeners: () => [{ name: 'toy', transport: 'tcp', addresses: [], connections: 3 }],
      phase: () => state.phase,
      refusal: (headers) => (headers.host === 'evil.example' ? 'foreign Host header' : null),
    },
    () => loopback,
  );
  server.on('connection', (socket) => admin.accept(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => {
    server.close();
    await host.close();
  });
  const { port } = server.address() as AddressInfo;
  return Object.assign(state, {
    host,
    ask: (method: string, path: string, options?: AskOptions) => ask(port, method, path, options),
  });
}

async function ask(
  port: number,
  method: string,
  path: string,
  { body, user = 'admin:robustmq', headers = {} }: AskOptions = {},
): Promise<Asked> {
  const content =
    body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body);
  const outgoing = request({
    ...{ host: '127.0.0.1', port, method, path, agent: false },
    headers: {
      ...(user === null ? {} : { authorization: `Basic ${btoa(user)}` }),
      ...(content === null ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
  });
  outgoing.end(content);
  const [response] = await once(outgoing, 'response');
  let text = '';
  for await (const chunk of response) text += chunk;
  const json = /json/.test(response.headers['content-type'] ?? '') ? JSON.parse(text) : {};
  return { status: response.statusCode, text, headers: response.headers, json };
}

test('health needs no credentials and says when clients are not served O14', async (t) => {
  const server = await rig(t, false);
  assert.equal((await server.ask('GET', '/health/live', { user: null })).status, 200);
  assert.equal((await server.ask('GET', '/health/ready', { user: null })).status, 200);
  server.health = 'full';
  const full = await server.ask('GET', '/health/ready', { user: null });
  assert.equal(full.status, 503);
  assert.match(full.text, /the disk is full/);
  server.health = 'ok';
  server.phase = 'stopping';
  assert.match((await server.ask('GET', '/health/ready', { user: null })).text, /is stopping/);
});

test('metrics are in the Prometheus text format, free on loopback only O10', async (t) => {
  const near = await rig(t);
  near.host.metrics.counter('robustmq_toy_total', 'Toys.', { kind: 'a"b' }).add(3);
  near.host.metrics.histogram('robustmq_toy_seconds', 'Time.', [0.1, 1]).observe(0.5);
  const { status, text, headers } = await near.ask('GET', '/metrics', { user: null });
  assert.equal(status, 200);
  assert.equal(headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
  for (const line of [
    '# TYPE robustmq_toy_total counter',
    'robustmq_toy_total{kind="a\\"b"} 3',
    'robustmq_toy_seconds_bucket{le="0.1"} 0',
    'robustmq_toy_seconds_bucket{le="+Inf"} 1',
    'robustmq_toy_seconds_count 1',
    '# TYPE process_resident_memory_bytes gauge',
  ]) {
    assert.ok(text.split('\n').includes(line), line);
  }
  for (const line of text.trimEnd().split('\n')) {
    assert.match(line, /^(# (HELP|TYPE) \S+ .+|[a-z_]+(\{[^}]+\})? [-+\w.]+)$/);
  }
  const far = await rig(t, false);
  assert.equal((await far.ask('GET', '/metrics', { user: null })).status, 401);
});

test('everything else needs the credentials of an administrator', async (t) => {
  const { host, ask } = await rig(t);
  await host.broker.principals.setUser('joe', 'pass', { superuser: false, loopbackOnly: false });
  const none = await ask('GET', '/api/v1/overview', { user: null });
  assert.equal(none.status, 401);
  assert.match(String(none.headers['www-authenticate']), /^Basic realm=/);
  assert.equal((await ask('GET', '/api/v1/overview', { user: 'admin:wrong' })).status, 401);
  assert.equal((await ask('GET', '/api/v1/overview', { user: 'joe:pass' })).status, 403);
  assert.equal((await ask('GET', '/api/v1/overview')).status, 200);
  assert.deepEqual((await ask('GET', '/api/v1/whoami')).json, { name: 'admin' });
});

test('the first user may not come from elsewhere', async (t) => {
  const { ask } = await rig(t, false);
  assert.equal((await ask('GET', '/api/v1/overview')).status, 403);
});

test('who guesses passwords has to wait, even with the right one', async (t) => {
  const { ask } = await rig(t);
  for (let count = 0; count < 10; count++) {
    assert.equal((await ask('GET', '/api/v1/whoami', { user: `admin:${count}` })).status, 401);
  }
  assert.equal((await ask('GET', '/api/v1/whoami')).status, 429);
});

test('a foreign Host is refused, also for health', async (t) => {
  const { ask } = await rig(t);
  const headers = { host: 'evil.example' };
  assert.equal((await ask('GET', '/health/live', { headers })).status, 403);
});

test('a stream is made, listed, changed and removed', async (t) => {
  const { host, ask } = await rig(t);
  const body = { name: 'a/b c', partitions: 2, retentionMs: 1000, durability: 'async' };
  assert.equal((await ask('POST', '/api/v1/streams', { body })).status, 201);
  assert.equal((await ask('POST', '/api/v1/streams', { body })).status, 409);
  const path = '/api/v1/streams/a%2Fb%20c';
  const shown = (await ask('GET', path)).json;
  assert.equal(shown['durability'], 'async');
  assert.equal((shown['partitionList'] as unknown[]).length, 2);
  const change = { retentionMs: -1, partitions: 3 };
  assert.equal((await ask('PATCH', path, { body: change })).json['partitions'], 3);
  assert.equal(host.broker.streams.get('a/b c')!.settings.retentionMs, -1);
  const list = (await ask('GET', '/api/v1/streams?search=b')).json['items'] as { name: string }[];
  assert.deepEqual(
    list.map((row) => row.name),
    ['a/b c'],
  );
  assert.equal((await ask('DELETE', path)).status, 204);
  assert.equal((await ask('GET', path)).status, 404);
});

test('a body that is not as it should be is refused with the field', async (t) => {
  const { ask } = await rig(t);
  const rows: [unknown, RegExp][] = [
    [{}, /field \\"name\\" is missing/],
    [{ name: 5 }, /field \\"name\\" is no text/],
    [{ name: 'x', colour: 'red' }, /unknown field \\"colour\\"/],
    [{ name: 'x', partitions: 0 }, /partitions/],
    [{ name: 'x', durability: 'safe' }, /memory, async, fsync/],
    [{ name: 'x', retentionMs: -5 }, /retentionMs/],
    [[], /JSON object/],
    ['{"name":', /JSON object/],
  ];
  for (const [body, expected] of rows) {
    const { status, text } = await ask('POST', '/api/v1/streams', { body });
    assert.equal(status, 400);
    assert.match(text, expected);
  }
  const plain = { body: {}, headers: { 'content-type': 'text/plain' } };
  assert.match((await ask('POST', '/api/v1/streams', plain)).text, /content-type/);
  const big = { body: { name: 'x'.repeat(2 << 20) } };
  assert.equal((await ask('POST', '/api/v1/streams', big)).status, 413);
});

test('listings come in pages O7', async (t) => {
  const { ask } = await rig(t);
  const path = '/api/v1/protocols/toy/connections';
  const first = (await ask('GET', `${path}?limit=2`)).json;
  assert.deepEqual(first, { items: [{ id: 1 }, { id: 2 }], next: '2' });
  const second = (await ask('GET', `${path}?limit=2&after=2`)).json;
  assert.deepEqual(second, { items: [{ id: 3 }], next: null });
  assert.equal((await ask('GET', `${path}?limit=0`)).status, 400);
  const all = (await ask('GET', '/api/v1/connections')).json['items'] as unknown[];
  assert.deepEqual(all[0], { protocol: 'toy', id: 1 });
});

test('users are made, changed and removed, but never the last administrator', async (t) => {
  const { ask } = await rig(t);
  const body = { name: 'eve', password: 'one', superuser: true };
  assert.equal((await ask('POST', '/api/v1/users', { body })).status, 201);
  assert.equal((await ask('POST', '/api/v1/users', { body })).status, 409);
  assert.doesNotMatch((await ask('GET', '/api/v1/users')).text, /hash|salt|password/);
  const eve = { user: 'eve:one' };
  assert.equal((await ask('GET', '/api/v1/whoami', eve)).json['name'], 'eve');
  const set = await ask('PUT', '/api/v1/users/eve/password', { body: { password: 'two' } });
  assert.equal(set.status, 204);
  assert.equal((await ask('GET', '/api/v1/whoami', eve)).status, 401);
  assert.equal((await ask('DELETE', '/api/v1/users/eve')).status, 204);
  assert.equal((await ask('DELETE', '/api/v1/users/admin')).status, 409);
});

test('rules and routes are put, listed and removed', async (t) => {
  const { ask } = await rig(t);
  const rule = {
    effect: 'deny',
    principal: 'anonymous',
    actions: ['publish'],
    pattern: 'secret/#',
  };
  assert.equal((await ask('PUT', '/api/v1/rules/no-secrets', { body: rule })).status, 200);
  const bad = { ...rule, actions: ['fly'] };
  assert.equal((await ask('PUT', '/api/v1/rules/x', { body: bad })).status, 400);
  const rules = (await ask('GET', '/api/v1/rules')).json['items'];
  assert.deepEqual(rules, [{ id: 'no-secrets', ...rule, source: 'catalogue' }]);
  assert.equal((await ask('DELETE', '/api/v1/rules/no-secrets')).status, 204);
  assert.deepEqual((await ask('POST', '/api/v1/auth/reload', { body: {} })).json, {
    users: 1,
    rules: 2,
  });
  const route = { pattern: 'plant/#', stream: 'plants', key: 'address' };
  assert.equal((await ask('PUT', '/api/v1/routes/plants', { body: route })).status, 200);
  const routes = (await ask('GET', '/api/v1/routes')).json['items'];
  assert.deepEqual(routes, [{ name: 'plants', ...route }]);
  assert.equal((await ask('DELETE', '/api/v1/routes/plants')).status, 204);
});

test('queues and groups are shown with what waits in them', async (t) => {
  const { host, ask } = await rig(t);
  const { broker } = host;
  broker.streams.create('jobs');
  const message = new Message(flatAddress('jobs'), Buffer.from('one'), 0);
  await new Promise<void>((resolve) => {
    const sink = { published: () => resolve() };
    broker.publish(message, broker.target(message.address, 'first-level'), sink, 0);
  });
  broker.queues.declare('jobs', { durable: true, stream: 'jobs', startOffset: 0 });
  const pinnedBytes = broker.streams.get('jobs')!.partitions[0]!.stat().bytes;
  assert.ok(pinnedBytes > 0);
  const row = { name: 'jobs', durable: true, ready: 1, unacked: 0, consumers: 0, pinnedBytes };
  assert.deepEqual((await ask('GET', '/api/v1/queues')).json['items'], [row]);
  assert.deepEqual((await ask('POST', '/api/v1/queues/jobs/purge', { body: {} })).json, {
    purged: 1,
  });
  const at = { stream: 'jobs', partition: 0, offset: 0, epoch: -1, metadata: '', timeMs: 0 };
  await new Promise((resolve) => broker.cursors.commit('team', [at], resolve));
  const groups = (await ask('GET', '/api/v1/groups')).json['items'];
  assert.deepEqual(groups, [{ name: 'team', partitions: 1, lag: 1 }]);
  assert.equal((await ask('DELETE', '/api/v1/groups/team')).status, 204);
  assert.equal((await ask('GET', '/api/v1/groups/team')).status, 404);
  assert.equal((await ask('GET', '/api/v1/queues/none')).status, 404);
});

test('storage tells what the start found, and writes a checkpoint', async (t) => {
  const { ask } = await rig(t);
  assert.equal((await ask('POST', '/api/v1/storage/checkpoint', { body: {} })).status, 204);
  const { json } = await ask('GET', '/api/v1/storage');
  assert.deepEqual(json['usage'], { walBytes: 1, checkpoints: 1 });
  assert.equal((json['recovery'] as { tornBytes: number }).tornBytes, 3);
});

test('a check of the disk is begun, and tells what it found', async (t) => {
  const { ask } = await rig(t);
  assert.equal((await ask('POST', '/api/v1/storage/check', { body: {} })).status, 201);
  const slow = { body: { bytesPerSecond: 1 } };
  assert.equal((await ask('POST', '/api/v1/storage/check', slow)).status, 400);
  const { json } = await ask('GET', '/api/v1/storage/check');
  assert.equal(json['state'], 'done');
  const [problem] = json['problems'] as { file: string; stream: string | null }[];
  assert.deepEqual([problem?.file, problem?.stream], ['seg-1', null]);
  assert.equal((await ask('DELETE', '/api/v1/storage/check')).status, 204);
});

test('an unknown path and an unknown method are told apart', async (t) => {
  const { ask } = await rig(t);
  assert.equal((await ask('GET', '/nothing')).status, 404);
  assert.equal((await ask('GET', '/api/v1/streams/%zz')).status, 404);
  const method = await ask('DELETE', '/api/v1/streams');
  assert.equal(method.status, 405);
  assert.match(method.text, /GET, POST/);
});

test('the API describes itself, and every route is in there O7', async (t) => {
  const { ask } = await rig(t);
  const { paths } = (await ask('GET', '/api/v1/openapi.json')).json as unknown as {
    paths: Record<string, Record<string, { summary: string }>>;
  };
  for (const { method, path, summary } of ADMIN_ROUTES) {
    const shown = path.replace(/:(\w+)/g, '{$1}');
    assert.equal(paths[shown]![method.toLowerCase()]!.summary, summary);
    assert.match(summary, /^[A-Z].*\.$/);
  }
});

test('every error code has an HTTP status', () => {
  for (const code of ERROR_CODES) assert.ok(HTTP_STATUS[code] >= 400, code);
});
