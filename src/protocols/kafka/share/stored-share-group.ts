/** Share groups as they are stored, one row each. How far they are lies with their queues. */
import type { StateTable } from '#broker';
import type { Log } from '#kit';
import type { ShareGroup, StoredShareGroup } from './share-group.ts';

const KIND = 'kafka.share-group';

export class ShareGroupStore {
  readonly #state: StateTable;
  readonly #log: Log;

  constructor(state: StateTable, log: Log) {
    this.#state = state;
    this.#log = log;
  }

  *all(): Generator<readonly [id: string, stored: StoredShareGroup]> {
    for (const [id, bytes] of this.#state.scan(KIND)) {
      yield [id, JSON.parse(bytes.toString()) as StoredShareGroup];
    }
  }

  /** @param done told when all is on disk, or cannot be now */
  save(group: ShareGroup, done: () => void): void {
    if (group.changed) {
      group.changed = false;
      this.#unsaved.add(group);
      this.#state.put(KIND, group.id, Buffer.from(JSON.stringify(group.stored())));
    }
    if (!this.#unsaved.has(group)) {
      done();
      return;
    }
    this.#state.committed((error) => {
      if (error === null) this.#unsaved.delete(group);
      else {
        const facts = { group: group.id, reason: error.message };
        this.#log.warn('a change of a share group is not stored', facts);
      }
      done();
    });
  }

  /** Changes of these are on their way to the disk. */
  readonly #unsaved = new Set<ShareGroup>();

  forget(id: string): void {
    this.#state.delete(KIND, id);
  }
}
