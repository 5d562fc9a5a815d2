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

  /** @param done told when all that was changed so far is on disk, or cannot be now */
  save(group: ShareGroup, done: () => void): void {
    if (group.changed) {
      group.changed = false;
      this.#state.put(KIND, group.id, Buffer.from(JSON.stringify(group.stored())));
    } else if (group.saves === 0) {
      done();
      return;
    }
    group.saves++;
    this.#state.committed((error) => {
      group.saves--;
      if (error !== null) {
        const facts = { group: group.id, reason: error.message };
        this.#log.warn('a change of a share group is not stored', facts);
      }
      done();
    });
  }

  forget(id: string): void {
    this.#state.delete(KIND, id);
  }
}
