/** ShareGroupHeartbeat on one group: the checks and errors of Kafka, in its order. */
import { KAFKA } from '../error-codes.ts';
import { type Assignment, isSame } from '../groups/assignment.ts';
import type { HeartbeatAnswer } from '../groups/consumer-heartbeat.ts';
import { refusedBeat } from '../groups/consumer-heartbeat.ts';
import type { ShareGroup, ShareMember } from './share-group.ts';

const JOIN_EPOCH = 0;
const LEAVE_EPOCH = -1;

export interface ShareBeat {
  readonly memberId: string;
  readonly memberEpoch: number;
  /** Null in what follows: as before. */
  readonly rackId: string | null;
  readonly topicNames: readonly string[] | null;
  readonly clientId: string;
  readonly clientHost: string;
}

/** What is wrong with the request whatever the group, or null. */
export function shareBeatFault(groupId: string, beat: ShareBeat): HeartbeatAnswer | null {
  const bad = (message: string) => refusedBeat(KAFKA.INVALID_REQUEST, message);
  if (beat.memberId.trim() === '') return bad("MemberId can't be empty.");
  if (groupId.trim() === '') return bad("GroupId can't be empty.");
  if (beat.rackId?.trim() === '') return bad("RackId can't be empty.");
  if (beat.memberEpoch < LEAVE_EPOCH) return bad(`MemberEpoch is ${beat.memberEpoch}.`);
  if (beat.memberEpoch === JOIN_EPOCH && (beat.topicNames ?? []).length === 0) {
    return bad('SubscribedTopicNames must be set in first request.');
  }
  return null;
}

/** Serves one heartbeat; the answer must not go out before the group is stored. */
export function shareHeartbeat(
  group: ShareGroup,
  beat: ShareBeat,
  membersMax: number,
  intervalMs: number,
): HeartbeatAnswer {
  const { memberId, memberEpoch } = beat;
  const known = group.members.get(memberId);
  if (known === undefined && memberEpoch !== JOIN_EPOCH) {
    return refusedBeat(KAFKA.UNKNOWN_MEMBER_ID, `Member ${memberId} is unknown.`);
  }
  if (memberEpoch === LEAVE_EPOCH) {
    group.remove(known!);
    return told(memberId, LEAVE_EPOCH, 0, null);
  }
  if (known === undefined && group.members.size >= membersMax) {
    const message = `The group has reached its maximum of ${membersMax} members.`;
    return refusedBeat(KAFKA.GROUP_MAX_SIZE_REACHED, message);
  }
  if (known !== undefined && isFenced(known, memberEpoch)) {
    const message = `The member epoch ${memberEpoch} is not ${known.facts.epoch}. Join again.`;
    return refusedBeat(KAFKA.FENCED_MEMBER_EPOCH, message);
  }
  const member = known ?? group.enter(memberId);
  const before = member.facts.assigned;
  const subscribed = said(group, member, beat) || known === undefined;
  group.seen(member);
  group.advance(member, subscribed);
  const { epoch, assigned } = member.facts;
  const tells = memberEpoch !== epoch || beat.topicNames !== null || !isSame(before, assigned);
  return told(memberId, epoch, intervalMs, tells ? assigned : null);
}

/** The answer that moved the epoch on may have been lost. */
function isFenced({ facts }: ShareMember, memberEpoch: number): boolean {
  const { epoch, previousEpoch } = facts;
  return memberEpoch !== JOIN_EPOCH && memberEpoch !== epoch && memberEpoch !== previousEpoch;
}

function told(
  memberId: string,
  memberEpoch: number,
  heartbeatIntervalMs: number,
  assignment: Assignment | null,
): HeartbeatAnswer {
  const none = { errorCode: KAFKA.NONE, errorMessage: null };
  return { ...none, memberId, memberEpoch, heartbeatIntervalMs, assignment };
}

/** Takes what the client says of itself. @returns whether it reads other topics than before */
function said(group: ShareGroup, member: ShareMember, beat: ShareBeat): boolean {
  const { facts } = member;
  const topicNames =
    beat.topicNames === null ? facts.topicNames : [...new Set(beat.topicNames)].sort();
  const subscribed = topicNames.join('\n') !== facts.topicNames.join('\n');
  const rackId = beat.rackId ?? facts.rackId;
  const { clientId, clientHost } = beat;
  const moved = facts.clientId !== clientId || facts.clientHost !== clientHost;
  if (subscribed || moved || rackId !== facts.rackId) {
    group.update(member, { topicNames, rackId, clientId, clientHost });
  }
  return subscribed;
}
