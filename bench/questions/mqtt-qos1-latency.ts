/** How long does one QoS 1 publish take to its PUBACK, beside an fdatasync on the same disk? */

import { mosquitto, mosquittoSqlite } from '../peers/mosquitto.ts';
import type { Question } from '../question.ts';

export const question: Question = {
  name: 'mqtt-qos1-latency',
  title: 'MQTT QoS 1 publish to PUBACK, one at a time',
  measures: 'latency',
  rows: [{ label: '128 B', load: { load: 'mqtt-confirm', payloadBytes: 128, window: 1 } }],
  peers: [mosquitto, mosquittoSqlite],
};
