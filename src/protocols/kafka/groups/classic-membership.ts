/**
 * JoinGroup, SyncGroup, Heartbeat and LeaveGroup of members that speak the classic protocol in a
 * group of the newer one, while a group changes over (KIP-848, K65). They follow: the server says
 * what they read, and a new epoch looks to them like a rebalance.
 */
import { KAFKA } from '../error-codes.ts';
import { listOf, type MutableAssignment } from './assignment.ts';
import type { ConsumerGroup } from './consumer-group.ts';
import { type ConsumerMember, NEW_MEMBER } from './consumer-member.ts';
import {
  CONSUMER_TYPE,
  type NamedPartitions,
  readSubscription,
  writeAssignment,
} from './embedded-protocol.ts';
import {
  type Answer,
  type JoinRequest,
  type JoinResult,
  refusedJoin,
  refusedSync,
  type SyncRequest,
  type SyncResult,
} from './member.ts';

/** @returns an error code */
function protocolsFault(group: ConsumerGroup, request: JoinRequest): number {
  const { protocols, protocolType } = request;
  if (protocolType !== CONSUMER_TYPE || protocols.length === 0) {
    return KAFKA.INCONSISTENT_GROUP_PROTOCOL;
  }
  if (readSubscription(protocols[0]!.metadata) === null) return KAFKA.INCONSISTENT_GROUP_PROTOCOL;
  const others = [...group.members.values()].filter(
    ({ facts }) => facts.classic !== null && facts.id !== request.memberId,
  );
  const shared = protocols.some(({ name }) =>
    others.every(({ facts }) => facts.classic!.protocols.some((one) => one.name === name)),
  );
  return shared ? KAFKA.NONE : KAFKA.INCONSISTENT_GROUP_PROTOCOL;
}

export function joinClassic(
  group: ConsumerGroup,
  request: JoinRequest,
  answer: Answer<JoinResult>,
): void {
  const { groupInstanceId: instanceId } = request;
  const fault = protocolsFault(group, request);
  if (fault !== KAFKA.NONE) {
    answer(refusedJoin(fault, request.memberId));
    return;
  }
  const memberId = request.memberId || group.host.newMemberId(instanceId ?? request.clientId);
  if (request.memberId === '' && instanceId === null && request.idFirst) {
    answer(refusedJoin(KAFKA.MEMBER_ID_REQUIRED, memberId));
    return;
  }
  const member = enter(group, request, memberId);
  if (typeof member === 'number') {
    answer(refusedJoin(member, request.memberId));
    return;
  }
  request.entered?.(memberId);
  const changesOver = member.facts.classic === null && member.facts.topicNames.length > 0;
  take(group, member, request);
  member.stopTimer('join');
  // The last member of the newer protocol came back with the classic one.
  if (changesOver && group.host.memberWent(group)) {
    group.host.joinAgain(group.id, { ...request, memberId }, answer);
    return;
  }
  const { protocols } = member.facts.classic!;
  group.save(() => {
    if (group.members.get(memberId) !== member) {
      answer(refusedJoin(KAFKA.UNKNOWN_MEMBER_ID, memberId));
      return;
    }
    const expel = (): void => group.expel(member);
    group.within(member, 'sync', request.rebalanceTimeoutMs, expel);
    answer({
      errorCode: KAFKA.NONE,
      generationId: member.facts.epoch,
      protocolType: CONSUMER_TYPE,
      protocolName: protocols[0]!.name,
      // Nobody leads: the server assigns.
      leader: '',
      skipAssignment: false,
      memberId,
      members: [],
    });
  });
}

function enter(
  group: ConsumerGroup,
  { memberId: givenId, groupInstanceId: instanceId }: JoinRequest,
  memberId: string,
): ConsumerMember | number {
  const known = instanceId === null ? group.members.get(memberId) : group.instance(instanceId);
  if (known !== undefined) {
    if (known.id === memberId) return known;
    return givenId === '' ? group.replace(known, memberId) : KAFKA.FENCED_INSTANCE_ID;
  }
  if (instanceId !== null && givenId !== '') return KAFKA.UNKNOWN_MEMBER_ID;
  if (group.members.size >= group.host.consumerMembersMax) return KAFKA.GROUP_MAX_SIZE_REACHED;
  return group.enter({ ...NEW_MEMBER, id: memberId, instanceId });
}

/** Takes what a JoinGroup says, and goes one step on. */
function take(group: ConsumerGroup, member: ConsumerMember, request: JoinRequest): void {
  const subscription = readSubscription(request.protocols[0]!.metadata)!;
  const { facts } = member;
  const topicNames = [...new Set(subscription.topics)].sort();
  const subscribed =
    facts.classic === null || topicNames.join('\n') !== facts.topicNames.join('\n');
  group.update(member, {
    clientId: request.clientId,
    clientHost: request.clientHost,
    rackId: subscription.rackId ?? facts.rackId,
    rebalanceTimeoutMs: request.rebalanceTimeoutMs,
    ...{ topicNames, pattern: null, matched: [], assignor: null },
    classic: {
      sessionTimeoutMs: request.sessionTimeoutMs,
      protocols: request.protocols.map(({ name, metadata }) => {
        return { name, metadata: Buffer.from(metadata) };
      }),
    },
  });
  group.advance(member, ownedBy(group, subscription.owned), subscribed);
  group.seen(member);
  group.watchSession(member);
}

