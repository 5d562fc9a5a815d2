/** The queues of this server: declaring, finding, saving and removing them. */
import {
  BrokerError,
  type Clock,
  type Counter,
  type Log,
  type Metrics,
  type Random,
  type Timer,
  type Timers,
} from '#kit';
import type { LogEngine } from '#storage';
import { AckState } from './ack-state.ts';
import type { Partition } from './partition.ts';
import { Queue, type QueueHost, type QueueState } from './queue.ts';
import { CursorLane, REFERENCE_BASE, ReferenceLane } from './queue-lanes.ts';
import { newLogId, slotOfName } from './slot.ts';
import type { StateTable } from './state-table.ts';
import type { Streams } from './streams.ts';

const DEFINITION_KIND = 'queue';
const STATE_KIND = 'queue-state';
/** How long an acknowledgement may wait for another write to share its commit. */
const SAVE_DELAY_MS = 20;

export interface QueueSettings {
  readonly durable: boolean;
  /** The stream that the queue is a cursor over (its first partition). It must exist. */
  readonly stream?: string;
  /** Where in that stream it starts; its end when left out. */
  readonly startOffset?: number;
  /** More ready messages than this are dropped, oldest first. */
  readonly lengthMax?: number;
}

interface StoredQueue {
  readonly stream: string | null;
  /** Log of the references, 0 while there is none. */
  readonly log: number;
  /** First offset of the stream that comes by reference; -1 = none does. */
  readonly limit: number;
  readonly lengthMax: number;
}

export class Queues {
  readonly #queues = new Map<string, Queue>();
  readonly #stored = new Map<string, StoredQueue>();
  readonly #engine: LogEngine;
  readonly #state: StateTable;
  readonly #streams: Streams;
  readonly #random: Random;
  readonly #timers: Timers;
  readonly #log: Log;
  readonly #host: QueueHost;
  #changed = new Set<Queue>();
  #routed = new Set<Queue>();
  /** Queues whose own stream must be routed to them by reference, by partition. */
  readonly captors = new Map<Partition, Queue[]>();
  #saveTimer: Timer | null = null;

