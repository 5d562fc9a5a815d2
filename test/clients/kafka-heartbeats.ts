/** Heartbeats of the newer group protocol are short, so that no test waits for the usual ones. */
export const SHORT_HEARTBEATS: readonly string[] = [
  'heartbeat-interval-min',
  'heartbeat-interval',
].flatMap((name) => [`--kafka-consumer-${name}`, '200ms']);
