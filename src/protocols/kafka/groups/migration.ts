/**
 * Groups change over from the classic protocol to the newer one and back while members read on
 * (KIP-848, "Migration", K65): with the first member of the newer protocol that joins, and with the
 * last one that goes.
 */
import { addTo, has, type MutableAssignment } from './assignment.ts';
import { assignmentBytes } from './classic-membership.ts';
import type { ConsumerGroup, GroupTopics, StoredConsumerGroup } from './consumer-group.ts';
import { type MemberFacts, NEW_MEMBER } from './consumer-member.ts';
import { CONSUMER_TYPE, readAssignment, readSubscription } from './embedded-protocol.ts';
import type { Group } from './group.ts';
import { winningProtocol } from './protocol-vote.ts';
import type { StoredGroup } from './stored-group.ts';

interface Upgraded {
  readonly group: StoredConsumerGroup;
  readonly members: readonly MemberFacts[];
}

/** @returns null when members' bytes are not those of consumers */
export function upgraded(group: Group, topics: GroupTopics): Upgraded | null {
  if (group.members.size > 0 && group.protocolType !== CONSUMER_TYPE) return null;
  const epoch = group.generation;
  const members: MemberFacts[] = [];
  const taken: MutableAssignment = new Map();
  for (const member of group.members.values()) {
    const subscription = readSubscription(member.protocols[0]?.metadata ?? Buffer.alloc(0));
    const named = readAssignment(member.assignment);
    if (subscription === null || named === null) return null;
    const assigned: MutableAssignment = new Map();
    for (const { name, partitions } of named) {
      const topicId = topics.idOf(name);
      if (topicId === undefined) continue;
      for (const partition of partitions) {
        // What a client gave to two members stays with one.
        if (has(taken, topicId, partition)) continue;
        addTo(taken, topicId, partition);
        addTo(assigned, topicId, partition);
      }
    }
    members.push({
      ...NEW_MEMBER,
      id: member.id,
      instanceId: member.instanceId,
      rackId: subscription.rackId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      rebalanceTimeoutMs: member.rebalanceTimeoutMs,
      topicNames: [...new Set(subscription.topics)].sort(),
      ...{ epoch, previousEpoch: epoch, assigned, target: assigned },
      classic: { sessionTimeoutMs: member.sessionTimeoutMs, protocols: member.protocols },
    });
  }
  return { group: { epoch, assignmentEpoch: epoch, fingerprint: '' }, members };
}

/** All members are classic ones. They are asked to join again when this is a group. */
export function downgraded(group: ConsumerGroup): StoredGroup {
  const members = [...group.members.values()].map((member) => {
    const { id, instanceId, clientId, clientHost, rebalanceTimeoutMs, classic } = member.facts;
    return {
      ...{ id, instanceId, clientId, clientHost, rebalanceTimeoutMs },
      sessionTimeoutMs: classic!.sessionTimeoutMs,
      protocols: classic!.protocols,
      assignment: assignmentBytes(group, member),
    };
  });
  return {
    generation: group.epoch,
    protocolType: CONSUMER_TYPE,
    protocolName: winningProtocol(members),
    leaderId: members[0]?.id ?? null,
    members,
    emptiedMs: 0,
  };
}
