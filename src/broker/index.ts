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
} from './address.ts';
export {
  Broker,
  type BrokerGiven,
  type BrokerOptions,
  DEFAULT_OPTIONS,
  Target,
} from './broker.ts';
export type { CommittedOffset, Cursors } from './cursors.ts';
export type { Death, DeathReason } from './dead-letter.ts';
export type { Dedupe, DedupeWindow, WindowLimits } from './dedupe.ts';
export type { Definitions, Json } from './definitions.ts';
export { type DelayedMessage, DelayedMessages } from './delayed-messages.ts';
export type { Match, Subscriber, Subscription, SubscriptionRequest } from './interest.ts';
export { keyFaults, type RecordFault } from './key-check.ts';
export type { LastValues } from './last-values.ts';
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
} from './message.ts';
export { ORIGINS, type Origin, originOf } from './origin.ts';
export type { Partition, PublishSink, Run } from './partition.ts';
export {
  matches,
  type Pattern,
  plainDotPattern,
  slashPattern,
  strictDotPattern,
} from './pattern.ts';
export { type Principal, SERVER_PRINCIPAL } from './principal.ts';
export {
  ACTIONS,
  type Action,
  type Credentials,
  type DeriveKey,
  type Rule,
  type User,
} from './principals.ts';
export { type PublishedOnce, publishOnce } from './publish-once.ts';
export { type PullRequest, pull } from './pull.ts';
export type { Queue } from './queue.ts';
export type { Attachment, AttachOptions, Delivery, QueueConsumer } from './queue-consumers.ts';
export type { RequeueOptions } from './queue-host.ts';
export type { QueueCounts } from './queue-lanes.ts';
export type { QueueSettings } from './queue-settings.ts';
export type { Queues } from './queues.ts';
export type { HomeRule, Route } from './routes.ts';
export type { StateTable } from './state-table.ts';
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
} from './stream.ts';
export { PARTITIONS_MAX, type StreamEvent, type Streams } from './streams.ts';
export type { Due, TimeEngine, TimeEntry } from './time-engine.ts';