function ownedBy(group: ConsumerGroup, owned: readonly NamedPartitions[]): MutableAssignment {
  const assignment: MutableAssignment = new Map();
  for (const { name, partitions } of owned) {
    const topicId = group.host.topics.idOf(name);
    if (topicId !== undefined) assignment.set(topicId, new Set(partitions));
  }
  return assignment;
}

export function syncClassic(
  group: ConsumerGroup,
  request: SyncRequest,
  answer: Answer<SyncResult>,
): void {
  const { memberId, groupInstanceId, generationId } = request;
  const fault = memberFault(group, memberId, groupInstanceId, generationId);
  if (fault !== KAFKA.NONE) {
    answer(refusedSync(fault));
    return;
  }
  const member = group.members.get(memberId)!;
  const [protocol] = member.facts.classic!.protocols;
  const otherType = request.protocolType !== null && request.protocolType !== CONSUMER_TYPE;
  const otherName = request.protocolName !== null && request.protocolName !== protocol!.name;
  if (otherType || otherName) {
    answer(refusedSync(KAFKA.INCONSISTENT_GROUP_PROTOCOL));
    return;
  }
  // One that gives up partitions has joined already, and is asked to join again when it has.
  if (group.epoch > member.facts.epoch && member.facts.state !== 'unrevoked') {
    askToJoin(group, member);
    answer(refusedSync(KAFKA.REBALANCE_IN_PROGRESS));
    return;
  }
  member.stopTimer('sync');
  group.seen(member);
  answer({
    errorCode: KAFKA.NONE,
    protocolType: CONSUMER_TYPE,
    protocolName: protocol!.name,
    assignment: assignmentBytes(group, member),
  });
}

/** What a member has, in the bytes of its own protocol. */
export function assignmentBytes(group: ConsumerGroup, { facts }: ConsumerMember): Buffer {
  const version = readSubscription(facts.classic!.protocols[0]!.metadata)?.version ?? 0;
  const named: NamedPartitions[] = [];
  for (const { topicId, partitions } of listOf(facts.assigned)) {
    const name = group.host.topics.nameOf(topicId);
    if (name !== undefined) named.push({ name, partitions });
  }
  return writeAssignment(version, named);
}

/** @returns an error code */
export function beatClassic(
  group: ConsumerGroup,
  memberId: string,
  instanceId: string | null,
  generation: number,
): number {
  const fault = memberFault(group, memberId, instanceId, generation);
  if (fault !== KAFKA.NONE) return fault;
  const member = group.members.get(memberId)!;
  group.seen(member);
  const { epoch, state } = member.facts;
  const settled = epoch >= group.epoch && state === 'stable';
  const waits = epoch >= group.epoch && state === 'unreleased' && group.waitsForOthers(member);
  if (settled || waits) return KAFKA.NONE;
  askToJoin(group, member);
  return KAFKA.REBALANCE_IN_PROGRESS;
}

/** @returns an error code; `group` may be a classic one afterwards */
export function leaveClassic(
  group: ConsumerGroup,
  memberId: string,
  instanceId: string | null,
): number {
  const known = instanceId === null ? group.members.get(memberId) : group.instance(instanceId);
  if (known === undefined || known.facts.classic === null) return KAFKA.UNKNOWN_MEMBER_ID;
  // An administrator removes static members by instance id alone (KIP-345).
  if (memberId !== '' && known.id !== memberId) return KAFKA.FENCED_INSTANCE_ID;
  group.remove(known);
  return KAFKA.NONE;
}

function memberFault(
  group: ConsumerGroup,
  memberId: string,
  instanceId: string | null,
  generation: number,
): number {
  const known = instanceId === null ? group.members.get(memberId) : group.instance(instanceId);
  if (known === undefined) return KAFKA.UNKNOWN_MEMBER_ID;
  if (known.id !== memberId) return KAFKA.FENCED_INSTANCE_ID;
  if (known.facts.classic === null) return KAFKA.UNKNOWN_MEMBER_ID;
  return generation === known.facts.epoch ? KAFKA.NONE : KAFKA.ILLEGAL_GENERATION;
}

/** Who is told to join again must do so within its rebalance timeout. */
function askToJoin(group: ConsumerGroup, member: ConsumerMember): void {
  if (member.hasTimer('join')) return;
  const { rebalanceTimeoutMs } = member.facts;
  group.within(member, 'join', rebalanceTimeoutMs, () => group.expel(member));
}
