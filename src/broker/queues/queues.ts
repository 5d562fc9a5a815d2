/** The queues of this server: declaring, finding, saving and removing them. */
import { BrokerError, type Counter, type Timer } from '#kit';
import type { LogEngine } from '#storage';
import type { ColdQueues } from '../cold/cold-queues.ts';
import type { ColdReference } from '../cold/cold-references.ts';
import type { Message } from '../records/message.ts';
import { newLogId, slotOfName } from '../state/slot.ts';
import type { StateTable } from '../state/state-table.ts';
import type { Partition } from '../streams/partition.ts';
import type { Streams } from '../streams/streams.ts';
import { CursorLane } from './cursor-lane.ts';
import { Deadlines } from './deadlines.ts';
import { FarReads } from './far-reads.ts';
import { Queue } from './queue.ts';
import type { QueueHost } from './queue-host.ts';
import { type LoadedQueue, QueueJournal } from './queue-journal.ts';
import type { LaneOwner } from './queue-lane.ts';
import { LANE_POSITIONS, REFERENCE_BASE } from './queue-lanes.ts';
import { QueuePins } from './queue-pins.ts';
import {
  checkLimits,
  limitsOf,
  needsReferences,
  ownLimits,
  type QueueLimits,
  type QueueSettings,
} from './queue-settings.ts';
import { ENDED, type Ended, type QueueState } from './queue-state.ts';
import type { QueuesBroker, QueuesGiven } from './queues-given.ts';
import { type ReferenceHost, ReferenceLane } from './reference-lane.ts';
import { CURSOR_LANE, newState, type StoredQueue } from './stored-queue.ts';

const DEFINITION_KIND = 'queue';
/** Messages that wait for their next delivery, in the time engine. */
const RETRY_KIND = 'queue.retry';
/** How long an acknowledgement may wait for another write to share its commit. */
const SAVE_DELAY_MS = 20;
export class Queues {
  readonly #queues = new Map<string, Queue>();
  /** Durable ones. */
  readonly #byId = new Map<number, Queue>();
  readonly #stored = new Map<string, StoredQueue>();
  readonly #engine: LogEngine;
  readonly #state: StateTable;
  readonly #streams: Streams;
  readonly #given: QueuesGiven;
  readonly #broker: QueuesBroker;
  readonly #host: QueueHost;
  readonly #references: ReferenceHost;
  readonly #journal: QueueJournal;
  readonly #pins = new QueuePins();
  readonly #leases: Deadlines;
  readonly #ages: Deadlines;
  readonly #farReads: FarReads;
  readonly #partitions = new Map<number, Partition>();
  #changed = new Set<Queue>();
  #routed = new Set<Queue>();
  /** Queues whose own stream must be routed to them by reference, by partition. */
  readonly captors = new Map<Partition, Queue[]>();
  /** Queues that are not in memory. */
  cold: Pick<ColdQueues, 'firstOffset' | 'loaded'> | null = null;
  #saveTimer: Timer | null = null;
  /** Called when the disk is not full any more. */
  #spaceWaiters: (() => void)[] = [];
  #arriving = false;

