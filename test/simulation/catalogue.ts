/**
 * A catalogue that outlives processes. A write counts when it resolves; one that a crash overtakes
 * is there as a whole or not at all, and not without those before it.
 */
import { BrokerError } from '#kit';
import { type MetaChange, type MetaStore, openMemoryStore } from '#meta';
import type { Scheduler } from './scheduler.ts';
import type { Seeded } from './seeded.ts';
import type { Trace } from './trace.ts';

const never = (): Promise<never> => new Promise(() => {});

export class VirtualCatalogue {
  /** Largest time that a write takes; 0 = done when the call returns, as with SQLite. */
  latencyMs = 0;
  /** What the next writes are refused with, or null. */
  refusal: 'storage-full' | 'storage-failed' | null = null;
  readonly #durable = new Map<string, Map<string, Buffer>>();
  #pending: (readonly MetaChange[])[] = [];
  #epoch = 0;
  readonly #scheduler: Scheduler;
  readonly #random: Seeded;
  readonly #trace: Trace;
  #lastMs = 0;

  constructor(scheduler: Scheduler, random: Seeded, trace: Trace) {
    this.#scheduler = scheduler;
    this.#random = random;
    this.#trace = trace;
  }

  /** The catalogue as one process sees it; it dies with the next `crash` or `kill`. */
  async mount(): Promise<MetaStore> {
    const store = openMemoryStore();
    const rows: MetaChange[] = [];
    for (const [table, keys] of this.#durable) {
      for (const [key, value] of keys) rows.push({ table, key, value });
    }
    await store.write(rows);
    const epoch = this.#epoch;
    const write = (changes: readonly MetaChange[]) => this.#write(store, epoch, changes);
    // Whatever else a catalogue can do, it does in memory.
    return new Proxy(store, {
      get: (target, name) => {
        if (name === 'write') return write;
        const member = Reflect.get(target, name) as unknown;
        return typeof member === 'function' ? member.bind(target) : member;
      },
    });
  }

  /** Loses power: of what was not resolved, any number of writes from the first on were made. */
  crash(): void {
    this.#epoch++;
    const kept = this.#random.integer(0, this.#pending.length);
    for (const changes of this.#pending.slice(0, kept)) this.#keep(changes);
    this.#pending = [];
  }

  /** Kills the process only: what it wrote is on its way. */
  kill(): void {
    this.#epoch++;
    for (const changes of this.#pending) this.#keep(changes);
    this.#pending = [];
  }

  async #write(store: MetaStore, epoch: number, given: readonly MetaChange[]): Promise<void> {
    if (epoch !== this.#epoch) return never();
    if (this.refusal !== null) throw new BrokerError(this.refusal, 'catalogue');
    const changes = given.map((change) => {
      return { ...change, value: change.value === null ? null : Buffer.from(change.value) };
    });
    for (const { table, key, value } of changes) {
      this.#trace.bytes(`meta ${table} ${key}${value === null ? ' gone' : ''}`, value ?? NOTHING);
    }
    // Both in the order of the calls: what a reader sees, and what is durable.
    const shown = store.write(changes);
    if (this.latencyMs === 0) {
      this.#keep(changes);
      return shown;
    }
    this.#pending.push(changes);
    await shown;
    const atMs = this.#scheduler.nowMs + this.#random.between(0, this.latencyMs);
    this.#lastMs = Math.max(this.#lastMs, atMs);
    await this.#scheduler.sleep(this.#lastMs - this.#scheduler.nowMs);
    if (epoch !== this.#epoch) return never();
    this.#pending.splice(this.#pending.indexOf(changes), 1);
    this.#keep(changes);
  }

  #keep(changes: readonly MetaChange[]): void {
    for (const { table, key, value } of changes) {
      let rows = this.#durable.get(table);
      if (rows === undefined) {
        rows = new Map();
        this.#durable.set(table, rows);
      }
      if (value === null) rows.delete(key);
      else rows.set(key, value as Buffer);
    }
  }
}

const NOTHING = Buffer.alloc(0);
