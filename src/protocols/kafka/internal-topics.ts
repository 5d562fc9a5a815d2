/**
 * Topics in which Kafka keeps its own state. Here that state lies in the broker's tables, so these
 * topics are a sign only: listed as internal once there is such state, as tools expect, with one
 * partition, and neither read nor written by clients (decision 0040).
 */
import type { Principal } from '#broker';
import type { Room } from './room.ts';

export interface InternalTopic {
  readonly name: string;
  readonly id: string;
  /** There is such state. */
  isUsed(room: Room): boolean;
}

const INTERNAL_TOPICS: readonly InternalTopic[] = [
  {
    name: '__consumer_offsets',
    id: '6f3a1c52-9c1e-4d0b-8a57-0d2b6c9e4f11',
    isUsed: ({ groups }) => hasAny(groups.list()),
  },
  {
    name: '__share_group_state',
    id: '6f3a1c52-9c1e-4d0b-8a57-0d2b6c9e4f12',
    isUsed: ({ shares }) => hasAny(shares.list()),
  },
  {
    name: '__transaction_state',
    id: '6f3a1c52-9c1e-4d0b-8a57-0d2b6c9e4f13',
    isUsed: ({ transactions }) => transactions.count > 0,
  },
];

function hasAny(all: Iterable<unknown>): boolean {
  for (const _ of all) return true;
  return false;
}

/** True for these names, whether there is such state or not. */
export function isInternalName(name: string): boolean {
  return name.startsWith('__') && INTERNAL_TOPICS.some((topic) => topic.name === name);
}

export function isInternalId(id: string): boolean {
  return INTERNAL_TOPICS.some((topic) => topic.id === id);
}

/** Those that the principal may know of. */
export function internalTopics(room: Room, principal: Principal): InternalTopic[] {
  return INTERNAL_TOPICS.filter((topic) => isThere(topic, room, principal));
}

/** The one of this name or id that the principal may know of. */
export function internalTopic(
  nameOrId: string,
  room: Room,
  principal: Principal,
): InternalTopic | undefined {
  const topic = INTERNAL_TOPICS.find(({ name, id }) => name === nameOrId || id === nameOrId);
  return topic !== undefined && isThere(topic, room, principal) ? topic : undefined;
}

function isThere(topic: InternalTopic, room: Room, principal: Principal): boolean {
  return room.topics.mayByName(principal, 'describe', topic.name) && topic.isUsed(room);
}
