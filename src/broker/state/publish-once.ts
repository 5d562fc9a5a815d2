/** Publishing under an id: a repeat is answered like the first, and stored no second time (X67). */
import type { BrokerError } from '#kit';
import type { Broker, Target } from '../broker.ts';
import type { Message } from '../records/message.ts';
import type { PublishSink } from '../streams/partition.ts';
import type { DedupeWindow } from './dedupe.ts';

const OUTCOME_BYTES = 12;

export interface PublishedOnce {
  readonly duplicate: boolean;
  /** Where the message lies, the first one when this is a repeat; -1 when it is stored nowhere. */
  readonly partition: number;
  readonly offset: number;
  /** How many take it, as `Broker.publish` says; 0 for a repeat. */
  readonly taken: number;
}

/** Tells the window about the fate of an append before the publisher hears of it. */
class Settling implements PublishSink {
  readonly #window: DedupeWindow;
  readonly #id: string;
  readonly #sink: PublishSink | null;
  /** The answer came before `publish` returned: there was nothing to store. */
  early: BrokerError | null | undefined;
  added = false;

  constructor(window: DedupeWindow, id: string, sink: PublishSink | null) {
    this.#window = window;
    this.#id = id;
    this.#sink = sink;
  }

  published(token: number, error: BrokerError | null): void {
    if (this.added) this.#window.settled(this.#id, error);
    else this.early = error;
    this.#sink?.published(token, error);
  }
}

/**
 * Does what is published under an id, unless that id was taken before.
 * @param sink told when the publisher may be answered: for a repeat, when the first is on disk
 * @param publish publishes with the sink that it is given; null when nobody took it: the id is as
 *   new then
 * @param timeMs how long the id is remembered; the window's time when left out
 * @returns the outcome of the first for a repeat, else null
 */
export function once(
  window: DedupeWindow,
  id: string,
  sink: PublishSink | null,
  token: number,
  publish: (sink: PublishSink) => Buffer | null,
  timeMs?: number,
): Buffer | null {
  const first = window.repeat(id, (error) => sink?.published(token, error));
  if (first !== null) return first;
  const settling = new Settling(window, id, sink);
  const outcome = publish(settling);
  if (outcome === null) return null;
  window.add(id, outcome, timeMs);
  settling.added = true;
  if (settling.early !== undefined) window.settled(id, settling.early);
  return null;
}

/**
 * Publishes a message unless its id was taken before.
 * @param id in the scope of the window
 * @param sink told when the publisher may be answered: for a repeat, when the first is on disk
 * @throws BrokerError as `Broker.publish`; nothing was done then
 */
export function publishOnce(
  broker: Broker,
  window: DedupeWindow,
  id: string,
  message: Message,
  target: Target,
  sink: PublishSink | null,
  token: number,
): PublishedOnce {
  let taken = 0;
  const first = once(window, id, sink, token, (settling) => {
    taken = broker.publish(message, target, settling, token);
    const outcome = Buffer.allocUnsafe(OUTCOME_BYTES);
    outcome.writeInt32BE(message.partition?.index ?? -1, 0);
    outcome.writeBigInt64BE(BigInt(message.offset), 4);
    return outcome;
  });
  if (first !== null) {
    const [partition, offset] = [first.readInt32BE(0), Number(first.readBigInt64BE(4))];
    return { duplicate: true, partition, offset, taken: 0 };
  }
  const partition = message.partition?.index ?? -1;
  return { duplicate: false, partition, offset: message.offset, taken };
}
