/** How many deliveries each second do four publishers to four subscribers make? */

import { natsServer } from '../peers/nats-server.ts';
import type { Question } from '../question.ts';

export const question: Question = {
  name: 'nats-fan-out',
  title: 'NATS core deliveries',
  measures: 'rate',
  rows: [
    {
      label: '4 to 4, 128 B',
      load: { load: 'nats-flow', payloadBytes: 128, window: 0, publishers: 4, subscribers: 4 },
      targets: [{ peer: natsServer, atLeast: 1 }],
    },
  ],
  peers: [natsServer],
};
