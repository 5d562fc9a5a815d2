/**
 * One log as the broker holds it. A lean object, because there may be a hundred thousand idle ones:
 * arrays and tables exist only while they hold something, behaviour lives in the engine's parts.
 */

import { PlaceBlocks } from './commit/place-blocks.ts';
import { ProducerTable } from './commit/producers.ts';
import type { RecentRows } from './commit/recent-rows.ts';
import type {
  Appended,
  BatchFacts,
  Committed,
  Durability,
  LogStat,
  ShardLog,
  StoredBatch,
  Upkeep,
} from './log-engine.ts';

/** What a log asks of the engine. One object for all logs. */
export interface ShardHome {
  append(log: Shard, bytes: Buffer, facts: BatchFacts, committed: Committed | null): Appended;
  read(log: Shard, offset: number, bytesMax: number): StoredBatch[] | Promise<StoredBatch[]>;
  findByTime(log: Shard, timestampMs: number): Promise<StoredBatch | null>;
  offsetForBytes(log: Shard, bytes: number): number | Promise<number>;
  trim(log: Shard, offset: number): void;
  remove(log: Shard): void;
  stat(log: Shard): LogStat;
  /** The settings of its upkeep changed. */
  upkeepChanged(log: Shard): void;
  /** A batch of a compacted log went into a write-ahead file. */
  headGrew(log: Shard): void;
}

type Listener = (log: ShardLog) => void;

const NOTHING: never[] = [];
const PLAIN: Upkeep = { remote: false, compaction: null };

export class Shard implements ShardLog {
  readonly id: number;
  readonly home: ShardHome;
  durability: Durability;
  #upkeep = PLAIN;
  startOffset = 0;
  endOffset = 0;
  highWatermark = 0;
  removed = false;
  /** True when its owner asked for it since the start; before, `upkeep` says nothing. */
  opened = false;
  /** Bodies of all batches that are not trimmed, and their number; of a part, an estimate. */
  bytes = 0;
  batches = 0;
  /** The part of that which lies in write-ahead files. */
  placeBytes = 0;
  /** Number of the last delivery that touched this log; keeps lists of touched logs short. */
  mark = 0;
  /** Numbers of this log's rows in `RecentRows`, ascending. Replaced, never shared, when filled. */
  places: number[] = NOTHING;
  #placeBlocks: PlaceBlocks | null = null;
  /** All batches of a `memory` log. */
  ram: StoredBatch[] = NOTHING;
  idempotence: ProducerTable | null = null;
  /** Copied on change, so that a listener may end itself while it is called. */
  listeners: readonly Listener[] = NOTHING;

  constructor(id: number, durability: Durability, home: ShardHome) {
    this.id = id;
    this.durability = durability;
    this.home = home;
  }

  get upkeep(): Upkeep {
    return this.#upkeep;
  }

  set upkeep(upkeep: Upkeep) {
    this.#upkeep = upkeep;
    this.home.upkeepChanged(this);
  }

  append(bytes: Buffer, facts: BatchFacts, committed?: Committed): Appended {
    return this.home.append(this, bytes, facts, committed ?? null);
  }

  read(offset: number, bytesMax: number): StoredBatch[] | Promise<StoredBatch[]> {
    return this.home.read(this, offset, bytesMax);
  }

  findByTime(timestampMs: number): Promise<StoredBatch | null> {
    return this.home.findByTime(this, timestampMs);
  }

  tail(listener: Listener): () => void {
    // Wrapped, so that the same function may listen twice and end once.
    const own: Listener = (log) => listener(log);
    this.listeners = [...this.listeners, own];
    return () => {
      this.listeners = this.listeners.filter((other) => other !== own);
    };
  }

  offsetForBytes(bytes: number): number | Promise<number> {
    return this.home.offsetForBytes(this, bytes);
  }

  trim(offset: number): void {
    this.home.trim(this, offset);
  }

  remove(): void {
    this.home.remove(this);
  }

  stat(): LogStat {
    return this.home.stat(this);
  }

  get producerCount(): number {
    return this.idempotence?.byId.size ?? 0;
  }

  producers(): { producerId: number; epoch: number; lastSequence: number; lastTimeMs: number }[] {
    const known = [...(this.idempotence?.byId ?? [])];
    return known.map(([producerId, { epoch, batches, lastTimeMs }]) => ({
      producerId,
      epoch,
      lastSequence: batches.at(-1)?.lastSequence ?? -1,
      lastTimeMs,
    }));
  }

  /** Adds a row of so many bytes in a write-ahead file. */
  addPlace(row: number, bytes: number): void {
    if (this.places.length === 0) this.places = [row];
    else this.places.push(row);
    this.placeBytes += bytes;
    if (this.#upkeep.compaction !== null) this.home.headGrew(this);
  }

  /** Lets go of places before `row`. */
  dropPlaces(row: number, rows: RecentRows): void {
    let count = 0;
    while (count < this.places.length && this.places[count]! < row) {
      this.placeBytes -= rows.bodyBytes(this.places[count++]!);
    }
    if (count === 0) return;
    this.places = count < this.places.length ? this.places.slice(count) : NOTHING;
    this.#placeBlocks = null;
  }

  /** Lets the log begin at `to`; what lies in segments is counted in proportion. */
  trimTo(to: number, rows: RecentRows): void {
    const [place] = this.places;
    const segmentsEnd = place === undefined ? this.endOffset : rows.base(place);
    if (this.startOffset < segmentsEnd && this.ram.length === 0) {
      const part =
        (Math.min(to, segmentsEnd) - this.startOffset) / (segmentsEnd - this.startOffset);
      this.bytes -= Math.round((this.bytes - this.placeBytes) * part);
      this.batches -= Math.floor((this.batches - this.places.length) * part);
    }
    this.startOffset = to;
    let dead = 0;
    while (dead < this.places.length && rows.end(this.places[dead]!) <= to) {
      this.bytes -= rows.bodyBytes(this.places[dead++]!);
    }
    this.batches -= dead;
    if (dead > 0) this.dropPlaces(this.places[dead - 1]! + 1, rows);
    let gone = 0;
    for (const batch of this.ram) {
      if (batch.baseOffset + batch.count > to) break;
      this.bytes -= batch.bytes.length;
      gone++;
    }
    this.batches -= gone;
    this.#dropRam(gone);
  }

  /** Sums over the places, for searches. */
  placeBlocks(rows: RecentRows): PlaceBlocks {
    this.#placeBlocks ??= new PlaceBlocks();
    return this.#placeBlocks.extend(this.places, rows);
  }

  addRam(batch: StoredBatch): void {
    if (this.ram.length === 0) this.ram = [batch];
    else this.ram.push(batch);
  }

  #dropRam(count: number): void {
    if (count > 0) this.ram = count < this.ram.length ? this.ram.slice(count) : NOTHING;
  }

  /** Takes note of a producer's batch when it came from one. */
  remember(facts: BatchFacts, baseOffset: number, timeMs: number): void {
    if (facts.producerId < 0) return;
    this.idempotence ??= new ProducerTable();
    this.idempotence.add(facts, baseOffset, timeMs);
  }

  notify(): void {
    for (const listener of this.listeners) listener(this);
  }
}