  constructor(
    engine: LogEngine,
    state: StateTable,
    streams: Streams,
    given: QueuesGiven,
    broker: QueuesBroker,
  ) {
    this.#engine = engine;
    this.#state = state;
    this.#streams = streams;
    this.#given = given;
    this.#broker = broker;
    const { clock, timers, log, meta } = given;
    this.#leases = new Deadlines(timers, clock, 'monotonic');
    this.#ages = new Deadlines(timers, clock, 'wall');
    this.#farReads = new FarReads(this.#leases, log);
    this.#references = {
      openLog: (id) => engine.open(id, 'fsync'),
      hasLog: (id) => engine.has(id),
      partition: (id) => this.#partitions.get(id),
      sameOwner: (a, b) => engine.sameOwner(a, b),
    };
    this.#journal = new QueueJournal(
      engine,
      meta,
      log,
      (name) => this.#queues.get(name),
      () => this.#changed.size > 0,
    );
    this.#host = this.#makeHost();
    engine.onHealth((health) => {
      if (health === 'ok') for (const wake of this.#spaceWaiters.splice(0)) wake();
    });
    for (const stream of streams.list()) {
      for (const partition of stream.partitions) this.#partitions.set(partition.log.id, partition);
    }
    streams.watch((event, stream) => {
      for (const partition of stream.partitions) {
        if (event === 'removed') {
          this.#partitions.delete(partition.log.id);
          this.#pins.forget(partition);
        } else this.#partitions.set(partition.log.id, partition);
      }
      if (event !== 'removed') return;
      for (const queue of [...this.#queues.values()]) {
        if (queue.cursor?.partition.stream === stream) this.remove(queue);
      }
    });
  }

  /** Brings back the durable queues. */
  async recover(): Promise<void> {
    const loaded = new Map<string, LoadedQueue>();
    for (const [name, value] of this.#state.scan(DEFINITION_KIND)) {
      const stored = JSON.parse(value.toString()) as StoredQueue;
      this.#stored.set(name, stored);
      loaded.set(name, { name, id: stored.log, state: newState(stored) });
    }
    await this.#journal.load(loaded);
    for (const { name, state } of loaded.values()) {
      const stored = this.#stored.get(name)!;
      const queue = this.#open(name, stored, limitsOf(stored.limits ?? {}), state);
      for (const [priority, log] of [stored.log, ...(stored.logs ?? [])].entries()) {
        if (log === 0 || !this.#engine.has(log)) continue;
        await queue.addLane(priority).recover();
      }
      if (queue.referencesOnly) this.#capture(queue);
    }
    this.#journal.begin();
    this.#broker.time.register(RETRY_KIND, ({ id, value }) => {
      const [queueId, position] = id.split(':').map(Number);
      this.#byId.get(queueId!)?.comeBack(position!, value.readDoubleBE(0));
    });
  }

  get(name: string): Queue | undefined {
    return this.#queues.get(name);
  }

  list(): Iterable<Queue> {
    return this.#queues.values();
  }

  /**
   * The queue of that name, made when there is none. A durable one is on disk with the next commit.
   * @throws BrokerError `unknown-stream`, `invalid-argument`
   */
  declare(name: string, settings: QueueSettings): Queue {
    const known = this.#queues.get(name);
    if (known !== undefined) return known;
    const limits = limitsOf(settings);
    checkLimits(limits);
    let start = 0;
    let limit = -1;
    if (settings.stream !== undefined) {
      const partition = this.#partitionOf(settings.stream, settings.partition);
      if (partition === null) throw new BrokerError('unknown-stream', `'${settings.stream}'`);
      start = Math.max(settings.startOffset ?? partition.endOffset, partition.startOffset);
      if (needsReferences(limits)) limit = Math.max(start, partition.endOffset);
    }
    const own = ownLimits(settings);
    const stored: StoredQueue = {
      stream: settings.stream ?? null,
      ...(settings.partition ? { partition: settings.partition } : {}),
      ...(settings.loose ? { loose: true } : {}),
      start,
      log: settings.durable ? newLogId(slotOfName(name), this.#engine, this.#given.random) : 0,
      limit,
      ...(Object.keys(own).length === 0 ? {} : { limits: own }),
    };
    const queue = this.#open(name, stored, limits, newState(stored));
    if (settings.durable) this.#store(name, stored);
    if (queue.referencesOnly) this.#capture(queue);
    return queue;
  }

  remove(queue: Queue): void {
    if (this.#queues.get(queue.name) !== queue) return;
    this.#letGo(queue);
    if (!queue.durable) return;
    this.#state.delete(DEFINITION_KIND, queue.name);
    this.#journal.remove(queue);
    for (const lane of queue.lanes.references) lane.remove();
  }

  /** Takes a queue out of memory. */
  #letGo(queue: Queue): void {
    this.#queues.delete(queue.name);
    this.#changed.delete(queue);
    this.#routed.delete(queue);
    this.#farReads.forget(queue);
    const { cursor } = queue;
    if (cursor !== null) {
      const captors = this.captors.get(cursor.partition)?.filter((other) => other !== queue);
      if (captors !== undefined && captors.length > 0) this.captors.set(cursor.partition, captors);
      else this.captors.delete(cursor.partition);
    }
    queue.end();
    if (!queue.durable) return;
    this.#byId.delete(queue.id);
    this.#stored.delete(queue.name);
  }

  // ---- leaving memory and coming back --------------------------------------------------------

  /** Nothing of it is under way, in memory or to the disk; it has one lane, of references. */
  isStill(queue: Queue): boolean {
    const { cursor, consumerCount, unackedCount, lanes, limits, loading } = queue;
    if (!queue.durable || cursor !== null || limits.priorities > 0 || limits.keyOrder) return false;
    if (consumerCount > 0 || unackedCount > 0 || loading) return false;
    if (this.#changed.has(queue) || this.#routed.has(queue)) return false;
    return lanes.references.every((lane) => lane.still) && this.#journal.isStill(queue);
  }

  /** Writes still queues whole. @returns those that have not changed meanwhile */
  saveWhole(queues: readonly Queue[]): Promise<ReadonlySet<Queue>> {
    return this.#journal.saveWhole(queues);
  }

  /** A still queue that was written whole leaves memory. @returns what `putBack` needs */
  putAway(queue: Queue): string {
    const stored = JSON.stringify(this.#stored.get(queue.name));
    this.#letGo(queue);
    this.#state.delete(DEFINITION_KIND, queue.name);
    return stored;
  }

  putBack(name: string, text: string): Queue {
    const stored = JSON.parse(text) as StoredQueue;
    const state = this.#journal.read(name, stored.log) ?? newState(stored);
    const queue = this.#open(name, stored, limitsOf(stored.limits ?? {}), state);
    this.#store(name, stored);
    if (this.#engine.has(stored.log)) queue.addLane(0).recovered();
    return queue;
  }

  /** A queue takes references to messages that were stored before. */
  takeIn(queue: Queue, references: readonly ColdReference[]): void {
    const lane = queue.lanes.ofPriority(0) ?? queue.addLane(0);
    for (const { logId, offset, meta, size } of references) {
      const partition = this.#partitions.get(logId);
      if (partition !== undefined) lane.pushReference(partition, offset, meta, size, null);
    }
    this.#routed.add(queue);
    this.#engine.wake();
  }

  /**
   * A message of another stream is about to be routed to this queue: from now on its own stream
   * comes by reference too, so that both stay in one order.
   */
  holdReferences(queue: Queue): void {
    if (queue.cursor === null || queue.referencesOnly) return;
    queue.holdReferences();
    this.#capture(queue);
    this.#limited(queue);
  }

  /** The object store answers again: queues that wait for it go on. */
  readAgain(): void {
    this.#farReads.due();
  }

  /** First offset of a partition that a durable queue still needs, or Infinity. */
  firstOffset(partition: Partition): number {
    return Math.min(this.#pins.first(partition), this.cold?.firstOffset(partition) ?? Infinity);
  }

  /** Appends references and changed states. Called before an entry is sealed, after the data. */
  seal(): void {
    if (this.#routed.size > 0) {
      const routed = this.#routed;
      this.#routed = new Set();
      for (const queue of routed) this.#sealReferences(queue);
    }
    if (this.#changed.size === 0) return;
    const changed = this.#changed;
    this.#changed = new Set();
    this.#saveTimer?.cancel();
    this.#saveTimer = null;
    this.#journal.seal(changed);
  }

  /** Calls when all that has happened to a durable queue is on disk, or never will be. */
  whenSaved(queue: Queue, done: (error: BrokerError | null) => void): void {
    if (!this.#changed.has(queue)) {
      this.#journal.whenCommitted(queue, done);
      return;
    }
    // What happens to a queue that is removed is not written any more.
    const endRemoved = queue.onRemoved(() => this.#journal.forget(queue, saved));
    const saved = (error: BrokerError | null): void => {
      endRemoved();
      done(error);
    };
    this.#journal.whenSealed(queue, saved);
    this.#engine.wake();
  }

  /** The server takes leave: what a client gives back must not go to another that leaves too. */
  stop(): void {
    this.#host.stopped = true;
  }

  /** Saves what waits for company. Called before the engine is closed. */
  close(): void {
    this.#leases.close();
    this.#ages.close();
    this.#saveTimer?.cancel();
    this.#saveTimer = null;
    if (this.#changed.size > 0) this.#engine.wake();
  }

  #sealReferences(queue: Queue): void {
    try {
      for (const lane of queue.lanes.references) lane.seal();
      if (queue.durable && this.#journal.referenced(queue)) this.#changed.add(queue);
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error;
      // The engine takes state as long as it takes anything: only an engine at its end refuses.
      this.#given.log.error('references of a queue cannot be stored', {
        queue: queue.name,
        reason: error.message,
      });
    }
  }

  #makeHost(): QueueHost {
    const { timers, log, metrics } = this.#given;
    const count = (what: string, help: string): Counter =>
      metrics.counter(`robustmq_queue_${what}_total`, help);
    const ends: Partial<Record<Ended, Counter>> = {
      [ENDED.expired]: count('expired', 'Messages that expired in a queue.'),
      [ENDED.dropped]: count('dropped', 'Messages that a queue gave up: limits, purges, rejects.'),
      [ENDED.dead]: count('dead_lettered', 'Messages that a queue handed on as dead letters.'),
    };
    return {
      stopped: false,
      leases: this.#leases,
      ages: this.#ages,
      changed: (queue) => this.#change(queue),
      routed: (queue) => {
        this.#routed.add(queue);
        this.#engine.wake();
      },
      arrived: (queue) => this.#arrive(queue),
      limited: (queue) => this.#limited(queue),
      makeLane: (queue, priority) => this.#makeLane(queue, priority),
      delay: (queue, position, dueMs, bytes) => this.#delay(queue, position, dueMs, bytes),
      together: (queue, published) => this.#together(queue, published),
      onRoom: (call) => {
        if (this.#engine.health === 'full') this.#spaceWaiters.push(call);
        else this.#broker.onRoom(call);
      },
      soon: (call) => timers.soon(call),
      ended: (how, messages) => ends[how]?.add(messages),
      readable: (queue) => {
        this.#farReads.arrived(queue);
        this.cold?.loaded();
      },
      unreadable: (queue, error) => {
        if (error instanceof BrokerError && error.code === 'remote-unavailable') {
          this.#farReads.wait(queue, error.message);
          return;
        }
        log.error('a message of a queue cannot be read', {
          queue: queue.name,
          reason: error instanceof Error ? error.message : String(error),
        });
      },
      undeliverable: (queue, error) => {
        log.warn('a dead letter waits', { queue: queue.name, reason: error.message });
      },
    };
  }

  /**
   * At once, as live subscribers get theirs; but dead letters of a delivery that goes on come when
   * it is over, or queues that pass them on to each other would never end.
   */
  #arrive(queue: Queue): void {
    if (this.#arriving) {
      this.#given.timers.soon(() => queue.committed());
      return;
    }
    this.#arriving = true;
    try {
      queue.committed();
    } finally {
      this.#arriving = false;
    }
  }

  #makeLane(queue: Queue, priority: number): ReferenceLane {
    const { priorities } = queue.limits;
    // The first lane has the highest priority.
    const place = priorities - priority;
    const number = place + 1;
    return new ReferenceLane(
      number,
      REFERENCE_BASE + place * LANE_POSITIONS,
      queue.state.lane(number),
      queue,
      queue.durable ? this.#laneLog(queue, priority) : 0,
      this.#references,
      (partition) => this.#pins.add(partition, queue),
    );
  }

  /** Each priority has a log of its own from its first message on. */
  #laneLog(queue: Queue, priority: number): number {
    const stored = this.#stored.get(queue.name)!;
    if (priority === 0) return stored.log;
    const known = stored.logs?.[priority - 1] ?? 0;
    if (known !== 0) return known;
    const id = newLogId(slotOfName(queue.name), this.#engine, this.#given.random);
    const logs = Array.from({ length: queue.limits.priorities }, (_, index) =>
      index === priority - 1 ? id : (stored.logs?.[index] ?? 0),
    );
    this.#store(queue.name, { ...stored, logs });
    return id;
  }

  #delay(queue: Queue, position: number, dueMs: number, bytes: number): void {
    if (!queue.durable) {
      const due = (): void => queue.comeBack(position, bytes);
      this.#ages.set({ dueMs, heapIndex: -1, due }, dueMs);
      return;
    }
    const value = Buffer.allocUnsafe(8);
    value.writeDoubleBE(bytes, 0);
    this.#broker.time.set(RETRY_KIND, `${queue.id}:${position}`, dueMs, value);
  }

  /** A copy that is stored nowhere is as safe as it will ever be. */
  #together(queue: Queue, { partition }: Message): boolean {
    if (partition === null) return true;
    return this.#engine.sameOwner(queue.id, partition.log.id) && !partition.waitsForOthers;
  }

  #change(queue: Queue): void {
    this.#changed.add(queue);
    this.#saveTimer ??= this.#given.timers.after(SAVE_DELAY_MS, () => {
      this.#saveTimer = null;
      this.#engine.wake();
    });
  }

  #capture(queue: Queue): void {
    const { partition } = queue.cursor!;
    const captors = this.captors.get(partition);
    if (captors === undefined) this.captors.set(partition, [queue]);
    else captors.push(queue);
  }

  #limited(queue: Queue): void {
    const stored = this.#stored.get(queue.name);
    if (stored !== undefined) this.#store(queue.name, { ...stored, limit: queue.cursor!.limit });
  }

  #store(name: string, stored: StoredQueue): void {
    this.#stored.set(name, stored);
    this.#state.put(DEFINITION_KIND, name, Buffer.from(JSON.stringify(stored)));
  }

  #partitionOf(stream: string, index = 0): Partition | null {
    return this.#streams.get(stream)?.partitions[index] ?? null;
  }

  #open(name: string, stored: StoredQueue, limits: QueueLimits, state: QueueState): Queue {
    const { stream, partition: index } = stored;
    const partition = stream === null ? null : this.#partitionOf(stream, index);
    const limit = stored.limit < 0 ? Number.POSITIVE_INFINITY : stored.limit;
    const makeCursor = (owner: LaneOwner): CursorLane | null =>
      partition === null
        ? null
        : new CursorLane(state.lanes.get(CURSOR_LANE)!, owner, partition, limit);
    const queue = new Queue(name, stored.log, limits, state, makeCursor, this.#host);
    this.#queues.set(name, queue);
    if (!queue.durable) return queue;
    this.#byId.set(queue.id, queue);
    if (partition !== null && !stored.loose) this.#pins.add(partition, queue);
    return queue;
  }
}
