/**
 * Counters and gauges that rooms feed. Rooms ask for an instrument once, at start, and keep it: a
 * count on the hot path is then one addition. Labels are fixed when the instrument is asked for, so
 * their number is bounded by the code, never by clients. `admin/` renders them for Prometheus.
 */

export type Labels = Readonly<Record<string, string>>;

export class Counter {
  value = 0;
  add(count = 1): void {
    this.value += count;
  }
}

export class Gauge {
  value = 0;
  set(value: number): void {
    this.value = value;
  }
  add(count = 1): void {
    this.value += count;
  }
}

/** Counts of observations per upper bound (cumulative when rendered). */
export class Histogram {
  readonly bounds: readonly number[];
  readonly counts: number[];
  sum = 0;
  count = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Array<number>(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    let index = 0;
    while (index < this.bounds.length && value > this.bounds[index]!) index++;
    this.counts[index]!++;
    this.sum += value;
    this.count++;
  }
}

export type Instrument = Counter | Gauge | Histogram;

export interface Family {
  readonly name: string;
  readonly help: string;
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly series: { readonly labels: Labels; readonly instrument: Instrument }[];
}

/** Latency bounds in seconds, 50 us to 10 s. */
export const LATENCY_SECONDS = [
  0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5,
  10,
] as const;

/**
 * All instruments of one server. Names follow Prometheus: `robustmq_<room>_<what>_<unit>[_total]`.
 */
export class Metrics {
  readonly families = new Map<string, Family>();
  readonly #readers = new Set<() => void>();

  /**
   * Calls before the metrics are shown: for values that are cheaper to add up then than to keep.
   * @returns a function that ends it
   */
  onRead(update: () => void): () => void {
    this.#readers.add(update);
    return () => this.#readers.delete(update);
  }

  /** All families with what holds now. */
  read(): Iterable<Family> {
    for (const update of this.#readers) update();
    return this.families.values();
  }

  counter(name: string, help: string, labels: Labels = {}): Counter {
    return this.#find(name, help, 'counter', labels, () => new Counter());
  }

  gauge(name: string, help: string, labels: Labels = {}): Gauge {
    return this.#find(name, help, 'gauge', labels, () => new Gauge());
  }

  histogram(name: string, help: string, bounds: readonly number[], labels: Labels = {}): Histogram {
    return this.#find(name, help, 'histogram', labels, () => new Histogram(bounds));
  }

  #find<I extends Instrument>(
    name: string,
    help: string,
    kind: Family['kind'],
    labels: Labels,
    make: () => I,
  ): I {
    let family = this.families.get(name);
    if (family === undefined) {
      family = { name, help, kind, series: [] };
      this.families.set(name, family);
    }
    const key = JSON.stringify(labels);
    const known = family.series.find((series) => JSON.stringify(series.labels) === key);
    if (known !== undefined) return known.instrument as I;
    const instrument = make();
    family.series.push({ labels, instrument });
    return instrument;
  }
}
