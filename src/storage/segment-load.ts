/**
 * Finds the segments at start: reads each trailer and directory, leaves index rows and bodies
 * alone.
 */
import type { SegmentName } from './checkpoint-codec.ts';
import type { DamageReports } from './damage.ts';
import type { Files, OpenFile } from './files.ts';
import type { DamagedRange } from './log-engine.ts';
import { isSealed, repairBit } from './repair.ts';
import { Segment } from './segment.ts';
import {
  decodeSegmentTrailer,
  parseSegmentName,
  RUN_BYTES,
  SEGMENT_TRAILER_BYTES,
  segmentFileName,
} from './segment-codec.ts';

/** Files that are opened at the same time. */
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
  files: Files,
  directory: string,
  wanted: readonly SegmentName[] | null,
  damage: DamageReports,
): Promise<LoadedSegments> {
  const there = new Map<string, SegmentName>();
  for (const fileName of await files.list(directory)) {
    const name = parseSegmentName(fileName);
    if (name !== null) there.set(fileName, name);
  }
  const chosen = wanted ?? newestVersions([...there.values()]);
  const inUse = new Set(chosen.map(segmentFileName));
  // What no checkpoint knows was left behind by a crash.
  for (const orphan of there.keys()) {
    if (!inUse.has(orphan)) await files.remove(`${directory}/${orphan}`);
  }
  const loader = new Loader(files, directory, damage);
  const segments: Segment[] = [];
  for (let first = 0; first < chosen.length; first += PARALLEL) {
    const some = chosen.slice(first, first + PARALLEL);
    const found = await Promise.all(
      some.map((name) => loader.load(name, there.has(segmentFileName(name)))),
    );
    for (const segment of found) if (segment !== null) segments.push(segment);
  }
  segments.sort((a, b) => a.name.from - b.name.from);
  return { segments, damaged: loader.damaged };
}

class Loader {
  readonly damaged: DamagedRange[] = [];
  readonly #files: Files;
  readonly #directory: string;
  readonly #damage: DamageReports;

  constructor(files: Files, directory: string, damage: DamageReports) {
    this.#files = files;
    this.#directory = directory;
    this.#damage = damage;
  }

  async load(name: SegmentName, isThere: boolean): Promise<Segment | null> {
    const path = `${this.#directory}/${segmentFileName(name)}`;
    if (!isThere) return this.#lost(path, 'the segment is missing');
    const file = await this.#files.open(path, false);
    try {
      return await this.#read(file, name, path);
    } finally {
      await file.close();
    }
  }

  async #read(file: OpenFile, name: SegmentName, path: string): Promise<Segment | null> {
    const size = await file.size();
    const record = Buffer.alloc(SEGMENT_TRAILER_BYTES);
    const at = size - SEGMENT_TRAILER_BYTES;
    if (at < 0) return this.#lost(path, 'the segment is cut off');
    await file.read(record, at);
    if (!isSealed(record) && repairBit(record)) this.#damage.repaired(path, at);
    const trailer = decodeSegmentTrailer(record);
    if (trailer === null) return this.#lost(path, 'the segment trailer is damaged');
    const bytes = Buffer.allocUnsafeSlow(trailer.runCount * RUN_BYTES);
    const got = bytes.subarray(0, await file.read(bytes, trailer.directoryAt));
    const runs: Buffer[] = [];
    for (let from = 0; from + RUN_BYTES <= got.length; from += RUN_BYTES) {
      const run = got.subarray(from, from + RUN_BYTES);
      if (isSealed(run)) {
        runs.push(run);
      } else if (repairBit(run)) {
        runs.push(run);
        this.#damage.repaired(path, trailer.directoryAt + from);
      }
    }
    const whole = runs.length === trailer.runCount;
    if (!whole) this.#lost(path, `${trailer.runCount - runs.length} directory rows are damaged`);
    const directory = whole ? bytes : Buffer.concat(runs);
    return new Segment(this.#directory, name, size, trailer.lastSequence, directory);
  }

  #lost(file: string, reason: string): null {
    const range = { logId: -1, from: 0, to: 0, file, reason };
    this.damaged.push(range);
    this.#damage.report(range);
    return null;
  }
}

/** Without those whose stretch a later version covers. */
function newestVersions(names: readonly SegmentName[]): SegmentName[] {
  const covers = (a: SegmentName, b: SegmentName): boolean =>
    a !== b && a.from <= b.from && a.to >= b.to && a.version > b.version;
  return names.filter((name) => !names.some((other) => covers(other, name)));
}
