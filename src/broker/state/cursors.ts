/**
 * Committed positions of named groups: one offset per group, stream and partition, durable in the
 * state table. Each tells where the group reads on, not what single messages it finished.
 */
import type { BrokerError } from '#kit';
import type { StateTable } from './state-table.ts';

const KIND = 'cursor';

export interface CommittedOffset {
  readonly stream: string;
  readonly partition: number;
  /** The next offset to read. */
  readonly offset: number;
  /** Leader epoch that the group saw, or -1. */
  readonly epoch: number;
  readonly metadata: string;
  readonly timeMs: number;
}

export class Cursors {
  readonly #state: StateTable;
  /** Group, then `stream\0partition`. */
  readonly #groups = new Map<string, Map<string, CommittedOffset>>();

  constructor(state: StateTable) {
    this.#state = state;
    for (const [key, value] of state.scan(KIND)) {
      const [group, stream, partition] = JSON.parse(key) as [string, string, number];
      const [offset, epoch, metadata, timeMs] = JSON.parse(value.toString()) as [
        number,
        number,
        string,
        number,
      ];
      this.#set(group, { stream, partition, offset, epoch, metadata, timeMs });
    }
  }

  /** @param done called when the positions are on disk, or will not be */
  commit(
    group: string,
    entries: readonly CommittedOffset[],
    done: (error: BrokerError | null) => void,
  ): void {
    for (const entry of entries) {
      this.#set(group, entry);
      const { stream, partition, offset, epoch, metadata, timeMs } = entry;
      const value = Buffer.from(JSON.stringify([offset, epoch, metadata, timeMs]));
      this.#state.put(KIND, keyOf(group, stream, partition), value);
    }
    this.#state.committed(done);
  }

  get(group: string, stream: string, partition: number): CommittedOffset | undefined {
    return this.#groups.get(group)?.get(`${stream}\0${partition}`);
  }

  list(group: string): CommittedOffset[] {
    return [...(this.#groups.get(group)?.values() ?? [])];
  }

  groups(): Iterable<string> {
    return this.#groups.keys();
  }

  /** Forgets a group, or its positions in one stream or partition. */
  remove(group: string, stream?: string, partition?: number): void {
    for (const entry of this.list(group)) {
      if (stream !== undefined && entry.stream !== stream) continue;
      if (partition !== undefined && entry.partition !== partition) continue;
      this.#groups.get(group)!.delete(`${entry.stream}\0${entry.partition}`);
      this.#state.delete(KIND, keyOf(group, entry.stream, entry.partition));
    }
    if (this.#groups.get(group)?.size === 0) this.#groups.delete(group);
  }

  #set(group: string, entry: CommittedOffset): void {
    let entries = this.#groups.get(group);
    if (entries === undefined) {
      entries = new Map();
      this.#groups.set(group, entries);
    }
    entries.set(`${entry.stream}\0${entry.partition}`, entry);
  }
}

function keyOf(group: string, stream: string, partition: number): string {
  return JSON.stringify([group, stream, partition]);
}
