/**
 * AddPartitionsToTxn (key 24). From version 4 on it speaks of several transactions, which brokers
 * use among each other and some clients as well.
 */
import type { MessagePair, Rows } from '../rows.ts';

const TOPICS = [
  { name: 'name', type: 'string' },
  { name: 'partitions', type: 'array', of: 'int32' },
] as const satisfies Rows;

const TOPIC_RESULTS = [
  { name: 'name', type: 'string' },
  {
    name: 'resultsByPartition',
    type: 'array',
    of: [
      { name: 'partitionIndex', type: 'int32' },
      { name: 'partitionErrorCode', type: 'int16' },
    ],
  },
] as const satisfies Rows;

export const addPartitionsToTxn = {
  key: 24,
  name: 'AddPartitionsToTxn',
  versions: [0, 5],
  flexible: 3,
  request: [
    {
      name: 'transactions',
      type: 'array',
      since: 4,
      of: [
        { name: 'transactionalId', type: 'string' },
        { name: 'producerId', type: 'int64' },
        { name: 'producerEpoch', type: 'int16' },
        { name: 'verifyOnly', type: 'bool', default: false },
        { name: 'topics', type: 'array', of: TOPICS },
      ],
    },
    { name: 'v3AndBelowTransactionalId', type: 'string', until: 3, default: '' },
    { name: 'v3AndBelowProducerId', type: 'int64', until: 3, default: -1 },
    { name: 'v3AndBelowProducerEpoch', type: 'int16', until: 3, default: -1 },
    { name: 'v3AndBelowTopics', type: 'array', until: 3, of: TOPICS },
  ],
  response: [
    { name: 'throttleTimeMs', type: 'int32', default: 0 },
    { name: 'errorCode', type: 'int16', since: 4, default: 0 },
    {
      name: 'resultsByTransaction',
      type: 'array',
      since: 4,
      of: [
        { name: 'transactionalId', type: 'string' },
        { name: 'topicResults', type: 'array', of: TOPIC_RESULTS },
      ],
    },
    { name: 'resultsByTopicV3AndBelow', type: 'array', until: 3, of: TOPIC_RESULTS },
  ],
} as const satisfies MessagePair;
