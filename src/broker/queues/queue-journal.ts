/**
 * Where the state of durable queues is saved: each slot has a state log for the steps of its
 * queues, a few bytes per acknowledgement in the next entry. Now and then, and at checkpoints, the
 * queues that have changed are written whole into the catalogue, and the steps before that go.
 */
import { BrokerError, type Log } from '#kit';
import type { MetaChange, MetaStore } from '#meta';
import {
  type BatchFacts,
  LOG_IDS_PER_SLOT,
  type LogEngine,
  type ShardLog,
  SLOT_COUNT,
  slotOf,
} from '#storage';
import { STATE_FACTS } from '../state/state-facts.ts';
import type { Queue } from './queue.ts';
import { applySteps, ByteSink, decodeSnapshot, encodeSnapshot } from './queue-codec.ts';
import type { Lane } from './queue-lane.ts';
import type { QueueState } from './queue-state.ts';

const SNAPSHOTS = 'queue-state';
const MARKS = 'queue-marks';
/** The log of a slot that carries the steps of its queues. */
const STEPS_LOG = 2;
/** Bytes of steps after which the queues of a slot are written whole. */
const STEPS_BYTES_MAX = 4 << 20;
const REPLAY_BYTES = 1 << 20;

const FACTS: BatchFacts = { ...STATE_FACTS, count: 1 };

/** A durable queue while its state is being loaded. */
export interface LoadedQueue {
  readonly name: string;
  readonly id: number;
  /** As it was when it was made, until a snapshot replaces it. */
  state: QueueState;
}

interface Slot {
  readonly log: ShardLog;
  /** Changed since they were last written whole. */
  readonly dirty: Set<string>;
  /** Names of queues that were removed: their rows go with the next snapshot. */
  readonly removed: Set<string>;
  /** Steps since the last snapshot. */
  bytes: number;
  inFlight: number;
  /** A checkpoint wants a snapshot. */
  wanted: boolean;
  /** Told with the next steps, and with the last ones that are on their way. */
  unsealed: Done[];
  sealed: Done[];
}

type Done = (error: BrokerError | null) => void;

interface Snapshot {
  readonly slot: Slot;
  readonly changes: MetaChange[];
  readonly offset: number;
}

export class QueueJournal {
  readonly #engine: LogEngine;
  readonly #meta: MetaStore;
  readonly #log: Log;
  readonly #find: (name: string) => Queue | undefined;
  /** True when steps of queues wait for a seal. */
  readonly #pending: () => boolean;
  readonly #slots = new Map<number, Slot>();
  readonly #sink = new ByteSink();
  #writing: Promise<void> = Promise.resolve();

  constructor(
    engine: LogEngine,
    meta: MetaStore,
    log: Log,
    find: (name: string) => Queue | undefined,
    pending: () => boolean,
  ) {
    this.#engine = engine;
    this.#meta = meta;
    this.#log = log;
    this.#find = find;
    this.#pending = pending;
  }

  /**
   * All queues are there again: from now on checkpoints have them. One before would take the marks
   * further than the queues that it does not know yet.
   */
  begin(): void {
    this.#engine.onCheckpoint(() => this.#checkpoint());
  }

  /** Brings the states of queues to where they were at the last commit. */
  async load(queues: ReadonlyMap<string, LoadedQueue>): Promise<void> {
    const byId = new Map([...queues.values()].map((queue) => [queue.id, queue]));
    for await (const rows of this.#meta.scan(SNAPSHOTS)) {
      for (const { key, value } of rows) {
        const queue = queues.get(key);
        const state = queue === undefined ? null : decodeSnapshot(value, queue.id);
        if (state !== null) queue!.state = state;
      }
    }
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      if (this.#engine.has(slot * LOG_IDS_PER_SLOT + STEPS_LOG)) await this.#replay(slot, byId);
    }
  }

  /** Appends what has changed of these queues. Called before an entry is sealed, after the data. */
  seal(queues: Iterable<Queue>): void {
    const bySlot = new Map<number, Queue[]>();
    for (const queue of queues) {
      const slot = slotOf(queue.id);
      const known = bySlot.get(slot);
      if (known === undefined) bySlot.set(slot, [queue]);
      else known.push(queue);
    }
    for (const [slot, changed] of bySlot) this.#append(this.#slotOf(slot), changed);
  }

