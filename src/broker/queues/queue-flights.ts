/** The deliveries of one queue that are not finished, and the ends of their leases. */
import type { Deadlines } from './deadlines.ts';
import { type Attachment, type Consumer, type ConsumerHost, Flight } from './queue-consumers.ts';
import type { Item } from './queue-lane.ts';

export class QueueFlights {
  readonly #all = new Map<number, Flight>();
  readonly #leases: Deadlines;
  /** For those who are not consumers; 0 = no end. */
  readonly #leaseMs: number;
  readonly #host: ConsumerHost;

  constructor(leases: Deadlines, leaseMs: number, host: ConsumerHost) {
    this.#leases = leases;
    this.#leaseMs = leaseMs;
    this.#host = host;
  }

  get count(): number {
    return this.#all.size;
  }

  has(position: number): boolean {
    return this.#all.has(position);
  }

  begin(item: Item, redelivered: boolean, count: number, consumer: Consumer | null): Flight {
    const flight = new Flight(item, redelivered, count, consumer, this.#host);
    if (consumer?.finishes === true) {
      consumer.credit--;
      return flight;
    }
    this.#all.set(item.position, flight);
    consumer?.took(flight);
    const leaseMs = consumer === null ? this.#leaseMs : consumer.leaseMs;
    if (leaseMs > 0) this.#leases.set(flight, this.#leases.nowMs() + leaseMs);
    return flight;
  }

  /** Takes a delivery out; null when it is not there, or not that consumer's. */
  land(position: number, by?: Attachment): Flight | null {
    const flight = this.#all.get(position);
    if (flight === undefined || (by !== undefined && flight.consumer !== by)) return null;
    this.#all.delete(position);
    if (flight.heapIndex >= 0) this.#leases.clear(flight);
    return flight;
  }

  /** Its lease begins again. False when it is not in flight. */
  extend(position: number, leaseMs?: number, by?: Attachment): boolean {
    const flight = this.#all.get(position);
    if (flight === undefined || (by !== undefined && flight.consumer !== by)) return false;
    const ms = leaseMs ?? flight.consumer?.leaseMs ?? this.#leaseMs;
    if (ms > 0) this.#leases.set(flight, this.#leases.nowMs() + ms);
    return true;
  }

  /** The queue is gone: no lease ends any more. */
  end(): void {
    for (const flight of this.#all.values()) this.#leases.clear(flight);
  }
}
