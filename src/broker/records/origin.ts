/** Through which door a record came in: a small number in the envelope and in the entry index. */

export const ORIGINS = ['server', 'mqtt', 'kafka', 'nats', 'amqp', 'mq9', 'gateway'] as const;

export type Origin = number;

/** The number of a protocol's name; protocols outside the list (tests) share the server's. */
export function originOf(protocol: string): Origin {
  return Math.max(0, (ORIGINS as readonly string[]).indexOf(protocol));
}
