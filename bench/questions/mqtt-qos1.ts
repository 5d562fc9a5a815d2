/** How many QoS 1 publishes each second are acknowledged while a durable session keeps them all? */

import { mosquitto, mosquittoSqlite } from '../peers/mosquitto.ts';
import { rumqttd } from '../peers/rumqttd.ts';
import type { Question, Target } from '../question.ts';

const targets: readonly Target[] = [
  { peer: mosquitto, atLeast: 2 },
  { peer: mosquittoSqlite, atLeast: 5 },
];

export const question: Question = {
  name: 'mqtt-qos1',
  title: 'MQTT QoS 1 publish, a durable session keeps each message',
  measures: 'rate',
  rows: [
    {
      label: 'window 1 000, 128 B',
      load: { load: 'mqtt-confirm', payloadBytes: 128, window: 1_000 },
      targets: [...targets, { peer: rumqttd, atLeast: 0.8 }],
    },
    {
      label: '16 publishers of window 100, 128 B',
      load: { load: 'mqtt-confirm', payloadBytes: 128, window: 100, publishers: 16 },
      targets,
    },
  ],
  peers: [mosquitto, mosquittoSqlite, rumqttd],
};
