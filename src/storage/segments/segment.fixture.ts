/** Single segments for tests, without an engine around them. */
import assert from 'node:assert/strict';
import { Metrics } from '#kit';
import { Pacer } from '../commit/pacer.ts';
import { DEFAULT_LIMITS } from '../limits.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import { VirtualTime } from '../storage.fixture.ts';
import type { LogRun, Segment } from './segment.ts';
import type { SegmentStore } from './segment-store.ts';
import { type SegmentPlan, SegmentWriter } from './segment-writer.ts';

/** Writes a segment; `fill` adds batches and ends runs. */
export async function writeTestSegment(
  objects: ObjectStore,
  id: number,
  fill: (writer: SegmentWriter) => Promise<void>,
  over: Partial<SegmentPlan> = {},
): Promise<Segment> {
  const time = new VirtualTime();
  const pacer = new Pacer({
    limits: DEFAULT_LIMITS,
    clock: time,
    timers: time,
    pressure: () => 0,
    mergesAreBehind: () => false,
  });
  pacer.stop();
  const parts = { objects, pacer, folder: 'data', written: new Metrics().counter('written', '') };
  const plan = {
    ...{ id, job: id, lane: 0, level: 1, firstSlot: 0, lastSequence: id, generation: id },
    ...{ replayFrom: id + 1, done: [0, 0] as const, shadows: false, remote: false, replaced: [] },
    adopted: false,
    ...over,
  };
  const writer = new SegmentWriter(parts, plan);
  const written = (async () => {
    await fill(writer);
    return writer.finish(0, true);
  })();
  return time.until(written);
}

/** The run of a log that is there. */
export async function runOf(store: SegmentStore, segment: Segment, log: number): Promise<LogRun> {
  const run = await store.directory.find(segment, log);
  assert.ok(run !== null);
  return run;
}
