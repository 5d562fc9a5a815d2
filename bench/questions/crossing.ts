/** How many messages each second come in over MQTT QoS 1 and go out to a Kafka consumer? */

import { bridged } from '../peers/bridged.ts';
import type { Question } from '../question.ts';

export const question: Question = {
  name: 'crossing',
  title: 'MQTT QoS 1 in, Kafka out, 16 publishers of window 100, one consumer',
  measures: 'rate',
  out: 'kafka',
  rows: [
    {
      label: '128 B',
      load: { load: 'mqtt-crossing', payloadBytes: 128, window: 100, publishers: 16 },
      targets: [{ peer: bridged, atLeast: 5 }],
    },
  ],
  peers: [bridged],
};
