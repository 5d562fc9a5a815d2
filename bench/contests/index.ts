/** All contests in the order in which they are held. */

import type { Contest } from '../contest.ts';
import { contest as connectStorm } from './connect-storm.ts';
import { mqttIdle, natsIdle } from './idle-connections.ts';
import { contest as kafkaRebalance } from './kafka-rebalance.ts';
import { contest as kafkaStart } from './kafka-start.ts';
import { kafkaTools } from './kafka-tools.ts';
import { contest as kafkaToolsLatency } from './kafka-tools-latency.ts';
import { contest as kafkaToolsShare } from './kafka-tools-share.ts';
import { contest as mqttConnect } from './mqtt-connect.ts';
import { contest as mqttMatch } from './mqtt-match.ts';
import { contest as mqttSubscribers } from './mqtt-subscribers.ts';

export const contests: readonly Contest[] = [
  ...[mqttIdle, natsIdle, mqttMatch, mqttSubscribers, mqttConnect, connectStorm],
  ...[kafkaRebalance, kafkaStart],
  ...[...kafkaTools, kafkaToolsLatency, kafkaToolsShare],
];
