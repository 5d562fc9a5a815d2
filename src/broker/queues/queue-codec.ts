/**
 * How the state of queues is stored. Steps: what has changed since the last commit, a few bytes per
 * acknowledgement, neighbours together. A snapshot: everything, so that older steps can go.
 */
import { assert, BrokerError, type Position, readUnsigned, writeUnsigned } from '#kit';
import { ENDED_COUNT, type Ended, LaneState, QueueState } from './queue-state.ts';

const SNAPSHOT_VERSION = 1;
/** Longest unsigned integer. */
const INTEGER_BYTES = 8;

/** Steps; 0 ends the steps of one queue. */
const FINISH = 1;
const ATTEMPTS = 2;
const DELAY = 3;
const UNDELAY = 4;
const DELIVERED = 5;

/** Collects bytes; its buffer is used again after `take`, which copies. */
export class ByteSink {
  #bytes = Buffer.allocUnsafe(1024);
  #at = 0;

  get length(): number {
    return this.#at;
  }

  integer(value: number): void {
    assert(value >= 0, 'what is stored of a queue is not negative');
    if (this.#at + INTEGER_BYTES > this.#bytes.length) this.#grow();
    this.#at = writeUnsigned(this.#bytes, this.#at, value);
  }

  take(): Buffer {
    const bytes = Buffer.from(this.#bytes.subarray(0, this.#at));
    this.#at = 0;
    return bytes;
  }

  #grow(): void {
    const larger = Buffer.allocUnsafe(this.#bytes.length * 2);
    this.#bytes.copy(larger, 0, 0, this.#at);
    this.#bytes = larger;
  }
}

/** The steps of one queue since its last seal. */
export class QueueSteps {
  /** Flat: what, then its integers. */
  readonly #steps: number[] = [];
  /** Index of the last step when it is a FINISH, else -1. */
  #lastFinish = -1;

  get empty(): boolean {
    return this.#steps.length === 0;
  }

  finish(lane: number, from: number, count: number, how: Ended, bytes: number): void {
    const steps = this.#steps;
    const last = this.#lastFinish;
    // A row of acknowledgements is one step.
    if (last >= 0 && steps[last + 1] === lane && steps[last + 4] === how) {
      if (steps[last + 2]! + steps[last + 3]! === from) {
        steps[last + 3]! += count;
        steps[last + 5]! += bytes;
        return;
      }
    }
    this.#lastFinish = steps.length;
    steps.push(FINISH, lane, from, count, how, bytes);
  }

  attempts(lane: number, position: number, count: number): void {
    this.#add(ATTEMPTS, lane, position, count);
  }

  delay(lane: number, position: number, bytes: number): void {
    this.#add(DELAY, lane, position, bytes);
  }

  undelay(lane: number, position: number, bytes: number): void {
    this.#add(UNDELAY, lane, position, bytes);
  }

  delivered(lane: number, to: number): void {
    this.#add(DELIVERED, lane, to, 0);
  }

  #add(what: number, lane: number, position: number, value: number): void {
    this.#lastFinish = -1;
    this.#steps.push(what, lane, position, value);
  }

  /** Writes and forgets them. */
  write(sink: ByteSink, queueId: number): void {
    sink.integer(queueId);
    for (const value of this.#steps) sink.integer(value);
    sink.integer(0);
    this.#steps.length = 0;
    this.#lastFinish = -1;
  }
}

/** Reads a record of steps. @param stateOf null: the queue is gone, or knows these steps */
export function applySteps(bytes: Buffer, stateOf: (queueId: number) => QueueState | null): void {
  const position: Position = { at: 0 };
  const next = (): number => readUnsigned(bytes, position, 'step');
  while (position.at < bytes.length) {
    const state = stateOf(next());
    for (let what = next(); what !== 0; what = next()) {
      const [lane, place, value] = [next(), next(), next()];
      if (what === FINISH) {
        const [how, size] = [next(), next()];
        if (state !== null) state.ended[how]! += state.lane(lane).finish(place, value, size);
      } else if (state !== null) applyStep(what, state.lane(lane), place, value);
    }
  }
}

function applyStep(what: number, lane: LaneState, position: number, value: number): void {
  if (what === ATTEMPTS) lane.attempts.set(position, value);
  else if (what === DELAY) lane.delay(position, value);
  else if (what === UNDELAY) lane.undelay(position, value);
  else if (what === DELIVERED) lane.deliveredTo = Math.max(lane.deliveredTo, position);
  else throw new BrokerError('damaged', `a step of kind ${what} in the state of a queue`);
}

/** @param sink is empty, and empty again after it */
export function encodeSnapshot(sink: ByteSink, queueId: number, state: QueueState): Buffer {
  sink.integer(SNAPSHOT_VERSION);
  sink.integer(queueId);
  sink.integer(state.through);
  for (const count of state.ended) sink.integer(count);
  sink.integer(state.lanes.size);
  for (const [number, lane] of state.lanes) {
    sink.integer(number);
    encodeLane(sink, lane);
  }
  return sink.take();
}

function encodeLane(sink: ByteSink, lane: LaneState): void {
  for (const value of [lane.start, lane.acks.floor, lane.deliveredTo, lane.summedTo]) {
    sink.integer(value);
  }
  sink.integer(lane.bytes);
  sink.integer(lane.delayedBytes);
  encodeRanges(sink, lane.acks.floor, lane.acks.ranges());
  encodeRanges(sink, lane.acks.floor, lane.delayed.ranges());
  sink.integer(lane.attempts.size);
  for (const [position, count] of lane.attempts) {
    sink.integer(position);
    sink.integer(count);
  }
  sink.integer(lane.partitionLogs.length);
  for (const logId of lane.partitionLogs) sink.integer(logId);
  const spans = lane.spans.all();
  sink.integer(spans.length);
  for (const { from, to, least } of spans) {
    sink.integer(from);
    sink.integer(to);
    sink.integer(least.size);
    for (const [partition, offset] of least) {
      sink.integer(partition);
      sink.integer(offset);
    }
  }
}

/** Gaps and lengths by turns: two bytes a range, mostly. A length of 0 ends them. */
function encodeRanges(
  sink: ByteSink,
  floor: number,
  ranges: Iterable<readonly [from: number, to: number]>,
): void {
  let at = floor;
  for (const [from, to] of ranges) {
    sink.integer(to - from);
    sink.integer(from - at);
    at = to;
  }
  sink.integer(0);
}

/** @returns null when it is the snapshot of another queue of that name */
export function decodeSnapshot(bytes: Buffer, queueId: number): QueueState | null {
  const position: Position = { at: 0 };
  const next = (): number => readUnsigned(bytes, position, 'snapshot');
  const version = next();
  if (version !== SNAPSHOT_VERSION) {
    throw new BrokerError('damaged', `the snapshot of a queue has version ${version}`);
  }
  if (next() !== queueId) return null;
  const state = new QueueState();
  state.through = next();
  for (let how = 0; how < ENDED_COUNT; how++) state.ended[how] = next();
  for (let count = next(); count > 0; count--) {
    const number = next();
    state.lanes.set(number, decodeLane(next));
  }
  return state;
}

function decodeLane(next: () => number): LaneState {
  const lane = new LaneState(next());
  const floor = next();
  lane.acks.add(lane.start, floor);
  lane.deliveredTo = next();
  lane.summedTo = next();
  lane.bytes = next();
  const delayedBytes = next();
  decodeRanges(next, floor, (from, to) => lane.acks.add(from, to));
  decodeRanges(next, floor, (from, to) => lane.delayed.add(from, to));
  lane.delayedBytes = delayedBytes;
  for (let count = next(); count > 0; count--) {
    const position = next();
    lane.attempts.set(position, next());
  }
  for (let count = next(); count > 0; count--) lane.partitionLogs.push(next());
  for (let count = next(); count > 0; count--) {
    const [from, to] = [next(), next()];
    const least = new Map<number, number>();
    for (let entries = next(); entries > 0; entries--) {
      const partition = next();
      least.set(partition, next());
    }
    lane.spans.restore({ from, to, least });
  }
  return lane;
}

function decodeRanges(
  next: () => number,
  floor: number,
  range: (from: number, to: number) => void,
): void {
  let at = floor;
  for (let length = next(); length > 0; length = next()) {
    const from = at + next();
    at = from + length;
    range(from, at);
  }
}
