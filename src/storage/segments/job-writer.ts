/**
 * What one job writes: a group of segments that count together or not at all. Without any
 * checkpoint a start must tell a whole group from one that a crash cut off: parts are numbered, the
 * last one says so, and each segment says which jobs were done when it was begun. A group of which
 * parts are missing is whole when a later segment knows it as done (`segment-load.ts`).
 *
 * Runs are put where they belong: long ones into segments that are not merged any more, logs that
 * may go far away into segments of their own, the others by their slot.
 */
import type { EngineLimits } from '../limits.ts';
import { SLOT_COUNT, slotOf } from '../log-engine.ts';
import type { Segment } from './segment.ts';
import { type Adoption, SegmentWriter, type WriterParts } from './segment-writer.ts';

/** A merge of a range of slots goes into so many narrower ranges. */
const FAN_OUT = 4;
/** From this level on a range is one slot. */
export const LEVEL_MAX = 6;
/** The level of long runs, which are not merged any more. */
export const LONG = 0;
/** A log with so large a part of a full segment has segments of its own. */
const OWN_SHARE = 1 / 8;
/** A run of this part of a full segment is long enough to be read in one go. */
const LONG_SHARE = 1 / 128;
/** A run with more rows goes on in the next segment. */
const RUN_ROWS_MAX = 131_072;

/** Number of slots that a segment of this level spans. */
function slotsOf(level: number): number {
  return level === LONG ? SLOT_COUNT : Math.max(1, SLOT_COUNT / FAN_OUT ** (level - 1));
}

/** True when a run of so many bytes gets segments of its own. */
export function isOwn(limits: EngineLimits, bytes: number): boolean {
  return bytes >= limits.segmentBytesMax * OWN_SHARE;
}

/** True when a run of so many bytes need not get longer. */
export function isLong(limits: EngineLimits, bytes: number): boolean {
  return bytes >= limits.segmentBytesMax * LONG_SHARE;
}

/** Where the engine stood when a job began: what a segment says beside its data. */
export interface Standing {
  /** Write-ahead files up to this generation are reorganised; replay goes on from that entry. */
  readonly generation: number;
  readonly replayFrom: number;
  /** The last job that was done, of each lane. */
  readonly done: readonly [number, number];
}

export interface JobPlan extends Standing {
  readonly job: number;
  readonly lane: number;
  /** Level of what is not a long run. */
  readonly level: number;
  readonly lastSequence: number;
  /** Segments that go when the job is done. */
  readonly replaced: readonly number[];
  /** True when segments that stay have runs that this job replaces. */
  readonly shadows: boolean;
}

/** What decides into which segment a run goes. */
export interface RunPlace {
  readonly log: number;
  readonly remote: boolean;
  /** Bytes of the whole run. */
  readonly bytes: number;
  /** True when the run is to stay as it is from now on. */
  readonly long: boolean;
  /** Pieces of one log that other segments lie between go into different segments. */
  readonly layer: number;
}

export interface JobParts extends WriterParts {
  readonly limits: EngineLimits;
  readonly nextId: () => number;
}

interface OpenPart {
  readonly group: number;
  readonly writer: SegmentWriter;
}

export class JobWriter {
  readonly plan: JobPlan;
  readonly #parts: JobParts;
  readonly #open = new Map<string, OpenPart>();
  readonly #done: Segment[] = [];
  #adopting: SegmentWriter | null = null;

  constructor(parts: JobParts, plan: JobPlan) {
    this.#parts = parts;
    this.plan = plan;
  }

  /** The segment for the next run; logs come in ascending order. */
  async at(place: RunPlace): Promise<SegmentWriter> {
    const { log, remote, bytes, long, layer } = place;
    const { limits } = this.#parts;
    const own = long && isOwn(limits, bytes);
    const level = long ? LONG : this.plan.level;
    const slots = slotsOf(level);
    const firstSlot = slotOf(log) - (slotOf(log) % slots);
    const key = `${remote} ${own ? 'own' : level} ${layer}`;
    const group = own ? log : firstSlot;
    const open = this.#open.get(key);
    if (open !== undefined) {
      const { writer } = open;
      const full = writer.position >= limits.segmentBytesMax || writer.lastLog === log;
      if (open.group === group && !full) return writer;
      this.#open.delete(key);
      this.#done.push(await writer.finish(this.#done.length, false));
    }
    const writer = this.#begin(level, firstSlot, remote);
    this.#open.set(key, { group, writer });
    return writer;
  }

  /** True when the open run is so long that it must end, and go on in another segment. */
  mustCut(writer: SegmentWriter): boolean {
    return writer.runBytes >= this.#parts.limits.segmentBytesMax || writer.runRows >= RUN_ROWS_MAX;
  }

  /**
   * A part that adopts a file. It becomes the last one: where it is in use, all others are whole.
   * @param adopt given the number of the segment
   */
  adopt(adopt: (id: number) => Adoption): SegmentWriter {
    const id = this.#parts.nextId();
    const plan = { ...this.plan, id, level: LONG, firstSlot: 0, remote: false, adopted: true };
    this.#adopting = new SegmentWriter(this.#parts, plan, adopt(id));
    return this.#adopting;
  }

  /** Closes all segments; every one is durable when it has resolved. */
  async finish(): Promise<Segment[]> {
    const open = [...this.#open.values()].map(({ writer }) => writer);
    if (this.#adopting !== null) open.push(this.#adopting);
    if (open.length === 0) open.push(this.#begin(this.plan.level, 0, false));
    for (const writer of open) {
      const last = writer === open.at(-1);
      this.#done.push(await writer.finish(this.#done.length, last));
    }
    this.#open.clear();
    return this.#done;
  }

  /** Takes everything back. */
  async abandon(error: unknown): Promise<void> {
    for (const { writer } of this.#open.values()) await writer.abandon(error);
    await this.#adopting?.abandon(error);
    await this.#parts.objects.deleteMany(this.#done.map(({ objectName }) => objectName));
  }

  #begin(level: number, firstSlot: number, remote: boolean): SegmentWriter {
    const { plan } = this;
    const id = this.#parts.nextId();
    return new SegmentWriter(this.#parts, {
      ...plan,
      ...{ id, level, firstSlot, remote, adopted: false },
    });
  }
}
