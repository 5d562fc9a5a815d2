/** How many NATS core messages each second pass from one publisher to one subscriber? */

import { natsServer } from '../peers/nats-server.ts';
import type { Question, Row } from '../question.ts';

const row = (label: string, payloadBytes: number, atLeast: number): Row => ({
  label,
  load: { load: 'nats-flow', payloadBytes, window: 0 },
  targets: [{ peer: natsServer, atLeast }],
});

export const question: Question = {
  name: 'nats-1to1',
  title: 'NATS core, one publisher to one subscriber',
  measures: 'rate',
  rows: [row('16 B', 16, 2), row('128 B', 128, 1.2), row('1 KiB', 1_024, 0.8)],
  peers: [natsServer],
};
