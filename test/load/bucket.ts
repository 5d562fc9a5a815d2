/** An object store for the server under test, where one is installed. */
import {
  BUCKET,
  type BucketServer,
  KEYS,
  lacking,
  startBucketServer,
} from '../object-store/buckets.ts';

export interface Bucket {
  /** Flags of `robust-server start`; none without an object store. */
  readonly flags: readonly string[];
  close(): Promise<void>;
}

export async function openBucket(): Promise<Bucket> {
  const missing = await lacking('versitygw');
  if (missing !== null) {
    console.log(`without an object store: ${missing}`);
    return { flags: [], close: async () => {} };
  }
  const server = await startBucketServer('versitygw');
  return { flags: flagsOf(server), close: () => server[Symbol.asyncDispose]() };
}

/** A small cache, so that objects leave the local disk and are read from the bucket. */
function flagsOf({ endpoint }: BucketServer): string[] {
  return Object.entries({
    'remote-endpoint': endpoint,
    'remote-bucket': BUCKET,
    'remote-access-key': KEYS.accessKeyId,
    'remote-secret-key': KEYS.secretAccessKey,
    'remote-cache-size': '1MiB',
  }).flatMap(([name, value]) => [`--storage-${name}`, value]);
}
