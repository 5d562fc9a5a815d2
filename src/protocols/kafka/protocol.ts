/** The Kafka protocol as the server sees it. */
import type { Protocol } from '#contract';
import { parseAdvertised } from './advertised.ts';
import { options } from './options.ts';
import { Room } from './room.ts';

export const kafka: Protocol<typeof options> = {
  name: 'kafka',
  options,
  listeners: ({ listen, tlsListen }) => [
    { name: 'kafka', transport: 'tcp', listen },
    { name: 'kafka-tls', transport: 'tls', listen: tlsListen },
  ],
  resources: [
    {
      noun: 'connections',
      columns: ['id', 'peer', 'principal', 'client', 'software', 'encrypted', 'inFlight'],
    },
    { noun: 'groups', columns: ['group', 'state', 'members'] },
    {
      noun: 'transactions',
      columns: ['id', 'state', 'producerId', 'epoch', 'partitions', 'since', 'timeoutMs'],
    },
    {
      noun: 'client-metrics',
      columns: ['instance', 'client', 'software', 'peer', 'metric', 'value'],
    },
  ],
  open(host, values) {
    for (const text of values.advertised) parseAdvertised(text);
    return new Room(host, values);
  },
};
