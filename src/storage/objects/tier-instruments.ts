/** What the tiered store counts. */
import type { Counter, Gauge, Metrics } from '#kit';

export interface TierInstruments {
  readonly uploads: Counter;
  readonly uploadBytes: Counter;
  readonly deletes: Counter;
  readonly evictions: Counter;
  readonly returns: Counter;
  readonly localReads: Counter;
  readonly remoteReads: Counter;
  readonly remoteReadBytes: Counter;
  readonly localBytes: Gauge;
  readonly remoteBytes: Gauge;
  readonly waitingBytes: Gauge;
  readonly away: Gauge;
}

export function makeTierInstruments(metrics: Metrics): TierInstruments {
  const name = (what: string): string => `robustmq_storage_remote_${what}`;
  const counter = (what: string, help: string): Counter => metrics.counter(name(what), help);
  const gauge = (what: string, help: string): Gauge => metrics.gauge(name(what), help);
  const reads = (from: string): Counter =>
    metrics.counter(name('reads_total'), 'Reads of objects that go to the bucket.', { from });
  return {
    uploads: counter('uploads_total', 'Objects that were uploaded.'),
    uploadBytes: counter('upload_bytes_total', 'Bytes that were uploaded.'),
    deletes: counter('deletes_total', 'Objects that were deleted in the bucket.'),
    evictions: counter('evictions_total', 'Objects that left the local disk.'),
    returns: counter('returns_total', 'Objects that came back to the local disk.'),
    localReads: reads('disk'),
    remoteReads: reads('bucket'),
    remoteReadBytes: counter('read_bytes_total', 'Bytes that were fetched from the bucket.'),
    localBytes: gauge('local_bytes', 'Local disk that objects of the bucket take.'),
    remoteBytes: gauge('bytes', 'Bytes of the objects that are in the bucket.'),
    waitingBytes: gauge('waiting_bytes', 'Bytes that wait for their upload.'),
    away: gauge('away', '1 while the bucket cannot be reached.'),
  };
}
