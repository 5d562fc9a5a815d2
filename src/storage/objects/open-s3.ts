/** A bucket for those that have one: most servers need not load what speaks to it. */
import type { S3StoreOptions } from './s3-store.ts';
import type { RemoteStore } from './tiered-store.ts';

export async function openS3Store(options: S3StoreOptions): Promise<RemoteStore> {
  const { S3Store } = await import('./s3-store.ts');
  return new S3Store(options);
}
