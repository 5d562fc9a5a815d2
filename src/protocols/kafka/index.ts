/**
 * kafka: the Kafka protocol as its clients of the years 2018 to today speak it, one node, broker id
 * 0. Topics are streams, record batches pass unopened in both directions. Reading order: `rows.ts`,
 * `messages/`, `compile.ts`, `codec.ts`, then `session.ts`, `room.ts`, `handlers/`, `groups/`.
 */
export { kafka } from './protocol.ts';
