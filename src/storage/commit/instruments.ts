/** What the engine counts. Rendered for Prometheus by `admin/`. */
import { type Counter, type Gauge, type Histogram, LATENCY_SECONDS, type Metrics } from '#kit';

export interface Instruments {
  readonly appends: Counter;
  readonly bytes: Counter;
  readonly commitSeconds: Histogram;
  readonly entryBytes: Histogram;
  readonly failures: Counter;
  readonly cacheReads: Counter;
  readonly diskReads: Counter;
  readonly damaged: Counter;
  readonly repaired: Counter;
  readonly walBytes: Gauge;
  readonly segmentBytes: Gauge;
  readonly inFlightBytes: Gauge;
  readonly checkpoints: Counter;
  readonly reorganised: Counter;
  readonly adopted: Counter;
  readonly merges: Counter;
  readonly compactions: Counter;
  readonly walWritten: Counter;
  readonly walPrepared: Counter;
}

const ENTRY_BYTES = [512, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216];

export function makeInstruments(metrics: Metrics): Instruments {
  const name = (what: string): string => `robustmq_storage_${what}`;
  const reads = (from: string): Counter =>
    metrics.counter(name('reads_total'), 'Reads of stored batches.', { from });
  return {
    appends: metrics.counter(name('appends_total'), 'Batches that were appended.'),
    bytes: metrics.counter(name('append_bytes_total'), 'Bytes of the batches that were appended.'),
    commitSeconds: metrics.histogram(
      name('commit_seconds'),
      'Time to write one entry and make it durable.',
      LATENCY_SECONDS,
    ),
    entryBytes: metrics.histogram(name('entry_bytes'), 'Size of the entries.', ENTRY_BYTES),
    failures: metrics.counter(name('failures_total'), 'Writes and syncs that the disk failed.'),
    cacheReads: reads('memory'),
    diskReads: reads('disk'),
    damaged: metrics.counter(
      name('damaged_batches_total'),
      'Batches that failed their checksum and were not served.',
    ),
    repaired: metrics.counter(
      name('repaired_rows_total'),
      'Index records in which one flipped bit was put right.',
    ),
    walBytes: metrics.gauge(name('wal_bytes'), 'Size of all write-ahead files.'),
    segmentBytes: metrics.gauge(name('segment_bytes'), 'Size of all segment files.'),
    inFlightBytes: metrics.gauge(name('in_flight_bytes'), 'Bytes that wait for their commit.'),
    checkpoints: metrics.counter(name('checkpoints_total'), 'Checkpoints that were written.'),
    reorganised: metrics.counter(
      name('reorganised_bytes_total'),
      'Bytes that were written into segments.',
    ),
    adopted: metrics.counter(
      name('adopted_bytes_total'),
      'Bytes of write-ahead files that became segments as they were.',
    ),
    merges: metrics.counter(name('merges_total'), 'Jobs that merged segments.'),
    compactions: metrics.counter(
      name('compactions_total'),
      'Compactions of a log that replaced records.',
    ),
    walWritten: metrics.counter(
      name('wal_written_bytes_total'),
      'Bytes of the entries that were written into write-ahead files.',
    ),
    walPrepared: metrics.counter(
      name('wal_prepared_bytes_total'),
      'Bytes of zeros that reserved space for write-ahead files.',
    ),
  };
}
