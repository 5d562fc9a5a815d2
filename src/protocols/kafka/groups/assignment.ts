/** Partitions by topic id: what a member has, gives up, or is meant to get. */

export type Assignment = ReadonlyMap<string, ReadonlySet<number>>;
export type MutableAssignment = Map<string, Set<number>>;

export const NO_PARTITIONS: Assignment = new Map();

export interface TopicPartitions {
  readonly topicId: string;
  readonly partitions: readonly number[];
}

export function assignmentOf(list: readonly TopicPartitions[]): MutableAssignment {
  const assignment: MutableAssignment = new Map();
  for (const { topicId, partitions } of list) {
    for (const partition of partitions) addTo(assignment, topicId, partition);
  }
  return assignment;
}

export function addTo(assignment: MutableAssignment, topicId: string, partition: number): void {
  const own = assignment.get(topicId);
  if (own === undefined) assignment.set(topicId, new Set([partition]));
  else own.add(partition);
}

/** In ascending order, as people read it. */
export function listOf(assignment: Assignment): { topicId: string; partitions: number[] }[] {
  return [...assignment].map(([topicId, partitions]) => ({
    topicId,
    partitions: [...partitions].sort((a, b) => a - b),
  }));
}

export function has(assignment: Assignment, topicId: string, partition: number): boolean {
  return assignment.get(topicId)?.has(partition) === true;
}

export function isWithin(part: Assignment, whole: Assignment): boolean {
  for (const [topicId, partitions] of part) {
    for (const partition of partitions) if (!has(whole, topicId, partition)) return false;
  }
  return true;
}

export function isSame(one: Assignment, other: Assignment): boolean {
  return countOf(one) === countOf(other) && isWithin(one, other);
}

export function countOf(assignment: Assignment): number {
  let count = 0;
  for (const partitions of assignment.values()) count += partitions.size;
  return count;
}
