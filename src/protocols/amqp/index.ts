/**
 * amqp: AMQP 0-9-1 with RabbitMQ's extensions. Exchanges, queues and confirms are views of the one
 * log: the room keeps names, bindings and credit, the messages are the broker's.
 */
export { amqp } from './protocol.ts';
