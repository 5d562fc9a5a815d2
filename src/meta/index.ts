/**
 * meta: the catalogue. Small named values, changed atomically and durably: definitions of streams,
 * users and queues, and the checkpoints of hot state. Knows nothing of what they mean.
 */
export { checkCatalogue } from './check-catalogue.ts';
export { openMemoryStore } from './memory-store.ts';
export type { MetaChange, MetaRow, MetaSpan, MetaStore } from './meta-store.ts';
export { openSqliteStore } from './sqlite-store.ts';