  /**
   * References were appended: the next snapshot sums them up, so that a start need not.
   * @returns true when a snapshot waits for a seal of the queue's state
   */
  referenced(queue: Queue): boolean {
    const slot = this.#slotOf(slotOf(queue.id));
    slot.dirty.add(queue.name);
    return slot.wanted;
  }

  /** The queue is gone: what is stored of it goes with the next snapshot. */
  remove(queue: Queue): void {
    const slot = this.#slotOf(slotOf(queue.id));
    slot.dirty.delete(queue.name);
    slot.removed.add(queue.name);
  }

  /** No steps of its slot are on their way to the disk. */
  isStill(queue: Queue): boolean {
    return this.#slotOf(slotOf(queue.id)).inFlight === 0;
  }

  /** Calls when the steps of a queue that were appended are on disk, or never will be. */
  whenCommitted(queue: Queue, done: Done): void {
    const slot = this.#slotOf(slotOf(queue.id));
    if (slot.inFlight > 0) slot.sealed.push(done);
    else done(null);
  }

  /** The same for its next steps as well. */
  whenSealed(queue: Queue, done: Done): void {
    this.#slotOf(slotOf(queue.id)).unsealed.push(done);
  }

  /** Tells who waits for steps that will not be written. */
  forget(queue: Queue, waiter: Done): void {
    const slot = this.#slotOf(slotOf(queue.id));
    const at = slot.unsealed.indexOf(waiter);
    if (at < 0) return;
    slot.unsealed.splice(at, 1);
    waiter(null);
  }

  /** The state of a queue as it was last written whole. */
  read(name: string, id: number): QueueState | null {
    const value = this.#meta.read(SNAPSHOTS, name);
    return value === undefined ? null : decodeSnapshot(value, id);
  }

  /**
   * Writes queues whole that are still, each for itself: the marks of their slots stay.
   * @returns those that have not changed meanwhile: what is in the catalogue is all of them
   */
  async saveWhole(queues: readonly Queue[]): Promise<ReadonlySet<Queue>> {
    const changes: MetaChange[] = [];
    const ends = queues.map(endsOf);
    for (const { id, name, state } of queues) {
      state.through = this.#slotOf(slotOf(id)).log.endOffset;
      changes.push({ table: SNAPSHOTS, key: name, value: encodeSnapshot(this.#sink, id, state) });
    }
    const written = this.#writing.then(() => this.#meta.write(changes));
    this.#writing = written.catch(() => {});
    try {
      await written;
    } catch (error) {
      this.#log.error('the state of queues cannot be written', { reason: String(error) });
      return new Set();
    }
    const saved = new Set<Queue>();
    for (const [index, queue] of queues.entries()) {
      const slot = this.#slotOf(slotOf(queue.id));
      if (slot.log.endOffset !== queue.state.through || endsOf(queue) !== ends[index]) continue;
      slot.dirty.delete(queue.name);
      // Of an older queue of that name.
      slot.removed.delete(queue.name);
      saved.add(queue);
    }
    return saved;
  }

  #append(slot: Slot, queues: readonly Queue[]): void {
    const floors: { readonly lane: Lane; readonly floor: number }[] = [];
    for (const queue of queues) {
      queue.writeSteps(this.#sink);
      slot.dirty.add(queue.name);
      for (const lane of queue.lanes.all) {
        const { floor } = lane.state.acks;
        if (floor > lane.savedFloor) floors.push({ lane, floor });
      }
    }
    const bytes = this.#sink.take();
    slot.bytes += bytes.length;
    slot.inFlight++;
    let snapshot: Snapshot | null = null;
    const waiting = slot.unsealed;
    slot.unsealed = [];
    slot.sealed = waiting;
    const committed = (error: BrokerError | null): void => {
      slot.inFlight--;
      for (const done of waiting) done(error);
      if (error !== null) return;
      for (const { lane, floor } of floors) lane.floorSaved(floor);
      if (snapshot !== null) void this.#write(snapshot);
    };
    try {
      slot.log.append(bytes, FACTS, committed);
    } catch (error) {
      slot.inFlight--;
      if (!(error instanceof BrokerError)) throw error;
      // The engine takes state as long as it takes anything: only an engine at its end refuses.
      this.#log.error('the state of queues cannot be stored', { reason: error.message });
      for (const done of waiting) done(error);
      return;
    }
    if (slot.wanted || slot.bytes > STEPS_BYTES_MAX) snapshot = this.#capture(slot);
  }

  /** The changed queues of a slot as they are; good once all that was appended is committed. */
  #capture(slot: Slot): Snapshot {
    const offset = slot.log.endOffset;
    const changes: MetaChange[] = [];
    for (const name of slot.removed) changes.push({ table: SNAPSHOTS, key: name, value: null });
    for (const name of slot.dirty) {
      const queue = this.#find(name);
      if (queue === undefined) continue;
      queue.state.through = offset;
      const value = encodeSnapshot(this.#sink, queue.id, queue.state);
      changes.push({ table: SNAPSHOTS, key: name, value });
    }
    const key = String(slotOf(slot.log.id));
    changes.push({ table: MARKS, key, value: Buffer.from(String(offset)) });
    slot.dirty.clear();
    slot.removed.clear();
    slot.bytes = 0;
    slot.wanted = false;
    return { slot, changes, offset };
  }

  #write({ slot, changes, offset }: Snapshot): Promise<void> {
    this.#writing = this.#writing.then(async () => {
      try {
        await this.#meta.write(changes);
      } catch (error) {
        // Nothing is lost: the steps stay, and the next snapshot has these queues again.
        this.#log.error('the state of queues cannot be written', { reason: String(error) });
        for (const { table, key } of changes) if (table === SNAPSHOTS) slot.dirty.add(key);
        return;
      }
      slot.log.trim(offset);
    });
    return this.#writing;
  }

