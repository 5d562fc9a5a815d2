/** A durable queue as it is defined on disk. */
import type { QueueLimits } from './queue-settings.ts';
import { LaneState, QueueState } from './queue-state.ts';

/** Number of the lane that reads the queue's own stream. */
export const CURSOR_LANE = 0;

export interface StoredQueue {
  readonly stream: string | null;
  /** Which partition of that stream; 0 when left out. */
  readonly partition?: number;
  /** It holds back no retention. */
  readonly loose?: boolean;
  /** Where it starts in that stream. */
  readonly start: number;
  /** Log of the references, or of those without priority; also what names the queue for ever. */
  readonly log: number;
  /** Logs of references by priority, from 1 on; 0 while there is none. */
  readonly logs?: readonly number[];
  /** First offset of the stream that comes by reference; -1 = none does. */
  readonly limit: number;
  readonly limits?: Partial<QueueLimits>;
}

/** The state of a queue that has done nothing yet. */
export function newState({ stream, start }: StoredQueue): QueueState {
  const state = new QueueState();
  if (stream !== null) state.lanes.set(CURSOR_LANE, new LaneState(start));
  return state;
}
