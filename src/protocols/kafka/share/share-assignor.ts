/**
 * Who of a share group reads which partitions: each partition has a reader and each member a
 * partition, evenly, and members keep what they have as long as that is even. Several members may
 * share one partition. Members that read the same topics are dealt with together.
 */
import { type Assignment, addTo, has, type MutableAssignment } from '../groups/assignment.ts';

export const SHARE_ASSIGNOR = 'simple';

interface SharingMember {
  readonly id: string;
  readonly topicIds: ReadonlySet<string>;
  readonly before: Assignment;
}

interface Reader {
  readonly member: SharingMember;
  readonly own: MutableAssignment;
  count: number;
}

interface Shared {
  readonly topicId: string;
  readonly partition: number;
  readers: number;
}

/** @param partitions how many each topic has */
export function assignShares(
  members: readonly SharingMember[],
  partitions: ReadonlyMap<string, number>,
): Map<string, Assignment> {
  const readers = new Map<string, Reader>();
  for (const member of [...members].sort((a, b) => (a.id < b.id ? -1 : 1))) {
    readers.set(member.id, { member, own: new Map(), count: 0 });
  }
  const topicsOf = new Map<string, { readers: Reader[]; topicIds: string[] }>();
  for (const topicId of [...partitions.keys()].sort()) {
    const its = [...readers.values()].filter(({ member }) => member.topicIds.has(topicId));
    if (its.length === 0) continue;
    const key = its.map(({ member }) => member.id).join('\n');
    const known = topicsOf.get(key);
    if (known === undefined) topicsOf.set(key, { readers: its, topicIds: [topicId] });
    else known.topicIds.push(topicId);
  }
  for (const { readers: its, topicIds } of topicsOf.values()) {
    const all: Shared[] = [];
    for (const topicId of topicIds) {
      const count = partitions.get(topicId)!;
      for (let partition = 0; partition < count; partition++) {
        all.push({ topicId, partition, readers: 0 });
      }
    }
    if (all.length > 0) deal(its, all);
  }
  return new Map([...readers].map(([id, { own }]) => [id, own]));
}

function deal(readers: readonly Reader[], all: readonly Shared[]): void {
  const sharing = Math.max(1, Math.ceil(readers.length / all.length));
  const each = Math.max(1, Math.ceil((all.length * sharing) / readers.length));
  const counts = new Map(readers.map((reader) => [reader, 0]));
  const give = (reader: Reader, shared: Shared): void => {
    addTo(reader.own, shared.topicId, shared.partition);
    shared.readers++;
    reader.count++;
    counts.set(reader, counts.get(reader)! + 1);
  };
  for (const shared of all) {
    for (const reader of readers) {
      if (shared.readers >= sharing) break;
      const had = has(reader.member.before, shared.topicId, shared.partition);
      if (had && counts.get(reader)! < each) give(reader, shared);
    }
  }
  for (const shared of all) {
    if (shared.readers > 0) continue;
    give(least(readers, counts), shared);
  }
  const order = [...all];
  for (const reader of readers) {
    if (counts.get(reader)! > 0) continue;
    order.sort((a, b) => a.readers - b.readers);
    give(reader, order[0]!);
  }
}

function least(readers: readonly Reader[], counts: ReadonlyMap<Reader, number>): Reader {
  let best = readers[0]!;
  for (const reader of readers) {
    const difference = counts.get(reader)! - counts.get(best)!;
    if (difference < 0 || (difference === 0 && reader.count < best.count)) best = reader;
  }
  return best;
}
