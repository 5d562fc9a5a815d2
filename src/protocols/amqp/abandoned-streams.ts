/**
 * Streams whose queue or exchange was deleted. They go with it, but not while some other queue, of
 * whichever protocol, still has messages that lie there.
 */
import type { Broker, Stream } from '#broker';

export class AbandonedStreams {
  readonly #broker: Broker;
  readonly #isUsed: (stream: string) => boolean;
  readonly #soon: (call: () => void) => void;
  readonly #names = new Set<string>();
  #asked = false;
  #ended = false;

  /** @param isUsed true for the stream of a queue or an exchange that is there, perhaps anew */
  constructor(
    broker: Broker,
    isUsed: (stream: string) => boolean,
    soon: (call: () => void) => void,
  ) {
    this.#broker = broker;
    this.#isUsed = isUsed;
    this.#soon = soon;
  }

  add(stream: string): void {
    this.#names.add(stream);
  }

  /** A queue has gone: what it needed may be free now. Looked at once for all of a turn. */
  look(): void {
    if (this.#asked || this.#names.size === 0) return;
    this.#asked = true;
    this.#soon(() => {
      this.#asked = false;
      if (!this.#ended) this.remove();
    });
  }

  end(): void {
    this.#ended = true;
  }

  /** Removes those that nobody needs. */
  remove(): void {
    const { streams } = this.#broker;
    for (const name of this.#names) {
      const stream = this.#isUsed(name) ? undefined : streams.get(name);
      if (stream !== undefined && isNeeded(this.#broker, stream)) continue;
      this.#names.delete(name);
      if (stream !== undefined) streams.remove(stream);
    }
  }
}

function isNeeded({ queues }: Broker, { partitions }: Stream): boolean {
  if (partitions.some((partition) => queues.firstOffset(partition) < partition.endOffset)) {
    return true;
  }
  // What lives in memory pins nothing, but reads what it does not hold.
  for (const { durable, lanes, readyCount, unackedCount } of queues.list()) {
    if (durable || readyCount + unackedCount === 0) continue;
    for (const { sources } of lanes.references) {
      if (partitions.some((partition) => sources.known(partition) !== undefined)) return true;
    }
  }
  return false;
}
