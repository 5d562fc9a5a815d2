/** What the queues of a server work with. */
import type { Clock, Log, Metrics, Random, Timers } from '#kit';
import type { MetaStore } from '#meta';
import type { TimeEngine } from '../time/time-engine.ts';

export interface QueuesGiven {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly meta: MetaStore;
}

/** What queues need of the rest of the broker. */
export interface QueuesBroker {
  readonly time: Pick<TimeEngine, 'register' | 'set'>;
  onRoom(call: () => void): void;
}
