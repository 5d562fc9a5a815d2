/**
 * ConsumerGroupHeartbeat on one group: who is it, is its epoch the right one, what does it want,
 * and what is it told (KIP-848). The order of checks and the errors are those of Kafka.
 */
import { KAFKA } from '../error-codes.ts';
import { type Assignment, isSame, isWithin } from './assignment.ts';
import { ASSIGNORS } from './assignors.ts';
import type { ConsumerGroup } from './consumer-group.ts';
import {
  AWAY_EPOCH,
  type ConsumerMember,
  type MemberFacts,
  NEW_MEMBER,
} from './consumer-member.ts';

const JOIN_EPOCH = 0;
const LEAVE_EPOCH = -1;
/** First version in which clients make their own member ids. */
const OWN_ID_SINCE = 1;

export interface Heartbeat {
  readonly version: number;
  readonly memberId: string;
  readonly memberEpoch: number;
  readonly instanceId: string | null;
  readonly rackId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  /** -1 and null in what follows: as before. */
  readonly rebalanceTimeoutMs: number;
  readonly topicNames: readonly string[] | null;
  readonly pattern: string | null;
  readonly assignor: string | null;
  readonly owned: Assignment | null;
}

/** Names that a pattern stands for, for this client; and the version of that answer. */
export interface Matches {
  readonly version: number;
  readonly names: (pattern: string) => readonly string[];
}

export interface HeartbeatAnswer {
  readonly errorCode: number;
  readonly errorMessage: string | null;
  readonly memberId: string | null;
  readonly memberEpoch: number;
  readonly heartbeatIntervalMs: number;
  /** Null: as before. */
  readonly assignment: Assignment | null;
}

export function refusedBeat(errorCode: number, errorMessage: string): HeartbeatAnswer {
  const nothing = { memberId: null, memberEpoch: 0, heartbeatIntervalMs: 0, assignment: null };
  return { errorCode, errorMessage, ...nothing };
}

/** What is wrong with the request whatever the group, or null. */
export function heartbeatFault(request: Heartbeat, groupId: string): HeartbeatAnswer | null {
  const { memberId, memberEpoch, instanceId, rackId, rebalanceTimeoutMs, assignor } = request;
  const bad = (message: string) => refusedBeat(KAFKA.INVALID_REQUEST, message);
  const needsId = request.version >= OWN_ID_SINCE || memberEpoch !== JOIN_EPOCH;
  if (needsId && memberId.trim() === '') return bad("MemberId can't be empty.");
  if (groupId.trim() === '') return bad("GroupId can't be empty.");
  if (instanceId?.trim() === '') return bad("InstanceId can't be empty.");
  if (rackId?.trim() === '') return bad("RackId can't be empty.");
  if (memberEpoch < AWAY_EPOCH) return bad(`MemberEpoch is ${memberEpoch}.`);
  if (memberEpoch === AWAY_EPOCH && instanceId === null) return bad("InstanceId can't be null.");
  if (memberEpoch === JOIN_EPOCH) {
    if (rebalanceTimeoutMs === -1) {
      return bad('RebalanceTimeoutMs must be provided in first request.');
    }
    if (request.owned === null || request.owned.size > 0) {
      return bad('TopicPartitions must be empty when (re-)joining.');
    }
    if (request.topicNames === null && request.pattern === null) {
      return bad('SubscribedTopicNames or SubscribedTopicRegex must be set in first request.');
    }
  }
  if (rebalanceTimeoutMs < -1) return bad('RebalanceTimeoutMs is negative.');
  if (assignor !== null && !Object.hasOwn(ASSIGNORS, assignor)) {
    const known = Object.keys(ASSIGNORS).join(', ');
    const message = `ServerAssignor ${assignor} is not supported. Supported assignors: ${known}.`;
    return refusedBeat(KAFKA.UNSUPPORTED_ASSIGNOR, message);
  }
  return null;
}

/** Serves one heartbeat; the answer must not go out before the group is saved. */
export function heartbeat(
  group: ConsumerGroup,
  request: Heartbeat,
  matches: Matches,
): HeartbeatAnswer {
  if (request.memberEpoch < JOIN_EPOCH) return leave(group, request);
  const memberId = request.memberId === '' ? group.host.newMemberId('member') : request.memberId;
  const before = group.members.get(memberId)?.facts ?? null;
  const { size } = group.members;
  const member = joinOrFind(group, { ...request, memberId });
  if (!('facts' in member)) return member;
  const isNew = group.members.size > size;
  const subscribed = subscribe(group, member, request, matches) || isNew;
  // A member with a timeout of its own has become one of the newer protocol.
  for (const timer of ['join', 'sync'] as const) member.stopTimer(timer);
  group.advance(member, request.owned, subscribed);
  group.seen(member);
  if (!member.hasTimer('session')) group.watchSession(member);
  const { epoch, assigned } = member.facts;
  const tells = isFull(request) || before === null || !isSame(before.assigned, assigned);
  return {
    errorCode: KAFKA.NONE,
    errorMessage: null,
    memberId,
    memberEpoch: epoch,
    heartbeatIntervalMs: group.host.heartbeatIntervalMs(group.id),
    assignment: tells ? assigned : null,
  };
}

/** A client that says everything of itself wants to be told everything. */
function isFull({ memberEpoch, rebalanceTimeoutMs, ...request }: Heartbeat): boolean {
  const subscribes = request.topicNames !== null || request.pattern !== null;
  return (
    memberEpoch === JOIN_EPOCH ||
    (rebalanceTimeoutMs !== -1 && subscribes && request.owned !== null)
  );
}

