/**
 * Messages that a queue gives up, on their way to where its owner wants them. The owner appends the
 * copy; the end of the original commits together with it, or after it where another owner of slots
 * commits the copy. So none is lost, and with one owner none is there twice.
 */
import { BrokerError } from '#kit';
import type { Message } from '../records/message.ts';
import type { PublishSink } from '../streams/partition.ts';
import type { Queue } from './queue.ts';
import type { QueueHost } from './queue-host.ts';
import type { Item } from './queue-lane.ts';
import { ENDED, type Ended } from './queue-state.ts';

export type DeathReason = 'rejected' | 'expired' | 'max-deliveries' | 'max-length';

export interface Death {
  readonly message: Message;
  readonly meta: number;
  readonly reason: DeathReason;
  /** Deliveries that it has had. */
  readonly deliveryCount: number;
}

/**
 * Publishes the copy in this synchronous stretch, with `sink`. @returns what was published, or null
 * when nothing was: the message is dropped then
 * @throws BrokerError: it is tried again when there is room
 */
export type DeadLetter = (death: Death, sink: PublishSink) => Message | null;

class Move implements PublishSink, Death {
  readonly item: Item;
  readonly reason: DeathReason;
  readonly deliveryCount: number;
  readonly #moves: Moves;
  /** `together`: the original ends with the next entry, which has the copy as well. */
  state: 'starting' | 'together' | 'waiting' | 'stuck' | 'done' = 'starting';

  constructor(item: Item, reason: DeathReason, deliveryCount: number, moves: Moves) {
    this.item = item;
    this.reason = reason;
    this.deliveryCount = deliveryCount;
    this.#moves = moves;
  }

  get message(): Message {
    return this.item.message;
  }

  get meta(): number {
    return this.item.meta;
  }

  published(_token: number, error: BrokerError | null): void {
    if (this.state === 'done') return;
    if (error !== null) this.#moves.failed(this, error);
    else if (this.state !== 'together') this.#moves.end(this, ENDED.dead);
  }
}

export class Moves {
  readonly #queue: Queue;
  readonly #host: QueueHost;
  readonly #deadLetter: DeadLetter;
  readonly #all = new Map<number, Move>();
  #together: Move[] = [];
  /** They wait for room. */
  #stuck: Move[] = [];

  constructor(deadLetter: DeadLetter, queue: Queue, host: QueueHost) {
    this.#deadLetter = deadLetter;
    this.#queue = queue;
    this.#host = host;
  }

  /** Messages that are on their way. */
  get count(): number {
    return this.#all.size;
  }

  has(position: number): boolean {
    return this.#all.has(position);
  }

  /** Some wait for room: more would only wait with them. */
  get stuck(): boolean {
    return this.#stuck.length > 0;
  }

  /** Some end with the next entry. */
  get unsealed(): boolean {
    return this.#together.length > 0;
  }

  start(item: Item, reason: DeathReason, deliveryCount: number): void {
    const move = new Move(item, reason, deliveryCount, this);
    this.#all.set(item.position, move);
    this.#try(move);
  }

  /**
   * Ends the originals whose copies are in the entry that is about to be sealed. Called after the
   * copies were appended: those that could not be are not among them any more.
   */
  seal(): void {
    const together = this.#together;
    if (together.length === 0) return;
    this.#together = [];
    for (const move of together) if (move.state === 'together') this.end(move, ENDED.dead);
  }

  /** Tries those again that waited. */
  retry(): void {
    if (this.#stuck.length === 0 || this.#queue.removed) return;
    const stuck = this.#stuck;
    this.#stuck = [];
    for (const move of stuck) this.#try(move);
    if (this.#stuck.length === 0) this.#queue.dispatch();
  }

  end(move: Move, how: Ended): void {
    move.state = 'done';
    if (this.#all.delete(move.item.position)) this.#queue.left(move.item, how);
  }

  failed(move: Move, error: BrokerError): void {
    if (this.#queue.removed) return;
    this.#host.undeliverable(this.#queue, error);
    move.state = 'stuck';
    this.#stuck.push(move);
    // Other failures are tried again when something new comes: a loop would not heal them.
    const { code } = error;
    if (code === 'busy' || code === 'storage-full') this.#host.onRoom(() => this.retry());
  }

  #try(move: Move): void {
    move.state = 'starting';
    let published: Message | null;
    try {
      published = this.#deadLetter(move, move);
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error;
      this.failed(move, error);
      return;
    }
    // Told meanwhile: it is stored nowhere, or could not be.
    if (move.state !== 'starting') return;
    if (published === null) this.end(move, endWithout(move.reason));
    else if (!this.#queue.durable || !this.#host.together(this.#queue, published))
      move.state = 'waiting';
    else {
      move.state = 'together';
      this.#together.push(move);
      this.#queue.changed();
    }
  }
}

/** How a message ends that has no place to go to. */
export function endWithout(reason: DeathReason): Ended {
  return reason === 'expired' ? ENDED.expired : ENDED.dropped;
}