  constructor(
    engine: LogEngine,
    state: StateTable,
    streams: Streams,
    given: { clock: Clock; timers: Timers; random: Random; log: Log; metrics: Metrics },
  ) {
    this.#engine = engine;
    this.#state = state;
    this.#streams = streams;
    this.#random = given.random;
    this.#timers = given.timers;
    this.#log = given.log;
    const count = (what: string, help: string): Counter =>
      given.metrics.counter(`robustmq_queue_${what}_total`, help);
    const expired = count('expired', 'Messages that expired in a queue.');
    const dropped = count('dropped', 'Messages dropped because a queue was over its length.');
    streams.watch((event, stream) => {
      if (event !== 'removed') return;
      for (const queue of [...this.#queues.values()]) {
        if (queue.cursor?.partition.stream === stream) this.remove(queue);
      }
    });
    this.#host = {
      nowMs: () => given.clock.nowMs(),
      changed: (queue) => this.#change(queue),
      routed: (queue) => {
        this.#routed.add(queue);
        engine.wake();
      },
      expired: () => expired.add(),
      dropped: () => dropped.add(),
      unreadable: (queue, error) => {
        this.#log.error('a message of a queue cannot be read', {
          queue: queue.name,
          reason: error instanceof Error ? error.message : String(error),
        });
      },
    };
  }

  /** Brings back the durable queues. */
  async recover(): Promise<void> {
    const byLog = new Map<number, Partition>();
    for (const stream of this.#streams.list()) {
      for (const partition of stream.partitions) byLog.set(partition.log.id, partition);
    }
    for (const [name, value] of this.#state.scan(DEFINITION_KIND)) {
      const stored = JSON.parse(value.toString()) as StoredQueue;
      const saved = this.#state.get(STATE_KIND, name);
      const state = saved === undefined ? null : (JSON.parse(saved.toString()) as QueueState);
      const queue = this.#open(name, true, stored, state, 0);
      await queue.references.recover((id) => byLog.get(id));
      this.#stored.set(name, stored);
      if (queue.referencesOnly) this.#capture(queue);
    }
  }

  get(name: string): Queue | undefined {
    return this.#queues.get(name);
  }

  list(): Iterable<Queue> {
    return this.#queues.values();
  }

  /**
   * The queue of that name, made when there is none. A durable one is on disk with the next commit.
   * @throws BrokerError `unknown-stream`
   */
  declare(name: string, settings: QueueSettings): Queue {
    const known = this.#queues.get(name);
    if (known !== undefined) return known;
    const stored: StoredQueue = {
      stream: settings.stream ?? null,
      log: settings.durable ? newLogId(slotOfName(name), this.#engine, this.#random) : 0,
      limit: -1,
      lengthMax: settings.lengthMax ?? -1,
    };
    let start = 0;
    if (settings.stream !== undefined) {
      const partition = this.#partitionOf(settings.stream);
      if (partition === null) throw new BrokerError('unknown-stream', `'${settings.stream}'`);
      start = Math.max(settings.startOffset ?? partition.endOffset, partition.startOffset);
    }
    const queue = this.#open(name, settings.durable, stored, null, start);
    if (settings.durable) {
      this.#stored.set(name, stored);
      this.#storeDefinition(name, stored);
      this.#change(queue);
    }
    return queue;
  }

  remove(queue: Queue): void {
    if (this.#queues.get(queue.name) !== queue) return;
    this.#queues.delete(queue.name);
    this.#changed.delete(queue);
    this.#routed.delete(queue);
    const { cursor } = queue;
    if (cursor !== null) {
      const captors = this.captors.get(cursor.partition)?.filter((other) => other !== queue);
      if (captors !== undefined && captors.length > 0) this.captors.set(cursor.partition, captors);
      else this.captors.delete(cursor.partition);
    }
    queue.end();
    if (!queue.durable) return;
    this.#stored.delete(queue.name);
    this.#state.delete(DEFINITION_KIND, queue.name);
    this.#state.delete(STATE_KIND, queue.name);
    queue.references.log?.remove();
  }

  /**
   * A message of another stream is about to be routed to this queue: from now on its own stream
   * comes by reference too, so that both stay in one order.
   */
  holdReferences(queue: Queue): void {
    if (queue.cursor === null || queue.referencesOnly) return;
    queue.holdReferences();
    this.#capture(queue);
    const stored = this.#stored.get(queue.name);
    if (stored === undefined) return;
    const limited = { ...stored, limit: queue.cursor.limit };
    this.#stored.set(queue.name, limited);
    this.#storeDefinition(queue.name, limited);
  }

  /** First offset of a partition that a durable queue still needs, or Infinity. */
  firstOffset(partition: Partition): number {
    let first = Number.POSITIVE_INFINITY;
    for (const queue of this.#queues.values()) {
      if (queue.durable) first = Math.min(first, queue.firstOffset(partition));
    }
    return first;
  }

  /** Appends references and changed cursors. Called before an entry is sealed, after the data. */
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
    for (const queue of changed) this.#save(queue);
  }

  /** Saves cursors that wait for company. Called before the engine is closed. */
  close(): void {
    this.#saveTimer?.cancel();
    this.#saveTimer = null;
    if (this.#changed.size > 0) this.#engine.wake();
  }

  #sealReferences(queue: Queue): void {
    try {
      queue.seal();
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error;
      this.#log.error('references of a queue cannot be stored', {
        queue: queue.name,
        reason: error.message,
      });
    }
  }

  #save(queue: Queue): void {
    const state = queue.state();
    this.#state.put(STATE_KIND, queue.name, Buffer.from(JSON.stringify(state)));
    const { log, acks } = queue.references;
    // References below the floor are finished; a crash before this is saved reads them as finished.
    log?.trim(Math.min(acks.floor - REFERENCE_BASE, log.highWatermark));
  }

  #change(queue: Queue): void {
    if (!queue.durable) return;
    this.#changed.add(queue);
    this.#saveTimer ??= this.#timers.after(SAVE_DELAY_MS, () => {
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

  #storeDefinition(name: string, stored: StoredQueue): void {
    this.#state.put(DEFINITION_KIND, name, Buffer.from(JSON.stringify(stored)));
  }

  #partitionOf(stream: string): Partition | null {
    return this.#streams.get(stream)?.partitions[0] ?? null;
  }

  #open(
    name: string,
    durable: boolean,
    stored: StoredQueue,
    state: QueueState | null,
    start: number,
  ): Queue {
    const floors = state?.floors ?? (stored.stream === null ? [0] : [start, 0]);
    const ranges = state?.ranges ?? [];
    const partition = stored.stream === null ? null : this.#partitionOf(stored.stream);
    let cursor: CursorLane | null = null;
    if (partition !== null) {
      const limit = stored.limit < 0 ? Number.POSITIVE_INFINITY : stored.limit;
      cursor = new CursorLane(partition, new AckState(floors[0]!, ranges[0]), limit);
    }
    const lane = stored.stream === null ? 0 : 1;
    const acks = new AckState(Math.max(REFERENCE_BASE, floors[lane] ?? 0), ranges[lane]);
    const log = stored.log === 0 ? null : this.#engine.open(stored.log, 'fsync');
    const queue = new Queue(name, durable, cursor, new ReferenceLane(log, acks), this.#host, {
      deliveredTo: state?.deliveredTo ?? 0,
      attempts: state?.attempts ?? [],
    });
    if (stored.lengthMax >= 0) queue.lengthMax = stored.lengthMax;
    this.#queues.set(name, queue);
    return queue;
  }
}
