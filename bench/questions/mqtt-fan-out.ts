/** How many QoS 0 deliveries each second does one message to many subscribers make? */

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
    },
    {
      label: '1 to 100, 128 B',
      load: { load: 'mqtt-flow', payloadBytes: 128, window: 0, subscribers: 100 },
    },
  ],
  peers: [mosquitto, rumqttd],
};
