/**
 * What the server did behind its clients: adopted and merged files, compacted logs, moved objects
 * to the bucket. Its counters are asked for while the load runs, because they end with it; so these
 * are the least that happened.
 */
import { ADMIN, type Server } from '../clients/server.ts';

const LOOK_MS = 250;

/** Words for the report, by the counter. */
export const UPKEEP = {
  robustmq_storage_adopted_bytes_total: 'bytes of write-ahead files that became segments',
  robustmq_storage_reorganised_bytes_total: 'bytes that were written into segments',
  robustmq_storage_merges_total: 'merges of segments',
  robustmq_storage_compactions_total: 'compactions of a log',
  robustmq_storage_checkpoints_total: 'checkpoints',
  robustmq_storage_remote_uploads_total: 'objects that were uploaded to the bucket',
  robustmq_storage_remote_evictions_total: 'objects that left the local disk',
} as const;
type Counter = keyof typeof UPKEEP;
export type Upkeep = Record<Counter, number>;
export const COUNTERS = Object.keys(UPKEEP) as Counter[];

export function noUpkeep(): Upkeep {
  return Object.fromEntries(COUNTERS.map((name) => [name, 0])) as Upkeep;
}

/** Follows one server over its lives. */
export class UpkeepWatch {
  readonly #sums: Upkeep;
  #life = noUpkeep();
  #timer: NodeJS.Timeout | null = null;

  /** @param sums what it adds to */
  constructor(sums: Upkeep) {
    this.#sums = sums;
  }

  begin(server: Server): void {
    this.#timer = setInterval(() => void this.#look(server), LOOK_MS);
  }

  /** That life is over. */
  end(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    for (const name of COUNTERS) this.#sums[name] += this.#life[name];
    this.#life = noUpkeep();
  }

  async #look(server: Server): Promise<void> {
    const life = this.#life;
    const authorization = `Basic ${btoa(`${ADMIN.user}:${ADMIN.password}`)}`;
    const url = `http://${server.address('admin')}/metrics`;
    try {
      const text = await (await fetch(url, { headers: { authorization } })).text();
      for (const [, name, value] of text.matchAll(/^(\w+) (\d+)$/gm)) {
        if (Object.hasOwn(UPKEEP, name!)) life[name as Counter] = Number(value);
      }
    } catch {
      // Between two lives nobody answers.
    }
  }
}
