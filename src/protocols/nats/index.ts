/**
 * nats: core NATS. Publish and subscribe by subjects with wildcards, queue groups, request and
 * reply, headers; over TCP, TLS by upgrade, and WebSocket. Messages on subjects that a stream
 * captures are appended to it. Not here: JetStream, routes, leaf nodes, accounts.
 */
export { nats } from './protocol.ts';
