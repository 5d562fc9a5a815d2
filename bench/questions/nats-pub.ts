/** How many NATS core messages each second does one publisher get rid of when nobody listens? */

import { natsServer } from '../peers/nats-server.ts';
import type { Question } from '../question.ts';

export const question: Question = {
  name: 'nats-pub',
  title: 'NATS core, one publisher, no subscriber',
  measures: 'rate',
  rows: [
    {
      label: '128 B',
      load: { load: 'nats-publish', payloadBytes: 128, window: 0 },
      targets: [{ peer: natsServer, atLeast: 1.5 }],
    },
  ],
  peers: [natsServer],
};
