/** What a group tells a member: the generation that it joined, and its assignment there. */
import { KAFKA } from '../error-codes.ts';
import type { Group } from './group.ts';
import type { JoinResult, Member, SyncResult } from './member.ts';

export function joinResult(group: Group, member: Member): JoinResult {
  const { protocolName } = group;
  const leads = member.id === group.leaderId;
  return {
    errorCode: KAFKA.NONE,
    generationId: group.generation,
    protocolType: group.protocolType,
    protocolName,
    leader: group.leaderId ?? '',
    skipAssignment: false,
    memberId: member.id,
    members: leads
      ? [...group.members.values()].map((one) => ({
          memberId: one.id,
          groupInstanceId: one.instanceId,
          metadata: one.metadata(protocolName ?? ''),
        }))
      : [],
  };
}

export function syncResult(group: Group, member: Member): SyncResult {
  return {
    errorCode: KAFKA.NONE,
    protocolType: group.protocolType,
    protocolName: group.protocolName,
    assignment: member.assignment,
  };
}
