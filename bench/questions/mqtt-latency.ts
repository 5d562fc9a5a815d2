/** How long is a QoS 0 message on its way at a fixed rate? */

import { mosquitto } from '../peers/mosquitto.ts';
import { rumqttd } from '../peers/rumqttd.ts';
import type { Question, Row, Target } from '../question.ts';

const targets: readonly Target[] = [
  { peer: mosquitto, atLeast: 1, of: 'p50' },
  { peer: mosquitto, atLeast: 1, of: 'p99' },
  { peer: mosquitto, atLeast: 1, of: 'p999' },
  { peer: rumqttd, atLeast: 1, of: 'p50' },
  { peer: rumqttd, atLeast: 1, of: 'p99' },
  { peer: rumqttd, atLeast: 1, of: 'p999' },
];

const row = (label: string, perSecond: number): Row => ({
  label,
  load: { load: 'mqtt-paced', payloadBytes: 128, window: 0, perSecond },
  targets,
});

export const question: Question = {
  name: 'mqtt-latency',
  title: 'MQTT QoS 0 at a fixed rate, due to arrived',
  measures: 'latency',
  rows: [row('10 000/s, 128 B', 10_000), row('50 000/s, 128 B', 50_000)],
  peers: [mosquitto, rumqttd],
};
