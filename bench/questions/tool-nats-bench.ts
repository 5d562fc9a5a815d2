/** What does nats-bench say? */

import { natsServer } from '../peers/nats-server.ts';
import type { Question } from '../question.ts';
import { natsBench } from '../tools/nats-bench.ts';

export const question: Question = {
  name: 'tool-nats-bench',
  title: 'nats-bench, one publisher, one subscriber',
  measures: 'rate',
  group: 'tools',
  rows: [
    { label: '128 B', load: { load: 'nats-flow', payloadBytes: 128, window: 0 }, tool: natsBench },
  ],
  peers: [natsServer],
};
