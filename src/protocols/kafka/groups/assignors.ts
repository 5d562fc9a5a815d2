/**
 * Who gets which partitions, decided by the server (KIP-848). `uniform` gives all members as many
 * partitions as it can and moves as few as it must; `range` gives each a stretch of every topic, so
 * that topics with as many partitions are split alike. Pure.
 */
import { type Assignment, addTo, type MutableAssignment } from './assignment.ts';

export interface AssignedMember {
  readonly id: string;
  readonly instanceId: string | null;
  /** Ids of the topics that it reads; all of them exist. */
  readonly topicIds: ReadonlySet<string>;
  /** What it was meant to have before. */
  readonly before: Assignment;
}

export type Targets = Map<string, MutableAssignment>;

/** @param partitions number of partitions of each topic that somebody reads */
type Assignor = (
  members: readonly AssignedMember[],
  partitions: ReadonlyMap<string, number>,
) => Targets;

/** Static members come first, in the order of their instances: they find their place again. */
function inOrder(members: readonly AssignedMember[]): AssignedMember[] {
  const ranked = members.map((member) => {
    const { id, instanceId } = member;
    return { member, rank: instanceId === null ? `1${id}` : `0${instanceId}` };
  });
  return ranked.sort((a, b) => (a.rank < b.rank ? -1 : 1)).map(({ member }) => member);
}

const range: Assignor = (members, partitions) => {
  const targets: Targets = new Map(members.map(({ id }) => [id, new Map()]));
  const ordered = inOrder(members);
  for (const [topicId, count] of partitions) {
    const readers = ordered.filter(({ topicIds }) => topicIds.has(topicId));
    let from = 0;
    readers.forEach(({ id }, index) => {
      const share = Math.floor(count / readers.length) + (index < count % readers.length ? 1 : 0);
      const target = targets.get(id)!;
      for (let partition = from; partition < from + share; partition++) {
        addTo(target, topicId, partition);
      }
      from += share;
    });
  }
  return targets;
};

/** A member while partitions are handed out. */
interface Share {
  readonly member: AssignedMember;
  readonly target: MutableAssignment;
  count: number;
}

const uniform: Assignor = (members, partitions) => {
  const shares = inOrder(members).map((member): Share => ({ member, target: new Map(), count: 0 }));
  if (isUniform(members)) spread(shares, partitions);
  else balance(shares, partitions);
  return new Map(shares.map(({ member, target }) => [member.id, target]));
};

function isUniform(members: readonly AssignedMember[]): boolean {
  const first = members[0]?.topicIds ?? new Set<string>();
  return members.every(({ topicIds }) => {
    return topicIds.size === first.size && topicIds.isSubsetOf(first);
  });
}

/** All read the same: each keeps what it has up to its quota, and the rest fills up the others. */
function spread(shares: readonly Share[], partitions: ReadonlyMap<string, number>): void {
  if (shares.length === 0) return;
  let total = 0;
  for (const count of partitions.values()) total += count;
  const quota = Math.floor(total / shares.length);
  /** So many members may have one more. */
  let extra = total % shares.length;
  const taken = new Map<string, Set<number>>();
  for (const share of shares) {
    let limit = quota;
    for (const [topicId, partition] of kept(share.member, partitions)) {
      if (share.count === limit) {
        if (limit > quota || extra === 0) break;
        extra--;
        limit++;
      }
      if (taken.get(topicId)?.has(partition) !== true) give(share, topicId, partition, taken);
    }
  }
  const hungry = shares.filter(({ count }) => count < quota);
  const others = shares.filter(({ count }) => count === quota);
  for (const [topicId, partition] of left(partitions, taken)) {
    while (hungry.length > 0 && hungry[0]!.count >= quota) others.push(hungry.shift()!);
    const share = hungry[0] ?? others.shift()!;
    give(share, topicId, partition, taken);
  }
}

/**
 * Members read different topics: partitions that nobody has go to the reader with the fewest, then
 * single ones move from the fullest reader of a topic to the emptiest while that evens them out.
 */
function balance(shares: readonly Share[], partitions: ReadonlyMap<string, number>): void {
  const taken = new Map<string, Set<number>>();
  for (const share of shares) {
    for (const [topicId, partition] of kept(share.member, partitions)) {
      if (taken.get(topicId)?.has(partition) !== true) give(share, topicId, partition, taken);
    }
  }
  const readers = new Map<string, Share[]>();
  for (const topicId of partitions.keys()) {
    readers.set(
      topicId,
      shares.filter(({ member }) => member.topicIds.has(topicId)),
    );
  }
  // Topics with the fewest readers first: the others have more to choose from.
  const topics = [...partitions].sort(
    ([a], [b]) => readers.get(a)!.length - readers.get(b)!.length,
  );
  for (const [topicId, partition] of left(new Map(topics), taken)) {
    give(least(readers.get(topicId)!), topicId, partition, taken);
  }
  // Each move makes the counts more even, so this ends.
  for (let moved = true; moved; ) {
    moved = false;
    for (const [topicId] of topics) while (even(topicId, readers.get(topicId)!)) moved = true;
  }
}

/** Moves one partition of a topic. @returns false when its readers are as even as it can make */
function even(topicId: string, readers: readonly Share[]): boolean {
  const to = least(readers);
  let from: Share | null = null;
  for (const share of readers) {
    if (share.count > (from?.count ?? to.count + 1) && share.target.has(topicId)) from = share;
  }
  if (from === null) return false;
  const own = from.target.get(topicId)!;
  const partition = Math.max(...own);
  own.delete(partition);
  if (own.size === 0) from.target.delete(topicId);
  from.count--;
  addTo(to.target, topicId, partition);
  to.count++;
  return true;
}

function least(readers: readonly Share[]): Share {
  return readers.reduce((best, share) => (share.count < best.count ? share : best));
}

/** What a member had and may have still. */
function* kept(
  { before, topicIds }: AssignedMember,
  partitions: ReadonlyMap<string, number>,
): Generator<readonly [string, number]> {
  for (const [topicId, own] of before) {
    if (!topicIds.has(topicId)) continue;
    const count = partitions.get(topicId) ?? 0;
    for (const partition of own) if (partition < count) yield [topicId, partition];
  }
}

/** What nobody has. */
function* left(
  partitions: ReadonlyMap<string, number>,
  taken: ReadonlyMap<string, ReadonlySet<number>>,
): Generator<readonly [string, number]> {
  for (const [topicId, count] of partitions) {
    for (let partition = 0; partition < count; partition++) {
      if (taken.get(topicId)?.has(partition) !== true) yield [topicId, partition];
    }
  }
}

function give(
  share: Share,
  topicId: string,
  partition: number,
  taken: Map<string, Set<number>>,
): void {
  addTo(share.target, topicId, partition);
  addTo(taken, topicId, partition);
  share.count++;
}

export const ASSIGNORS: Readonly<Record<string, Assignor>> = { uniform, range };
export const DEFAULT_ASSIGNOR = 'uniform';
