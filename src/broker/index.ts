/**
 * broker: what all protocols share: addresses and patterns, messages and their stored form,
 * streams, homes and routes, live interest, queues, cursors, last values, definitions, users and
 * their rights. It speaks no protocol's language.
 */

export type { Appended, BatchFacts, Durability, LogStat, StoredBatch } from '#storage';
export {
  Address,
  addressOfLevels,
  addressOfText,
  flatAddress,
  plainDotSpelling,
  type Spelling,
  slashSpelling,
  strictDotSpelling,
} from './addresses/address.ts';
export type { Match, Subscriber, Subscription, SubscriptionRequest } from './addresses/interest.ts';
export {
  matches,
  type Pattern,
  plainDotPattern,
  slashPattern,
  strictDotPattern,
} from './addresses/pattern.ts';
export type { HomeRule, Route } from './addresses/routes.ts';
export {
  Broker,
  type BrokerGiven,
  type BrokerOptions,
  DEFAULT_OPTIONS,
  Target,
} from './broker.ts';
export type { ColdSubscription } from './cold/cold-policy.ts';
export type { DeriveKey } from './principals/derive-key.ts';
export { CLUSTER_ADDRESS, type Place, type StreamPlace, wholeOf } from './principals/place.ts';
export { type PeerFacts, type Principal, SERVER_PRINCIPAL } from './principals/principal.ts';
export type {
  AuthSettings,
  Credentials,
  Origination,
  ScramLogin,
  SourcedRule,
} from './principals/principals.ts';
export {
  ACTIONS,
  type Action,
  type ActionName,
  RULE_KINDS,
  type Rule,
  type RuleKind,
} from './principals/rule.ts';
export { GROUP_ROOT, type NoMatch, TRANSACTION_ROOT } from './principals/rule-book.ts';
export {
  isScram,
  SCRAM_ITERATIONS_MAX,
  SCRAM_ITERATIONS_MIN,
  SCRAM_MECHANISMS,
  type ScramMechanism,
} from './principals/scram.ts';
export type { ProvedToken, TokenCheck } from './principals/token-check.ts';
export type { ForeignPassword, User, UserSettings } from './principals/user-store.ts';
export type { Death, DeathReason } from './queues/dead-letter.ts';
export { type PullRequest, pull } from './queues/pull.ts';
export type { Queue } from './queues/queue.ts';
export type {
  Attachment,
  AttachOptions,
  Delivery,
  QueueConsumer,
} from './queues/queue-consumers.ts';
export type { RequeueOptions } from './queues/queue-host.ts';
export type { QueueCounts } from './queues/queue-lanes.ts';
export type { QueueSettings } from './queues/queue-settings.ts';
export type { Queues } from './queues/queues.ts';
export { type PublishToll, payToll, type TollPayer } from './quotas/publish-toll.ts';
export type {
  Quota,
  QuotaEntity,
  QuotaKind,
  QuotaValues,
} from './quotas/quota.ts';
export type { QuotaClient } from './quotas/quota-client.ts';
export { decompress } from './records/compression.ts';
export { keyFaults, type RecordFault } from './records/key-check.ts';
export {
  type Header,
  headerText,
  Message,
  NO_HEADERS,
  readShownHeaders,
  type ShownHeader,
  shownHeaders,
  TYPE_PREFIX,
  textHeader,
} from './records/message.ts';
export { ORIGINS, type Origin, originOf } from './records/origin.ts';
export { CODEC_NUMBERS, recompressed } from './records/recompress.ts';
export { isCompressed, recordFault } from './records/record-check.ts';
export { timeFaults } from './records/time-check.ts';
export type { CommittedOffset, Cursors } from './state/cursors.ts';
export type { Dedupe, DedupeWindow, WindowLimits } from './state/dedupe.ts';
export type { Definitions, Json } from './state/definitions.ts';
export type { LastValues, WalkPlace } from './state/last-values.ts';
export { once, type PublishedOnce, publishOnce } from './state/publish-once.ts';
export type { StateTable } from './state/state-table.ts';
export type { AbortedTransaction } from './streams/aborted-transactions.ts';
export { LAST_VALUES } from './streams/last-values-stream.ts';
export type { Partition, PublishSink, Run } from './streams/partition.ts';
export type { OpenTransaction } from './streams/partition-transactions.ts';
export {
  CLEANUPS,
  type Cleanup,
  DAY_MS,
  DEFAULT_SETTINGS,
  isCompacted,
  isRetained,
  type Stream,
  type StreamSettings,
  settingsFault,
} from './streams/stream.ts';
export { PARTITIONS_MAX, type StreamEvent, type Streams } from './streams/streams.ts';
export type { Transactions } from './streams/transactions.ts';
export { type DelayedMessage, DelayedMessages } from './time/delayed-messages.ts';
export type { Due, TimeEngine, TimeEntry } from './time/time-engine.ts';
