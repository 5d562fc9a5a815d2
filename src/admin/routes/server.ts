/** The server itself: health, metrics, overview, protocols and what they list, storage. */
import { BrokerError } from '#kit';
import type { AdminContext, AdminProtocol } from '../admin-context.ts';
import { type Call, type Json, type JsonObject, ok, page, type Route } from '../exchange.ts';
import { renderMetrics } from '../metrics-text.ts';
import { processFamilies } from '../process-metrics.ts';

export const SERVER_ROUTES: readonly Route[] = [
  {
    method: 'GET',
    path: '/health/live',
    summary: 'Answers as long as the process does.',
    open: 'all',
    run: () => ok({ status: 'live' }),
  },
  {
    method: 'GET',
    path: '/health/ready',
    summary: 'Tells whether clients can be served: 200, or 503 with the reason.',
    open: 'all',
    run: ({ context }) => readiness(context),
  },
  {
    method: 'GET',
    path: '/metrics',
    summary: 'All metrics in the Prometheus text format.',
    open: 'loopback',
    run({ context }) {
      const families = [...context.metrics.read(), ...processFamilies()];
      return { status: 200, body: renderMetrics(families) };
    },
  },
  {
    method: 'GET',
    path: '/api/v1/overview',
    summary: 'The server in a few numbers.',
    run: ({ context }) => ok(overview(context)),
  },
  {
    method: 'GET',
    path: '/api/v1/protocols',
    summary: 'Lists the protocols and the nouns that each can list.',
    run: (call) => page(call, call.context.protocols.map(protocolRow)),
  },
  {
    method: 'GET',
    path: '/api/v1/protocols/:name/:noun',
    summary: 'Lists what a protocol has of a noun, such as connections or sessions.',
    run: (call) => page(call, resources(call)),
  },
  {
    method: 'GET',
    path: '/api/v1/connections',
    summary: 'Lists the connections of all protocols.',
    run: ({ context, ...call }) => page({ context, ...call }, connections(context)),
  },
  {
    method: 'GET',
    path: '/api/v1/listeners',
    summary: 'Lists the open listeners.',
    run: (call) =>
      page(
        call,
        call.context.listeners().map((one) => listenerRow(one)),
      ),
  },
];

function readiness({ storage, phase }: AdminContext): { status: number; body: Json } {
  const problems: string[] = [];
  if (phase() !== 'ready') problems.push(`the server is ${phase()}`);
  if (storage.health === 'full') problems.push('the disk is full: appends are refused');
  if (storage.health === 'failed') problems.push('the disk failed: only reads are served');
  const ready = problems.length === 0;
  return {
    status: ready ? 200 : 503,
    body: {
      status: ready ? 'ready' : 'not ready',
      storage: storage.health,
      problems,
      warnings: warnings(storage),
    },
  };
}

/** What needs somebody's care although clients are served. */
function warnings({ remote }: AdminContext['storage']): string[] {
  const status = remote();
  if (status === null) return [];
  const found: string[] = [];
  const { state, awaySinceMs, reason, missingObjects } = status;
  if (state === 'away') {
    const since = new Date(awaySinceMs ?? 0).toISOString();
    found.push(`the object store is away since ${since}: ${reason}`);
  }
  if (missingObjects > 0) found.push(`the object store has lost ${missingObjects} objects`);
  return found;
}

function overview({
  broker,
  storage,
  version,
  serverId,
  phase,
  listeners,
}: AdminContext): JsonObject {
  const { rss, heapUsed } = process.memoryUsage();
  return {
    version,
    serverId,
    phase: phase(),
    uptimeSeconds: Math.floor(process.uptime()),
    node: process.version,
    storage: storage.health,
    connections: listeners().reduce((sum, one) => sum + one.connections, 0),
    streams: broker.streams.count,
    queues: [...broker.queues.list()].length,
    subscriptions: broker.subscriptionCount,
    lastValues: broker.lastValues.count,
    residentBytes: rss,
    heapBytes: heapUsed,
  };
}

function protocolRow({ name, resources }: AdminProtocol): JsonObject {
  return {
    name,
    resources: resources.map(({ noun, columns }) => ({ noun, columns: [...columns] })),
  };
}

function resources({ context, params }: Call): Iterable<Json> {
  const protocol = context.protocols.find((one) => one.name === params['name']);
  const noun = protocol?.resources.find((one) => one.noun === params['noun']);
  if (protocol === undefined || noun === undefined) {
    throw new BrokerError('invalid-name', `${params['name']} lists no ${params['noun']}.`);
  }
  return protocol.instance.list?.(noun.noun) ?? [];
}

function* connections({ protocols }: AdminContext): Iterable<Json> {
  for (const { name, resources, instance } of protocols) {
    if (!resources.some((one) => one.noun === 'connections')) continue;
    for (const row of instance.list?.('connections') ?? []) yield { protocol: name, ...row };
  }
}

function listenerRow(listener: ReturnType<AdminContext['listeners']>[number]): JsonObject {
  const { name, transport, addresses, connections } = listener;
  return {
    name,
    transport,
    addresses: addresses.map(({ address, port }) => ({ address, port })),
    connections,
  };
}
