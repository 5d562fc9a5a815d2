/**
 * Finds the segments at start: reads each trailer and directory, leaves index rows and bodies
 * alone.
 */
import type { SegmentName } from './checkpoint-codec.ts';
import type { EngineCore } from './engine.ts';
import type { DamagedRange } from './log-engine.ts';
import { isSealed, repairBit } from './repair.ts';
import { Segment } from './segment.ts';
import {
  decodeSegmentTrailer,
  parseSegmentName,
  RUN_BYTES,
  SEGMENT_PREFIX,
  SEGMENT_TRAILER_BYTES,
  segmentFileName,
} from './segment-codec.ts';

/** Segments that are looked at at the same time. */
const PARALLEL = 8;

export interface LoadedSegments {
  readonly segments: Segment[];
  readonly damaged: DamagedRange[];
}

/**
 * @param wanted what the checkpoint lists; null when there is no checkpoint: then every segment
 *   that is there counts, the newest version of each stretch
 */
export async function loadSegments(
  core: EngineCore,
  wanted: readonly SegmentName[] | null,
): Promise<LoadedSegments> {
  const sizes = new Map<string, number>();
  const names: SegmentName[] = [];
  for (const { name: objectName, bytes } of await core.objects.list(SEGMENT_PREFIX)) {
    const name = parseSegmentName(objectName);
    if (name === null) continue;
    names.push(name);
    sizes.set(objectName, bytes);
  }
  const chosen = wanted ?? newestVersions(names);
  const inUse = new Set(chosen.map(segmentFileName));
  // What no checkpoint knows was left behind by a crash.
  await core.objects.deleteMany([...sizes.keys()].filter((orphan) => !inUse.has(orphan)));
  const loader = new Loader(core);
  const segments: Segment[] = [];
  for (let first = 0; first < chosen.length; first += PARALLEL) {
    const some = chosen.slice(first, first + PARALLEL);
    const found = await Promise.all(
      some.map((name) => loader.load(name, sizes.get(segmentFileName(name)) ?? -1)),
    );
    for (const segment of found) if (segment !== null) segments.push(segment);
  }
  segments.sort((a, b) => a.name.from - b.name.from);
  return { segments, damaged: loader.damaged };
}

class Loader {
  readonly damaged: DamagedRange[] = [];
  readonly #core: EngineCore;

  constructor(core: EngineCore) {
    this.#core = core;
  }

  /** @param size bytes of the segment, -1 when it is not there */
  async load(name: SegmentName, size: number): Promise<Segment | null> {
    const { objects, damage, options } = this.#core;
    const objectName = segmentFileName(name);
    const path = `${options.directory}/${objectName}`;
    if (size < 0) return this.#lost(path, 'the segment is missing');
    const at = size - SEGMENT_TRAILER_BYTES;
    if (at < 0) return this.#lost(path, 'the segment is cut off');
    const record = await objects.get(objectName, at, SEGMENT_TRAILER_BYTES);
    if (!isSealed(record) && repairBit(record)) damage.repaired(path, at);
    const trailer = decodeSegmentTrailer(record);
    if (trailer === null) return this.#lost(path, 'the segment trailer is damaged');
    const length = trailer.runCount * RUN_BYTES;
    const got = await objects.get(objectName, trailer.directoryAt, length);
    const runs: Buffer[] = [];
    for (let from = 0; from + RUN_BYTES <= got.length; from += RUN_BYTES) {
      const run = got.subarray(from, from + RUN_BYTES);
      if (isSealed(run)) {
        runs.push(run);
      } else if (repairBit(run)) {
        runs.push(run);
        damage.repaired(path, trailer.directoryAt + from);
      }
    }
    const whole = runs.length === trailer.runCount;
    if (!whole) this.#lost(path, `${trailer.runCount - runs.length} directory rows are damaged`);
    const directory = whole ? got : Buffer.concat(runs);
    return new Segment(options.directory, name, size, trailer.lastSequence, directory);
  }

  #lost(file: string, reason: string): null {
    const range = { logId: -1, from: 0, to: 0, file, reason };
    this.damaged.push(range);
    this.#core.damage.report(range);
    return null;
  }
}

/** Without those whose stretch a later version covers. */
function newestVersions(names: readonly SegmentName[]): SegmentName[] {
  const covers = (a: SegmentName, b: SegmentName): boolean =>
    a !== b && a.from <= b.from && a.to >= b.to && a.version > b.version;
  return names.filter((name) => !names.some((other) => covers(other, name)));
}
