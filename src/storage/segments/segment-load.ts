/**
 * Finds the segments at start: reads the trailer and the fences of each, leaves all else alone.
 *
 * A checkpoint lists which segments count; others were left behind by a crash, and go. Without any
 * checkpoint the segments themselves must say it. A job's segments count together or not at all:
 * it is whole when all parts are there, or when a later segment knows it as done (then parts that
 * are missing were replaced since). What a whole job replaced does not count any more. The newest
 * job of a lane may be cut off; what it would have replaced is still there, because that is removed
 * after a checkpoint only.
 *
 * A segment that was a write-ahead file (`adopt.ts`) and does not count becomes that file again,
 * for replay to go through, unless what counts stands for it.
 */

import { walName } from '../commit/wal-file.ts';
import type { EngineCore } from '../engine.ts';
import type { DamagedRange } from '../log-engine.ts';
import type { SegmentListing } from '../recovery/checkpoint-codec.ts';
import { isSealed, repairBit } from '../recovery/repair.ts';
import { Segment } from './segment.ts';
import {
  decodeFences,
  decodeSegmentTrailer,
  fencesAt,
  PAGE_ROWS,
  parseSegmentName,
  RUN_BYTES,
  runLog,
  SEGMENT_PREFIXES,
  SEGMENT_TRAILER_BYTES,
  segmentName,
} from './segment-codec.ts';

/** Segments that are looked at at the same time. */
const PARALLEL = 8;
/** Read at once from the end: with few logs or short fences that is all. */
const TAIL_BYTES = 8_192;

export interface LoadedSegments {
  /** Ascending by id. */
  readonly segments: Segment[];
  readonly damaged: DamagedRange[];
  /** Segments that became write-ahead files again. */
  readonly returned: number;
  /** The highest id and job that any object here has, in use or not. */
  readonly lastSegment: number;
  readonly lastJob: number;
}

/** What a checkpoint says of segments. */
export interface WantedSegments {
  readonly segments: readonly SegmentListing[];
  /** Write-ahead files up to this one are in them. */
  readonly generation: number;
}

/** @param wanted null when there is no checkpoint */
export async function loadSegments(
  core: EngineCore,
  wanted: WantedSegments | null,
): Promise<LoadedSegments> {
  const sizes = new Map<string, number>();
  const nameOf = new Map<number, string>();
  let lastSegment = 0;
  for (const prefix of SEGMENT_PREFIXES) {
    for (const { name, bytes } of await core.objects.list(prefix)) {
      const parsed = parseSegmentName(name);
      if (parsed === null) continue;
      sizes.set(name, bytes);
      nameOf.set(parsed.id, name);
      lastSegment = Math.max(lastSegment, parsed.id);
    }
  }
  const names = wanted?.segments.map((listed) => {
    return nameOf.get(listed.id) ?? segmentName({ ...listed, generation: 0 });
  }) ?? [...sizes.keys()];
  const loader = new Loader(core);
  const found = await loader.loadAll(names, sizes);
  const segments = wanted === null ? standing(found) : found;
  const inUse = new Set(segments.map(({ objectName }) => objectName));
  const standsFor = wanted?.generation ?? lastGeneration(segments);
  const others = [...sizes.keys()].filter((name) => !inUse.has(name));
  const files = others.filter((name) => parseSegmentName(name)!.generation > standsFor);
  for (const name of files) await returnToWal(core, name);
  // Damaged ones stay where they are: someone may still get something out of them.
  const kept = new Set([...loader.unreadable, ...files]);
  await core.objects.deleteMany(others.filter((name) => !kept.has(name)));
  segments.sort((a, b) => a.id - b.id);
  const lastJob = Math.max(0, ...found.map(({ facts }) => facts.job));
  const { damaged } = loader;
  return { segments, damaged, lastSegment, lastJob, returned: files.length };
}

/** The newest write-ahead file that these segments stand for. */
function lastGeneration(segments: readonly Segment[]): number {
  return segments.reduce((last, { facts }) => Math.max(last, facts.generation), 0);
}

async function returnToWal({ options }: EngineCore, name: string): Promise<void> {
  const { files, directory } = options;
  const { generation } = parseSegmentName(name)!;
  await files.rename(`${directory}/${name}`, `${directory}/${walName(generation)}`);
}

