/** How long is a QoS 0 message on its way at a fixed rate? */

import { mosquitto } from '../peers/mosquitto.ts';
import { rumqttd } from '../peers/rumqttd.ts';
import type { Question } from '../question.ts';

export const question: Question = {
  name: 'mqtt-latency',
  title: 'MQTT QoS 0 at a fixed rate, due to arrived',
  measures: 'latency',
  rows: [
    {
      label: '10 000/s, 128 B',
      load: { load: 'mqtt-paced', payloadBytes: 128, window: 0, perSecond: 10_000 },
    },
    {
      label: '50 000/s, 128 B',
      load: { load: 'mqtt-paced', payloadBytes: 128, window: 0, perSecond: 50_000 },
    },
  ],
  peers: [mosquitto, rumqttd],
};
