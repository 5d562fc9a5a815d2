/** AMQP as the server sees it: options, listeners, what admin lists. */
import type { Protocol } from '#contract';
import { options } from './options.ts';
import { AmqpServer } from './server.ts';

export const amqp: Protocol<typeof options> = {
  name: 'amqp',
  options,
  listeners: (values) => [
    { name: 'amqp', transport: 'tcp', listen: values.listen },
    { name: 'amqp-tls', transport: 'tls', listen: values.tlsListen },
  ],
  resources: [
    { noun: 'connections', columns: ['id', 'name', 'user', 'peer', 'channels', 'state'] },
    { noun: 'exchanges', columns: ['name', 'type', 'durable', 'autoDelete', 'internal'] },
    {
      noun: 'queues',
      columns: ['name', 'durable', 'exclusive', 'autoDelete', 'ready', 'unacked', 'consumers'],
    },
    { noun: 'bindings', columns: ['source', 'destination', 'key'] },
  ],
  open: (host, values) => new AmqpServer(host, values),
};
