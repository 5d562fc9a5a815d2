/** How many QoS 1 messages each second pass from a publisher to a QoS 1 subscriber? */

import { mosquitto } from '../peers/mosquitto.ts';
import type { Question } from '../question.ts';

export const question: Question = {
  name: 'mqtt-through',
  title: 'MQTT QoS 1 to a QoS 1 subscriber, window 1 000',
  measures: 'rate',
  rows: [
    {
      label: '128 B',
      load: { load: 'mqtt-through', payloadBytes: 128, window: 1_000 },
      targets: [{ peer: mosquitto, atLeast: 2.5 }],
    },
  ],
  peers: [mosquitto],
};
