/** The disk: health, use, what the last start found, the object store. */
import type { AdminStorage } from '../admin-context.ts';
import { done, type JsonObject, ok, type Route } from '../exchange.ts';

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
