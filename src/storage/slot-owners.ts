/**
 * Several owners of slots behind one door: each is an engine with write-ahead files of its own, and
 * a log belongs to the one that owns its slot. Whoever uses a `LogEngine` cannot tell, except by
 * `sameOwner`: appends to logs of two owners are two commits, in no order.
 */
import type { BrokerError } from '#kit';
import type {
  Durability,
  EngineHealth,
  LogEngine,
  RecoveryReport,
  ShardLog,
} from './log-engine.ts';
import { slotOf } from './log-engine.ts';

/** @param ownerOf index in `owners` of the owner of a slot; always the same for the same slot */
export function joinOwners(
  owners: readonly LogEngine[],
  ownerOf: (slot: number) => number,
): LogEngine {
  return new SlotOwners(owners, ownerOf);
}

class SlotOwners implements LogEngine {
  readonly report: RecoveryReport;
  readonly #owners: readonly LogEngine[];
  readonly #ownerOf: (slot: number) => number;

  constructor(owners: readonly LogEngine[], ownerOf: (slot: number) => number) {
    this.#owners = owners;
    this.#ownerOf = ownerOf;
    const reports = owners.map(({ report }) => report);
    this.report = {
      milliseconds: Math.max(...reports.map(({ milliseconds }) => milliseconds)),
      entriesReplayed: sum(reports.map(({ entriesReplayed }) => entriesReplayed)),
      tornBytes: sum(reports.map(({ tornBytes }) => tornBytes)),
      damaged: reports.flatMap(({ damaged }) => damaged),
    };
  }

  /** The worst of all owners. */
  get health(): EngineHealth {
    const states = this.#owners.map(({ health }) => health);
    if (states.includes('failed')) return 'failed';
    return states.includes('full') ? 'full' : 'ok';
  }

  onHealth(listener: (health: EngineHealth, reason: string) => void): void {
    let known = this.health;
    for (const owner of this.#owners) {
      owner.onHealth((_, reason) => {
        const { health } = this;
        if (health === known) return;
        known = health;
        listener(health, reason);
      });
    }
  }

  get busy(): boolean {
    return this.#owners.some(({ busy }) => busy);
  }

  onRoom(call: () => void): void {
    const busy = this.#owners.find((owner) => owner.busy);
    if (busy === undefined) this.#owners[0]!.onRoom(call);
    else busy.onRoom(() => (this.busy ? this.onRoom(call) : call()));
  }

  open(id: number, durability: Durability): ShardLog {
    return this.#owner(id).open(id, durability);
  }

  has(id: number): boolean {
    return this.#owner(id).has(id);
  }

  wake(): void {
    for (const owner of this.#owners) owner.wake();
  }

  /** Whoever seals first asks; what is appended then may belong to any owner. */
  beforeSeal(append: () => void): void {
    for (const owner of this.#owners) owner.beforeSeal(() => this.sealing(append));
  }

  sealing(append: () => void): void {
    const all = this.#owners.reduce<() => void>(
      (inner, owner) => () => owner.sealing(inner),
      append,
    );
    all();
  }

  sameOwner(logA: number, logB: number): boolean {
    return this.#ownerOf(slotOf(logA)) === this.#ownerOf(slotOf(logB));
  }

  async flushed(): Promise<void> {
    await this.#each((owner) => owner.flushed());
  }

  async checkpoint(): Promise<void> {
    await this.#each((owner) => owner.checkpoint());
  }

  /** Owners that write theirs at the same time share one save. */
  onCheckpoint(save: () => Promise<void>): void {
    let saving: Promise<void> | null = null;
    const shared = (): Promise<void> => {
      saving ??= save().finally(() => {
        saving = null;
      });
      return saving;
    };
    for (const owner of this.#owners) owner.onCheckpoint(shared);
  }

  usage(): { dataBytes: number; walBytes: number } {
    const each = this.#owners.map((owner) => owner.usage());
    return {
      dataBytes: sum(each.map(({ dataBytes }) => dataBytes)),
      walBytes: sum(each.map(({ walBytes }) => walBytes)),
    };
  }

  /** What hooks hold for any owner is written before the first of them closes. */
  async close(): Promise<void> {
    await this.flushed().catch((error: BrokerError) => {
      if (this.health !== 'failed' && error.code !== 'closing') throw error;
    });
    await this.#each((owner) => owner.close());
  }

  #owner(logId: number): LogEngine {
    return this.#owners[this.#ownerOf(slotOf(logId))]!;
  }

  async #each(job: (owner: LogEngine) => Promise<void>): Promise<void> {
    await Promise.all(this.#owners.map(job));
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);
