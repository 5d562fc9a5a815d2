/** How long does a request to an echoing service take, one at a time? */

import { natsServer } from '../peers/nats-server.ts';
import type { Question } from '../question.ts';

export const question: Question = {
  name: 'nats-request',
  title: 'NATS request and reply, one at a time',
  measures: 'latency',
  rows: [
    {
      label: '16 B',
      load: { load: 'nats-request', payloadBytes: 16, window: 1 },
      targets: [{ peer: natsServer, atLeast: 1 }],
    },
  ],
  peers: [natsServer],
};
