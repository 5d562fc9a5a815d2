/** How many QoS 1 publishes each second are acknowledged while a durable session keeps them all? */

import { mosquitto, mosquittoSqlite } from '../peers/mosquitto.ts';
import { rumqttd } from '../peers/rumqttd.ts';
import type { Question } from '../question.ts';

export const question: Question = {
  name: 'mqtt-qos1',
  title: 'MQTT QoS 1 publish, window 1 000, a durable session keeps each message',
  measures: 'rate',
  rows: [
    { label: '128 B', load: { load: 'mqtt-confirm', payloadBytes: 128, window: 1_000 } },
    {
      label: '16 publishers of window 100, 128 B',
      load: { load: 'mqtt-confirm', payloadBytes: 128, window: 100, publishers: 16 },
    },
  ],
  peers: [mosquitto, mosquittoSqlite, rumqttd],
};
