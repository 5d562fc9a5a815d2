/** How many QoS 0 deliveries each second do several subscribers of one topic get? */

import { mosquitto } from '../peers/mosquitto.ts';
import { rumqttd } from '../peers/rumqttd.ts';
import type { Question } from '../question.ts';

export const question: Question = {
  name: 'mqtt-fan-out',
  title: 'MQTT QoS 0 deliveries',
  measures: 'rate',
  rows: [
    {
      label: '4 to 4, 128 B',
      load: { load: 'mqtt-flow', payloadBytes: 128, window: 0, publishers: 4, subscribers: 4 },
      targets: [{ peer: mosquitto, atLeast: 8 }],
    },
    {
      label: '1 to 100, 128 B',
      load: { load: 'mqtt-flow', payloadBytes: 128, window: 0, subscribers: 100 },
      targets: [
        { peer: mosquitto, atLeast: 8 },
        { peer: rumqttd, atLeast: 0.8 },
      ],
    },
  ],
  peers: [mosquitto, rumqttd],
};
