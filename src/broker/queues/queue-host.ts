/** What a queue needs of its broker. */
import type { BrokerError } from '#kit';
import type { Message } from '../records/message.ts';
import type { Deadlines } from './deadlines.ts';
import type { Queue } from './queue.ts';
import type { Ended } from './queue-state.ts';
import type { ReferenceLane } from './reference-lane.ts';

export interface QueueHost {
  /** The server stops: nothing is delivered any more. */
  stopped: boolean;
  /** Ends of leases, by the monotonic clock. */
  readonly leases: Deadlines;
  /** Ends of messages, by the wall clock. */
  readonly ages: Deadlines;
  /** The queue's durable state has changed: save it with the next entry, without hurry. */
  changed(queue: Queue): void;
  /** The queue has references to append with the next entry. */
  routed(queue: Queue): void;
  /** The queue has messages that do not wait for a commit. */
  arrived(queue: Queue): void;
  /** The offset where references take over has changed. */
  limited(queue: Queue): void;
  /** Makes the lane of references for a priority. */
  makeLane(queue: Queue, priority: number): ReferenceLane;
  /** Calls `queue.comeBack` then, after a restart too when the queue is durable. */
  delay(queue: Queue, position: number, dueMs: number, bytes: number): void;
  /** The dead letter commits together with the state of the queue. */
  together(queue: Queue, published: Message): boolean;
  /** Calls once when messages are taken again. */
  onRoom(call: () => void): void;
  /** Calls at the end of this turn of the event loop. */
  soon(call: () => void): void;
  ended(how: Ended, count: number): void;
  /** Its next message cannot be read now. Calls `queue.dispatch` when that may be over. */
  unreadable(queue: Queue, error: unknown): void;
  /** A message was read. */
  readable(queue: Queue): void;
  /** A dead letter cannot be stored. */
  undeliverable(queue: Queue, error: BrokerError): void;
}

export interface RequeueOptions {
  /** It is ready again after this long; the queue's backoff when left out, 0 = at once. */
  readonly delayMs?: number;
  /** False: the consumer has not looked at it, so it does not count as a delivery. */
  readonly counted?: boolean;
}
