/** How long does one QoS 1 publish take to its PUBACK, beside an fdatasync on the same disk? */

import { disk } from '../peers/disk.ts';
import { mosquitto, mosquittoSqlite } from '../peers/mosquitto.ts';
import type { Question } from '../question.ts';

/** Times an fdatasync that an acknowledgement may take. */
const FLUSHES = 1.7;

export const question: Question = {
  name: 'mqtt-qos1-latency',
  title: 'MQTT QoS 1 publish to PUBACK, one at a time',
  measures: 'latency',
  rows: [
    {
      label: '128 B',
      load: { load: 'mqtt-confirm', payloadBytes: 128, window: 1 },
      targets: [{ peer: disk, atLeast: 1 / FLUSHES }],
    },
  ],
  peers: [disk, mosquitto, mosquittoSqlite],
};
