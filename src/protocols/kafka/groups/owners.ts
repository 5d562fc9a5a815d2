/** Which member of a group has a partition, or has not said yet that it gave it up. */
import type { Assignment } from './assignment.ts';

export class Owners {
  readonly #byTopic = new Map<string, Map<number, string>>();

  of(topicId: string, partition: number): string | undefined {
    return this.#byTopic.get(topicId)?.get(partition);
  }

  add(memberId: string, assignment: Assignment): void {
    for (const [topicId, partitions] of assignment) {
      let owners = this.#byTopic.get(topicId);
      if (owners === undefined) {
        owners = new Map();
        this.#byTopic.set(topicId, owners);
      }
      for (const partition of partitions) owners.set(partition, memberId);
    }
  }

  remove(memberId: string, assignment: Assignment): void {
    for (const [topicId, partitions] of assignment) {
      const owners = this.#byTopic.get(topicId);
      if (owners === undefined) continue;
      for (const partition of partitions) {
        if (owners.get(partition) === memberId) owners.delete(partition);
      }
      if (owners.size === 0) this.#byTopic.delete(topicId);
    }
  }
}