/** Those segments that count, told by themselves. */
export function standing(found: readonly Segment[]): Segment[] {
  const jobs = new Map<number, Segment[]>();
  for (const segment of found) {
    const parts = jobs.get(segment.facts.job) ?? [];
    if (parts.length === 0) jobs.set(segment.facts.job, parts);
    parts.push(segment);
  }
  const count = new Map(found.map((segment) => [segment.id, segment]));
  for (const job of [...jobs.keys()].sort((a, b) => a - b)) {
    const parts = jobs.get(job)!;
    if (isWhole(parts) || isKnownDone(job, parts[0]!.facts.lane, found)) {
      for (const part of parts) for (const id of part.replaced) count.delete(id);
    } else {
      for (const { id } of parts) count.delete(id);
    }
  }
  return [...count.values()];
}

function isWhole(parts: readonly Segment[]): boolean {
  const last = parts.find(({ facts }) => facts.last);
  return last !== undefined && parts.length === last.facts.part + 1;
}

function isKnownDone(job: number, lane: number, found: readonly Segment[]): boolean {
  return found.some(({ facts }) => facts.job !== job && facts.done[lane]! >= job);
}

class Loader {
  readonly damaged: DamagedRange[] = [];
  /** Names of segments that are there but cannot be used. */
  readonly unreadable: string[] = [];
  readonly #core: EngineCore;

  constructor(core: EngineCore) {
    this.#core = core;
  }

  async loadAll(names: readonly string[], sizes: Map<string, number>): Promise<Segment[]> {
    const segments: Segment[] = [];
    for (let first = 0; first < names.length; first += PARALLEL) {
      const some = names.slice(first, first + PARALLEL);
      const found = await Promise.all(some.map((name) => this.#load(name, sizes.get(name) ?? -1)));
      for (const segment of found) if (segment !== null) segments.push(segment);
    }
    return segments;
  }

  /** @param size bytes of the segment, -1 when it is not there */
  async #load(name: string, size: number): Promise<Segment | null> {
    const { objects, damage, options } = this.#core;
    const path = `${options.directory}/${name}`;
    if (size < 0) return this.#lost(path, 'the segment is missing');
    if (size < SEGMENT_TRAILER_BYTES) return this.#unusable(name, 'the segment is cut off');
    const tailAt = Math.max(0, size - TAIL_BYTES);
    const tail = await objects.get(name, tailAt, size - tailAt);
    const record = tail.subarray(Math.max(0, tail.length - SEGMENT_TRAILER_BYTES));
    if (!isSealed(record) && repairBit(record)) {
      damage.repaired(path, size - SEGMENT_TRAILER_BYTES);
    }
    const facts = decodeSegmentTrailer(record);
    if (facts === null) return this.#unusable(name, 'the segment trailer is damaged');
    const { position, length } = fencesAt(facts);
    const inTail = position >= tailAt;
    const bytes = inTail
      ? tail.subarray(position - tailAt, position - tailAt + length)
      : await objects.get(name, position, length);
    const values = decodeFences(bytes);
    const pages = Math.ceil(facts.runCount / PAGE_ROWS);
    const remote = parseSegmentName(name)!.remote;
    const make = (fences: Float64Array, replaced: Float64Array): Segment =>
      new Segment(options.directory, remote, facts, size, fences, replaced);
    if (values !== null) return make(values.slice(0, pages), values.slice(pages));
    damage.repaired(path, position);
    return make(await this.#fencesFrom(name, facts.directoryAt, facts.runCount), none);
  }

  /** The fences again, from the directory; what the segment replaced is not known then. */
  async #fencesFrom(name: string, directoryAt: number, runCount: number): Promise<Float64Array> {
    const { objects } = this.#core;
    const directory = await objects.get(name, directoryAt, runCount * RUN_BYTES);
    const fences: number[] = [];
    for (let at = 0; at < directory.length; at += PAGE_ROWS * RUN_BYTES) {
      const row = directory.subarray(at, at + RUN_BYTES);
      fences.push(isSealed(row) || repairBit(row) ? runLog(row, 0) : (fences.at(-1) ?? 0));
    }
    return Float64Array.from(fences);
  }

  #unusable(name: string, reason: string): null {
    this.unreadable.push(name);
    return this.#lost(`${this.#core.options.directory}/${name}`, reason);
  }

  #lost(file: string, reason: string): null {
    const range = { logId: -1, from: 0, to: 0, file, reason };
    this.damaged.push(range);
    this.#core.damage.report(range);
    return null;
  }
}

const none = new Float64Array(0);
