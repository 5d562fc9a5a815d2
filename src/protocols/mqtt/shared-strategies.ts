/**
 * How a shared subscription chooses the member that gets a message (M129). All but `key_ordered`
 * are those that EMQX knows. A strategy sees members that are connected; whether the chosen one has
 * room now is the matter of the group, which lets the message wait for it or asks again.
 */
import type { Message } from '#broker';
import type { Random } from '#kit';
import type { GroupMember } from './shared-groups.ts';

export const STRATEGIES = [
  'random',
  'round_robin',
  'round_robin_per_group',
  'sticky',
  'local',
  'hash_clientid',
  'hash_topic',
  'key_ordered',
] as const;

export type StrategyName = (typeof STRATEGIES)[number];

/** Publishers that a round robin of their own is remembered for. */
const PUBLISHERS_MAX = 4096;

export interface Strategy {
  /** The choice stands even when that member has no room now. */
  readonly binding: boolean;
  /** One of the members; there is at least one. */
  choose(members: readonly GroupMember[], message: Message): GroupMember;
}

/** `key_ordered` chooses in turn; that a topic stays with its member is seen to by the group. */
export function makeStrategy(name: StrategyName, random: Random): Strategy {
  switch (name) {
    case 'random':
    // One server is always local.
    case 'local':
      return { binding: false, choose: (members) => members[at(random, members.length)]! };
    case 'sticky':
      return sticky(random);
    case 'hash_clientid':
      return hashed((message) => message.producer);
    case 'hash_topic':
      return hashed((message) => message.address.text);
    case 'round_robin':
      return inTurnByPublisher();
    default:
      return inTurn();
  }
}

function at(random: Random, count: number): number {
  return count === 1 ? 0 : Math.floor(random.next() * count);
}

function inTurn(): Strategy {
  let turn = 0;
  return {
    binding: false,
    choose: (members) => {
      turn = (turn + 1) % members.length;
      return members[turn]!;
    },
  };
}

function inTurnByPublisher(): Strategy {
  const turns = new Map<string, number>();
  return {
    binding: false,
    choose: (members, { producer }) => {
      const turn = ((turns.get(producer) ?? -1) + 1) % members.length;
      if (turns.size >= PUBLISHERS_MAX && !turns.has(producer)) turns.clear();
      turns.set(producer, turn);
      return members[turn]!;
    },
  };
}

function sticky(random: Random): Strategy {
  let chosen: GroupMember | null = null;
  return {
    binding: true,
    choose: (members) => {
      if (chosen === null || !members.includes(chosen))
        chosen = members[at(random, members.length)]!;
      return chosen;
    },
  };
}

function hashed(textOf: (message: Message) => string): Strategy {
  return {
    binding: true,
    choose: (members, message) => members[hashOf(textOf(message)) % members.length]!,
  };
}

/** FNV-1a over UTF-16 units. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return hash >>> 0;
}
