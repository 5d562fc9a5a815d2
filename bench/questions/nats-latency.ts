/** How long is a NATS message on its way at a fixed rate? */

import { natsServer } from '../peers/nats-server.ts';
import type { Question, Row, Target } from '../question.ts';

const targets: readonly Target[] = [
  { peer: natsServer, atLeast: 1, of: 'p50' },
  { peer: natsServer, atLeast: 1, of: 'p99' },
  { peer: natsServer, atLeast: 1, of: 'p999' },
];

const row = (label: string, perSecond: number): Row => ({
  label,
  load: { load: 'nats-paced', payloadBytes: 128, window: 0, perSecond },
  targets,
});

export const question: Question = {
  name: 'nats-latency',
  title: 'NATS core at a fixed rate, due to arrived',
  measures: 'latency',
  rows: [row('10 000/s, 128 B', 10_000), row('50 000/s, 128 B', 50_000)],
  peers: [natsServer],
};
