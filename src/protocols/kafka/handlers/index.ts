/** Which function serves which API. A message pair without a line here fails the room's test. */
import type { Operation } from '../operation.ts';
import { createAclsOperation, deleteAclsOperation, describeAclsOperation } from './acls.ts';
import { alterConfigsOperation, incrementalAlterConfigsOperation } from './alter-configs.ts';
import { apiVersionsOperation } from './api-versions.ts';
import { saslAuthenticateOperation, saslHandshakeOperation } from './authentication.ts';
import { alterClientQuotasOperation, describeClientQuotasOperation } from './client-quotas.ts';
import {
  describeClusterOperation,
  describeTopicPartitionsOperation,
  findCoordinatorOperation,
  metadataOperation,
} from './cluster.ts';
import {
  offsetCommitOperation,
  offsetDeleteOperation,
  offsetFetchOperation,
} from './committed-offsets.ts';
import { describeConfigsOperation, listConfigResourcesOperation } from './configs.ts';
import { consumerDescribeOperation, consumerHeartbeatOperation } from './consumer-membership.ts';
import { fetchOperation } from './fetch.ts';
import {
  deleteGroupsOperation,
  describeGroupsOperation,
  listGroupsOperation,
} from './group-admin.ts';
import {
  heartbeatOperation,
  joinGroupOperation,
  leaveGroupOperation,
  syncGroupOperation,
} from './membership.ts';
import {
  deleteRecordsOperation,
  listOffsetsOperation,
  offsetForLeaderEpochOperation,
} from './offsets-of-logs.ts';
import {
  alterReassignmentsOperation,
  alterReplicaLogDirsOperation,
  describeQuorumOperation,
  electLeadersOperation,
  listReassignmentsOperation,
} from './one-broker.ts';
import { produceOperation } from './produce.ts';
import { alterScramOperation, describeScramOperation } from './scram-users.ts';
import { shareDescribeOperation, shareHeartbeatOperation } from './share-membership.ts';
import {
  alterShareOffsetsOperation,
  deleteShareOffsetsOperation,
  describeShareOffsetsOperation,
} from './share-offsets.ts';
import { shareAcknowledgeOperation, shareFetchOperation } from './share-records.ts';
import { getTelemetryOperation, pushTelemetryOperation } from './telemetry.ts';
import {
  createPartitionsOperation,
  createTopicsOperation,
  deleteTopicsOperation,
  describeLogDirsOperation,
} from './topic-admin.ts';
import {
  describeProducersOperation,
  describeTransactionsOperation,
  listTransactionsOperation,
  writeTxnMarkersOperation,
} from './transaction-admin.ts';
import {
  addOffsetsToTxnOperation,
  addPartitionsToTxnOperation,
  endTxnOperation,
  initProducerIdOperation,
  txnOffsetCommitOperation,
} from './transactions.ts';
import { updateFeaturesOperation } from './update-features.ts';

const ALL: readonly Operation[] = [
  produceOperation,
  fetchOperation,
  listOffsetsOperation,
  metadataOperation,
  offsetCommitOperation,
  offsetFetchOperation,
  findCoordinatorOperation,
  joinGroupOperation,
  heartbeatOperation,
  leaveGroupOperation,
  syncGroupOperation,
  describeGroupsOperation,
  listGroupsOperation,
  saslHandshakeOperation,
  apiVersionsOperation,
  createTopicsOperation,
  deleteTopicsOperation,
  deleteRecordsOperation,
  initProducerIdOperation,
  offsetForLeaderEpochOperation,
  addPartitionsToTxnOperation,
  addOffsetsToTxnOperation,
  endTxnOperation,
  writeTxnMarkersOperation,
  txnOffsetCommitOperation,
  describeAclsOperation,
  createAclsOperation,
  deleteAclsOperation,
  describeConfigsOperation,
  alterReplicaLogDirsOperation,
  describeLogDirsOperation,
  saslAuthenticateOperation,
  createPartitionsOperation,
  deleteGroupsOperation,
  incrementalAlterConfigsOperation,
  offsetDeleteOperation,
  describeClientQuotasOperation,
  alterClientQuotasOperation,
  describeScramOperation,
  alterScramOperation,
  updateFeaturesOperation,
  describeClusterOperation,
  describeProducersOperation,
  describeTransactionsOperation,
  listTransactionsOperation,
  alterConfigsOperation,
  electLeadersOperation,
  alterReassignmentsOperation,
  listReassignmentsOperation,
  describeQuorumOperation,
  consumerHeartbeatOperation,
  consumerDescribeOperation,
  getTelemetryOperation,
  pushTelemetryOperation,
  listConfigResourcesOperation,
  describeTopicPartitionsOperation,
  shareHeartbeatOperation,
  shareDescribeOperation,
  shareFetchOperation,
  shareAcknowledgeOperation,
  describeShareOffsetsOperation,
  alterShareOffsetsOperation,
  deleteShareOffsetsOperation,
];

export const OPERATIONS: ReadonlyMap<number, Operation> = new Map(
  ALL.map((operation) => [operation.api.pair.key, operation]),
);