  /**
   * Writes what is committed. Where steps are on their way the snapshot comes with the next ones:
   * a checkpoint must not wait for a commit, which may wait for the checkpoint to make room.
   */
  async #checkpoint(): Promise<void> {
    const pending = this.#pending();
    for (const slot of this.#slots.values()) {
      if (slot.dirty.size === 0 && slot.removed.size === 0) continue;
      if (pending || slot.inFlight > 0 || !this.#stable(slot)) slot.wanted = true;
      else await this.#write(this.#capture(slot));
    }
  }

  /** No references of its changed queues are on their way to the disk. */
  #stable(slot: Slot): boolean {
    for (const name of slot.dirty) {
      for (const lane of this.#find(name)?.lanes.references ?? []) if (!lane.stable) return false;
    }
    return true;
  }

  async #replay(number: number, byId: ReadonlyMap<number, LoadedQueue>): Promise<void> {
    const slot = this.#slotOf(number);
    const { log } = slot;
    const mark = await this.#meta.get(MARKS, String(number));
    let offset = Math.max(log.startOffset, mark === undefined ? 0 : Number(mark.toString()));
    while (offset < log.highWatermark) {
      try {
        for (const batch of await log.read(offset, REPLAY_BYTES)) {
          applySteps(batch.bytes, (id) => {
            const queue = byId.get(id);
            if (queue === undefined || queue.state.through > batch.baseOffset) return null;
            slot.dirty.add(queue.name);
            return queue.state;
          });
          offset = batch.baseOffset + batch.count;
        }
      } catch (error) {
        if (!(error instanceof BrokerError) || error.code !== 'damaged') throw error;
        this.#log.error('acknowledgements of queues are damaged: messages come again', {
          slot: number,
          reason: error.message,
        });
        offset = Math.max(offset + 1, Number(error.details['to']));
      }
    }
  }

  #slotOf(number: number): Slot {
    let slot = this.#slots.get(number);
    if (slot === undefined) {
      slot = {
        log: this.#engine.open(number * LOG_IDS_PER_SLOT + STEPS_LOG, 'fsync'),
        ...{ dirty: new Set(), removed: new Set(), bytes: 0, inFlight: 0, wanted: false },
        ...{ unsealed: [], sealed: [] },
      };
      this.#slots.set(number, slot);
    }
    return slot;
  }
}

/** References that were ever routed to a queue. */
function endsOf({ lanes }: Queue): string {
  return lanes.references.map((lane) => lane.expectedEnd).join();
}
