/**
 * mqtt: MQTT 3.1, 3.1.1 and 5.0 for clients and bridges. `codec/` knows the bytes, `handlers/`
 * what a server does with a packet, `session.ts` what outlives a connection. It stores nothing
 * itself: messages, queues, last values and session rows are the broker's.
 */
export { mqtt } from './protocol.ts';
