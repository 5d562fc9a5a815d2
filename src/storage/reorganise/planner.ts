/**
 * What to merge next, told from the segments alone.
 *
 * Level 1 spans all slots; four groups of a level that are next to each other in time are merged
 * into the next one, of which each range has a quarter of the slots. So segments keep their size
 * while their runs get longer, a byte is copied once for each level, and a range of 100 GB has some
 * fifteen runs for a log. A run that is long enough leaves the levels (`merge.ts`) and stays as it
 * is until much of it is dead. What is too little for a level is merged within its level, as soon
 * as that at least halves the number of copies: no group is merged with much smaller ones.
 */

import type { EngineLimits } from '../limits.ts';
import { LEVEL_MAX, LONG } from '../segments/job-writer.ts';
import type { Segment } from '../segments/segment.ts';

/** Groups that are merged at a time, at least and at most. */
const WIDTH = 4;
const WIDTH_MAX = 16;
/** Short segments of long runs that are merged at a time, and what is short. */
const SHORT_MIN = 8;
const SHORT_SHARE = 1 / 8;
/** A job moves at most so many full segments: what is dead elsewhere must not wait for long. */
const JOB_SEGMENTS = 4;

export interface MergePlan {
  readonly sources: readonly Segment[];
  /** Level of what comes out, but for long runs. */
  readonly level: number;
  readonly why: 'dead' | 'wasteful' | 'level' | 'short';
}

/** Segments of one job, level and range: to be merged together. */
interface Group {
  readonly order: number;
  readonly segments: Segment[];
  bytes: number;
}

export function planMerge(segments: readonly Segment[], limits: EngineLimits): MergePlan | null {
  return planDead(segments) ?? planWasteful(segments, limits) ?? planLevels(segments, limits);
}

/** All in which nothing is alive: there is nothing to copy but marks. */
function planDead(segments: readonly Segment[]): MergePlan | null {
  const dead = segments.filter((segment) => segment.contentBytes > 0 && segment.liveBytes === 0);
  if (dead.length === 0) return null;
  return { sources: dead, level: 1, why: 'dead' };
}

function planWasteful(segments: readonly Segment[], limits: EngineLimits): MergePlan | null {
  const wasteful = segments.filter(
    (segment) => segment.liveBytes < segment.contentBytes * limits.segmentLiveShare,
  );
  const [first] = wasteful;
  if (first === undefined) return null;
  const { level, firstSlot } = first.facts;
  if (level !== LONG) return { sources: [first], level, why: 'wasteful' };
  const sources: Segment[] = [];
  let bytes = 0;
  for (const segment of wasteful) {
    const fits = segment.facts.level === LONG && segment.facts.firstSlot === firstSlot;
    if (!fits || segment.remote !== first.remote) continue;
    if (sources.length > 0 && bytes + segment.liveBytes > limits.segmentBytesMax) break;
    sources.push(segment);
    bytes += segment.liveBytes;
  }
  return { sources, level, why: 'wasteful' };
}

function planLevels(segments: readonly Segment[], limits: EngineLimits): MergePlan | null {
  const ranges = new Map<string, Segment[]>();
  for (const segment of segments) {
    const { level, firstSlot } = segment.facts;
    const key = `${level} ${level === LONG ? 0 : firstSlot} ${segment.remote}`;
    const range = ranges.get(key) ?? [];
    if (range.length === 0) ranges.set(key, range);
    range.push(segment);
  }
  // The first level first: it is what the writer fills.
  const keys = [...ranges.keys()].sort((a, b) => (a < b ? -1 : 1));
  for (const key of keys) {
    const range = ranges.get(key)!;
    const plan =
      range[0]!.facts.level === LONG ? planShort(range, limits) : planRange(range, limits);
    if (plan !== null) return plan;
  }
  return null;
}

/** Short segments of long runs: many of them make one. */
function planShort(range: readonly Segment[], limits: EngineLimits): MergePlan | null {
  const short = range.filter(
    ({ contentBytes, resting }) => !resting && contentBytes < limits.segmentBytesMax * SHORT_SHARE,
  );
  if (short.length < SHORT_MIN) return null;
  return { sources: short.slice(0, SHORT_MIN * 2), level: LONG, why: 'short' };
}

function planRange(range: readonly Segment[], limits: EngineLimits): MergePlan | null {
  const groups = groupsOf(range);
  const { level } = range[0]!.facts;
  // A full write-ahead file makes a somewhat larger segment.
  const bytesMax = Math.max(limits.segmentBytesMax, limits.walFileBytes * 1.5) * JOB_SEGMENTS;
  for (let first = 0; first + WIDTH <= groups.length; first++) {
    let [bytes, largest] = [0, 0];
    for (let end = first; end < groups.length && end - first < WIDTH_MAX; end++) {
      const group = groups[end]!;
      bytes += group.bytes;
      largest = Math.max(largest, group.bytes);
      if (bytes > bytesMax) break;
      if (end + 1 - first < WIDTH || largest > bytes / 2) continue;
      const sources = groups.slice(first, end + 1).flatMap((some) => some.segments);
      // Only the oldest may go down: what lies deeper is older than what lies above it.
      const down = first === 0 && level < LEVEL_MAX && bytes >= limits.segmentBytesMax;
      return { sources, level: down ? level + 1 : level, why: 'level' };
    }
  }
  return null;
}

/** In the order of time. */
function groupsOf(range: readonly Segment[]): Group[] {
  const groups = new Map<number, Group>();
  for (const segment of range) {
    const order = segment.facts.lastSequence;
    const group = groups.get(order) ?? { order, segments: [], bytes: 0 };
    groups.set(order, group);
    group.segments.push(segment);
    group.bytes += segment.liveBytes;
  }
  return [...groups.values()].sort((a, b) => a.order - b.order);
}
