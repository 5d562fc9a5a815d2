/**
 * With and without a flush before the acknowledgement, chosen by the topic, so that one server of
 * each kind serves both.
 */

import { kafkaPageCache, kafkaWith } from './apache-kafka.ts';
import { ours } from './ours.ts';
import type { Side } from './peer.ts';

export const kafkaTopicFlush: Side = {
  ...kafkaPageCache,
  setting: 'flush.messages=1',
  durability: 'fsync before the answer',
  topicConfigs: { 'flush.messages': '1' },
};

export const oursAsync: Side = {
  ...ours,
  setting: 'robustmq.durability=async',
  durability: 'memory, on disk 100 ms later',
  topicConfigs: { 'robustmq.durability': 'async' },
};

/** A flush beside a flush, none beside none, and ours beside what people run. */
export const WITH_AND_WITHOUT: readonly (readonly [Side, Side])[] = [
  [ours, kafkaTopicFlush],
  [oursAsync, kafkaPageCache],
  [ours, kafkaPageCache],
];

/** Waits as long for more members of an empty group as ours does. */
export const kafkaWithDelay: Side = kafkaWith(
  'group.initial.rebalance.delay.ms=100',
  kafkaPageCache.durability,
  ['group.initial.rebalance.delay.ms=100'],
);
