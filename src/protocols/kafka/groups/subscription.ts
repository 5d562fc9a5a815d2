/**
 * The topics that a group's members say they read: the one place where member metadata is opened,
 * and only to protect offsets in use from OffsetDelete. Format: ConsumerProtocolSubscription.
 */
import { ProtocolError } from '#kit';
import { Reader } from '../reader.ts';
import type { Group } from './group.ts';

const CONSUMER = 'consumer';

/** @returns null when the group has members whose metadata says nothing about topics */
export function subscribedTopics(group: Group): Set<string> | null {
  const topics = new Set<string>();
  if (group.members.size === 0) return topics;
  if (group.protocolType !== CONSUMER) return null;
  for (const member of group.members.values()) {
    for (const { metadata } of member.protocols) {
      for (const topic of readTopics(metadata)) topics.add(topic);
    }
  }
  return topics;
}

function readTopics(metadata: Buffer): string[] {
  const reader = new Reader(metadata);
  try {
    reader.int16('version');
    const topics: string[] = [];
    for (let left = reader.arrayCount(2, 'topics'); left > 0; left--) {
      topics.push(reader.string('topics'));
    }
    return topics;
  } catch (error) {
    if (error instanceof ProtocolError) return [];
    throw error;
  }
}
