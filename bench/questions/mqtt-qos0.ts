/** How many QoS 0 messages each second pass from one publisher to one subscriber? */

import { mosquitto } from '../peers/mosquitto.ts';
import { rumqttd } from '../peers/rumqttd.ts';
import type { Question } from '../question.ts';

export const question: Question = {
  name: 'mqtt-qos0',
  title: 'MQTT QoS 0, one publisher to one subscriber',
  measures: 'rate',
  rows: [
    {
      label: '128 B',
      load: { load: 'mqtt-flow', payloadBytes: 128, window: 0 },
      targets: [
        { peer: mosquitto, atLeast: 2.5 },
        { peer: rumqttd, atLeast: 1.2 },
      ],
    },
  ],
  peers: [mosquitto, rumqttd],
};
