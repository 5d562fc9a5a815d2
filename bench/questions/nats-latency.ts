/** How long is a NATS message on its way at a fixed rate? */

import { natsServer } from '../peers/nats-server.ts';
import type { Question } from '../question.ts';

export const question: Question = {
  name: 'nats-latency',
  title: 'NATS core at a fixed rate, due to arrived',
  measures: 'latency',
  rows: [
    {
      label: '10 000/s, 128 B',
      load: { load: 'nats-paced', payloadBytes: 128, window: 0, perSecond: 10_000 },
    },
    {
      label: '50 000/s, 128 B',
      load: { load: 'nats-paced', payloadBytes: 128, window: 0, perSecond: 50_000 },
    },
  ],
  peers: [natsServer],
};
