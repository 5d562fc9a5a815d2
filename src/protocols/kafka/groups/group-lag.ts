/**
 * How far groups are behind, for the metrics: in records, and in seconds since the oldest record
 * that was not committed came in. Added up when metrics are read; the time of a record is looked up
 * once per committed offset, and is there with the next reading. The groups that are furthest
 * behind are shown, so that clients do not decide how many series there are.
 */
import type { Broker, CommittedOffset, Partition } from '#broker';
import { BrokerError, type Clock, Gauge, type Metrics } from '#kit';

/** Groups that are shown. */
const GROUPS_MAX = 200;
/** Look-ups that one reading of the metrics begins. */
const LOOKUPS_MAX = 200;

interface Oldest {
  readonly offset: number;
  /** When it came in; null while that is looked up, or cannot be. */
  timeMs: number | null;
}

interface Lag {
  readonly group: string;
  readonly records: number;
}

/** Where a group is in one partition. */
export interface GroupPlace {
  readonly partition: Partition;
  /** First offset that it has not finished. */
  readonly from: number;
  readonly records: number;
}

/** Groups that finish records one by one. */
interface GroupsWithPlaces {
  list(): Iterable<{ readonly id: string }>;
  places(id: string): Iterable<GroupPlace>;
}

export class GroupLag {
  readonly #broker: Broker;
  readonly #clock: Clock;
  readonly #records: { labels: { group: string }; instrument: Gauge }[];
  readonly #seconds: { labels: { group: string }; instrument: Gauge }[];
  /** First uncommitted records of groups that lag, by group, stream and partition. */
  #oldest = new Map<string, Oldest>();

  readonly #shares: GroupsWithPlaces;

  constructor(broker: Broker, clock: Clock, metrics: Metrics, shares: GroupsWithPlaces) {
    this.#broker = broker;
    this.#shares = shares;
    this.#clock = clock;
    this.#records = seriesOf(
      metrics,
      'robustmq_kafka_group_lag_records',
      'Records that a group has not committed, of the groups furthest behind.',
    );
    this.#seconds = seriesOf(
      metrics,
      'robustmq_kafka_group_lag_seconds',
      'Age of the oldest record that a group has not committed.',
    );
  }

  update(): void {
    const { cursors } = this.#broker;
    const lags: Lag[] = [];
    for (const group of cursors.groups()) {
      let records = 0;
      for (const committed of cursors.list(group)) records += this.#behind(committed);
      lags.push({ group, records });
    }
    for (const { id } of this.#shares.list()) {
      let records = 0;
      for (const place of this.#shares.places(id)) records += place.records;
      lags.push({ group: id, records });
    }
    const shown = lags.sort((a, b) => b.records - a.records).slice(0, GROUPS_MAX);
    const nowMs = this.#clock.nowMs();
    const known = this.#oldest;
    this.#oldest = new Map();
    let lookups = LOOKUPS_MAX;
    this.#records.length = 0;
    this.#seconds.length = 0;
    for (const { group, records } of shown) {
      let oldestMs = nowMs;
      for (const { partition, from } of records === 0 ? [] : this.#behindOf(group)) {
        const key = JSON.stringify([group, partition.stream.name, partition.index]);
        let oldest = known.get(key);
        if (oldest?.offset !== from && lookups > 0) {
          lookups--;
          oldest = this.#lookUp(partition, from);
        }
        if (oldest?.offset !== from) continue;
        this.#oldest.set(key, oldest);
        oldestMs = Math.min(oldestMs, oldest.timeMs ?? nowMs);
      }
      this.#records.push({ labels: { group }, instrument: gaugeOf(records) });
      this.#seconds.push({ labels: { group }, instrument: gaugeOf((nowMs - oldestMs) / 1000) });
    }
  }

  /** The places of a group that lag. An id belongs to one kind of group. */
  *#behindOf(group: string): Generator<GroupPlace> {
    for (const committed of this.#broker.cursors.list(group)) {
      const records = this.#behind(committed);
      if (records === 0) continue;
      const partition = this.#partitionOf(committed)!;
      yield { partition, from: Math.max(committed.offset, partition.startOffset), records };
    }
    for (const place of this.#shares.places(group)) if (place.records > 0) yield place;
  }

  /** Records that are there and not committed. */
  #behind(committed: CommittedOffset): number {
    const partition = this.#partitionOf(committed);
    if (partition === undefined) return 0;
    const from = Math.max(committed.offset, partition.startOffset);
    return Math.max(0, partition.highWatermark - from);
  }

  #partitionOf({ stream, partition }: CommittedOffset): Partition | undefined {
    return this.#broker.streams.get(stream)?.partitions[partition];
  }

  #lookUp(partition: Partition, offset: number): Oldest {
    const oldest: Oldest = { offset, timeMs: null };
    const take = (batches: readonly { readonly appendTimeMs: number }[]): void => {
      oldest.timeMs = batches[0]?.appendTimeMs ?? null;
    };
    try {
      const found = partition.readBatches(offset, 1);
      if (found instanceof Promise) found.then(take, ignoreUnreadable);
      else take(found);
    } catch (error) {
      ignoreUnreadable(error);
    }
    return oldest;
  }
}

/** What cannot be read has no age; who reads it is told why. */
function ignoreUnreadable(error: unknown): void {
  if (!(error instanceof BrokerError)) throw error;
}

function seriesOf(metrics: Metrics, name: string, help: string) {
  metrics.gauge(name, help, { group: '' });
  const series = metrics.families.get(name)!.series;
  series.length = 0;
  return series as { labels: { group: string }; instrument: Gauge }[];
}

function gaugeOf(value: number): Gauge {
  const gauge = new Gauge();
  gauge.set(value);
  return gauge;
}
