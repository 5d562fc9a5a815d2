/** ListGroups, DescribeGroups, DeleteGroups. */
import { KAFKA } from '../error-codes.ts';
import type { Group } from '../groups/group.ts';
import { NOTHING } from '../groups/member.ts';
import { describeGroups } from '../messages/15-describe-groups.ts';
import { listGroups } from '../messages/16-list-groups.ts';
import { deleteGroups } from '../messages/42-delete-groups.ts';
import { answers } from '../operation.ts';
import { groupOperations } from '../operations-allowed.ts';

const NOT_FOUND_SINCE = 6;

export const listGroupsOperation = answers(listGroups, (request, call, room) => {
  const states = new Set(request.statesFilter.map((state) => state.toLowerCase()));
  const types = new Set(request.typesFilter.map((type) => type.toLowerCase()));
  const groups = [];
  for (const { id, type, state, protocolType } of room.groups.list()) {
    if (states.size > 0 && !states.has(state.toLowerCase())) continue;
    if (types.size > 0 && !types.has(type)) continue;
    if (!room.mayUseGroup(call.session, 'describe', id)) continue;
    groups.push({ groupId: id, protocolType, groupState: state, groupType: type });
  }
  for (const { id, state } of room.shares.list()) {
    if (states.size > 0 && !states.has(state.toLowerCase())) continue;
    if (types.size > 0 && !types.has('share')) continue;
    if (!room.mayUseGroup(call.session, 'describe', id)) continue;
    groups.push({ groupId: id, protocolType: 'share', groupState: state, groupType: 'share' });
  }
  return { errorCode: KAFKA.NONE, groups };
});

export const describeGroupsOperation = answers(describeGroups, (request, call, room) => ({
  groups: request.groups.map((groupId) => {
    const nothing = { groupId, groupState: '', protocolType: '', protocolData: '', members: [] };
    if (!room.mayUseGroup(call.session, 'describe', groupId)) {
      return { ...nothing, errorCode: KAFKA.GROUP_AUTHORIZATION_FAILED };
    }
    const operations = request.includeAuthorizedOperations && {
      authorizedOperations: groupOperations(room, call.session, groupId),
    };
    const group = room.groups.find(groupId);
    if (group?.type === 'classic') {
      return { errorCode: KAFKA.NONE, groupId, ...describeGroup(group), ...operations };
    }
    if (group === undefined && room.groups.exists(groupId)) {
      return { ...nothing, errorCode: KAFKA.NONE, groupState: 'Empty', ...operations };
    }
    const dead = { ...nothing, groupState: 'Dead', ...operations };
    if (call.version < NOT_FOUND_SINCE) return { ...dead, errorCode: KAFKA.NONE };
    const isOther = group !== undefined || room.shares.find(groupId) !== undefined;
    const what = isOther ? 'is not a classic group' : 'not found';
    const errorMessage = `Group ${groupId} ${what}.`;
    return { ...dead, errorCode: KAFKA.GROUP_ID_NOT_FOUND, errorMessage };
  }),
}));

function describeGroup(group: Group) {
  // Metadata and assignments are of one generation only when it is settled.
  const stable = group.state === 'Stable';
  const protocolName = group.protocolName ?? '';
  return {
    groupState: group.state,
    protocolType: group.protocolType ?? '',
    protocolData: stable ? protocolName : '',
    members: [...group.members.values()].map((member) => ({
      memberId: member.id,
      groupInstanceId: member.instanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      memberMetadata: stable ? member.metadata(protocolName) : NOTHING,
      memberAssignment: stable ? member.assignment : NOTHING,
    })),
  };
}

export const deleteGroupsOperation = answers(deleteGroups, (request, call, room) => ({
  results: request.groupsNames.map((groupId) => {
    if (!room.mayUseGroup(call.session, 'remove', groupId)) {
      return { groupId, errorCode: KAFKA.GROUP_AUTHORIZATION_FAILED };
    }
    const owner = room.shares.find(groupId) === undefined ? room.groups : room.shares;
    return { groupId, errorCode: owner.remove(groupId) };
  }),
}));