function joinOrFind(group: ConsumerGroup, request: Heartbeat): ConsumerMember | HeartbeatAnswer {
  const { memberId, instanceId, memberEpoch } = request;
  const joins = memberEpoch === JOIN_EPOCH;
  const known = instanceId === null ? group.members.get(memberId) : group.instance(instanceId);
  if (known === undefined) {
    if (!joins) return refusedBeat(KAFKA.UNKNOWN_MEMBER_ID, `Member ${memberId} is unknown.`);
    if (group.members.size >= group.host.consumerMembersMax) {
      const message = `The group has reached its maximum of ${group.members.size} members.`;
      return refusedBeat(KAFKA.GROUP_MAX_SIZE_REACHED, message);
    }
    return group.enter({ ...NEW_MEMBER, id: memberId, instanceId });
  }
  if (joins) return rejoin(group, known, memberId);
  if (known.id !== memberId) {
    const message = `Static member ${memberId} was fenced by member ${known.id}.`;
    return refusedBeat(KAFKA.FENCED_INSTANCE_ID, message);
  }
  return epochFault(known.facts, request) ?? known;
}

function rejoin(
  group: ConsumerGroup,
  known: ConsumerMember,
  memberId: string,
): ConsumerMember | HeartbeatAnswer {
  const { epoch, classic, instanceId } = known.facts;
  if (known.id === memberId) {
    // A fenced client, or one that never heard the answer: it begins anew, with nothing.
    if (classic === null && epoch !== AWAY_EPOCH) group.reset(known);
    return known;
  }
  if (epoch !== AWAY_EPOCH && classic === null) {
    const message = `Instance id ${instanceId} is owned by member ${known.id}.`;
    return refusedBeat(KAFKA.UNRELEASED_INSTANCE_ID, message);
  }
  return group.replace(known, memberId);
}

function epochFault(facts: MemberFacts, request: Heartbeat): HeartbeatAnswer | null {
  const { memberEpoch, owned } = request;
  if (memberEpoch === facts.epoch) return null;
  // The answer that moved the epoch on may have been lost.
  const missedOne =
    memberEpoch === facts.previousEpoch && owned !== null && isWithin(owned, facts.assigned);
  if (missedOne && memberEpoch < facts.epoch) return null;
  const message =
    `The member epoch ${memberEpoch} is not ${facts.epoch}, which the coordinator knows. ` +
    'The member must abandon all its partitions and rejoin.';
  return refusedBeat(KAFKA.FENCED_MEMBER_EPOCH, message);
}

/** Takes what the client says of itself. @returns whether it reads other topics than before */
function subscribe(
  group: ConsumerGroup,
  member: ConsumerMember,
  request: Heartbeat,
  matches: Matches,
): boolean {
  const { facts } = member;
  const pattern = request.pattern === '' ? null : (request.pattern ?? facts.pattern);
  let { matched } = facts;
  if (pattern === null) matched = matched.length === 0 ? matched : [];
  else if (pattern !== facts.pattern || member.matchedVersion !== matches.version) {
    matched = matches.names(pattern);
  }
  member.matchedVersion = matches.version;
  const said: Partial<MemberFacts> = {
    clientId: request.clientId,
    clientHost: request.clientHost,
    rackId: request.rackId ?? facts.rackId,
    rebalanceTimeoutMs:
      request.rebalanceTimeoutMs < 0 ? facts.rebalanceTimeoutMs : request.rebalanceTimeoutMs,
    assignor: request.assignor ?? facts.assignor,
    topicNames: ordered(request.topicNames) ?? facts.topicNames,
    pattern,
    matched,
    classic: null,
  };
  const subscribed =
    !isSameList(said.topicNames!, facts.topicNames) || !isSameList(matched, facts.matched);
  if (subscribed || differs(facts, said)) group.update(member, said);
  return subscribed;
}

function ordered(names: readonly string[] | null): readonly string[] | null {
  return names === null ? null : [...new Set(names)].sort();
}

function isSameList(one: readonly string[], other: readonly string[]): boolean {
  return (
    one === other || (one.length === other.length && one.every((text, at) => text === other[at]))
  );
}

function differs(facts: MemberFacts, said: Partial<MemberFacts>): boolean {
  const plain = ['clientId', 'clientHost', 'rackId', 'rebalanceTimeoutMs', 'assignor'] as const;
  return (
    facts.pattern !== said.pattern ||
    facts.classic !== said.classic ||
    plain.some((name) => facts[name] !== said[name])
  );
}

function leave(group: ConsumerGroup, request: Heartbeat): HeartbeatAnswer {
  const { memberId, memberEpoch, instanceId } = request;
  const known = instanceId === null ? group.members.get(memberId) : group.instance(instanceId);
  if (known === undefined) {
    return refusedBeat(KAFKA.UNKNOWN_MEMBER_ID, `Member ${memberId} is unknown.`);
  }
  if (known.id !== memberId) {
    const message = `Static member ${memberId} was fenced by member ${known.id}.`;
    return refusedBeat(KAFKA.FENCED_INSTANCE_ID, message);
  }
  if (memberEpoch === LEAVE_EPOCH) group.remove(known);
  else group.leaveForNow(known);
  const told = { errorCode: KAFKA.NONE, errorMessage: null, memberId, memberEpoch };
  return { ...told, heartbeatIntervalMs: 0, assignment: null };
}
