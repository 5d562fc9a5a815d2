/** The disk: health, use, what the last start found, the object store. */
import type { Broker } from '#broker';
import { BrokerError } from '#kit';
import type { AdminStorage } from '../admin-context.ts';
import { created, done, type JsonObject, ok, type Route } from '../exchange.ts';
import { readFields } from '../fields.ts';

/** How fast a check reads when it is not said: foreground work hardly feels it. */
const CHECK_RATE = 32 << 20;
const CHECK_RATE_MIN = 1 << 16;

export const STORAGE_ROUTES: readonly Route[] = [
  {
    method: 'GET',
    path: '/api/v1/storage',
    summary: 'Health and use of the disk, what the last start found, and the object store.',
    run: ({ context: { storage } }) => ok(storageRow(storage)),
  },
  {
    method: 'POST',
    path: '/api/v1/storage/checkpoint',
    summary: 'Writes a checkpoint now, so that the next start reads less.',
    async run({ context }) {
      await context.storage.checkpoint();
      return done;
    },
  },
  {
    method: 'POST',
    path: '/api/v1/storage/check',
    summary: 'Begins to read everything that is stored here, `bytesPerSecond` at most.',
    run({ context: { broker, storage }, body }) {
      const { bytesPerSecond = CHECK_RATE } = readFields(body, { bytesPerSecond: 'integer?' });
      if (bytesPerSecond < CHECK_RATE_MIN) {
        throw new BrokerError('invalid-argument', `bytesPerSecond: at least ${CHECK_RATE_MIN}.`);
      }
      storage.check.start(bytesPerSecond);
      return created(checkRow(broker, storage));
    },
  },
  {
    method: 'GET',
    path: '/api/v1/storage/check',
    summary: 'Tells how far the check of the disk is, and the damaged places that it found.',
    run: ({ context: { broker, storage } }) => ok(checkRow(broker, storage)),
  },
  {
    method: 'DELETE',
    path: '/api/v1/storage/check',
    summary: 'Ends the check of the disk.',
    async run({ context: { storage } }) {
      await storage.check.cancel();
      return done;
    },
  },
];

function storageRow(storage: AdminStorage): JsonObject {
  const { health, report } = storage;
  const { milliseconds, entriesReplayed, tornBytes } = report;
  const remote = storage.remote();
  return {
    health,
    usage: storage.usage(),
    recovery: { milliseconds, entriesReplayed, tornBytes },
    damaged: report.damaged.map((range) => ({ ...range })),
    remote: remote === null ? null : { ...remote },
  };
}

function checkRow(broker: Broker, { check, usage }: AdminStorage): JsonObject {
  const { state, startedAtMs, endedAtMs, bytes, problems, reason } = check.status();
  const time = (ms: number): string | null => (ms === 0 ? null : new Date(ms).toISOString());
  const names = problems.length === 0 ? null : partitionNames(broker);
  const all = Object.values(usage()).reduce((sum, value) => sum + value, 0);
  return {
    state,
    startedAt: time(startedAtMs),
    endedAt: state === 'running' ? null : time(endedAtMs),
    bytes,
    // What write-ahead files hold beyond their entries is not read, so this is the most.
    bytesMax: all,
    reason,
    problems: problems.map((problem) => ({
      ...problem,
      stream: names?.get(problem.logId) ?? null,
    })),
  };
}

/** `name/partition` by the number of the log. */
function partitionNames(broker: Broker): Map<number, string> {
  const names = new Map<number, string>();
  for (const { name, partitions } of broker.streams.list()) {
    for (const { index, log } of partitions) names.set(log.id, `${name}/${index}`);
  }
  return names;
}
