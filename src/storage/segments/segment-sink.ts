/** Where the bytes of a segment go while it is written: piece by piece, front to back. */
import type { ObjectStore, WriteChunks } from '../objects/object-store.ts';

export interface SegmentSink {
  write: WriteChunks;
  /**
   * The segment is whole; durable, and in use under its name, when it has resolved.
   * @param tailBytes at its end that must stay quick to read
   */
  finish(tailBytes: number): Promise<void>;
  /** Gives up: nothing is left of what was written. */
  abandon(error: unknown): Promise<void>;
}

/** A new object. Nothing is begun before the first write. */
export function objectSink(objects: ObjectStore, name: string): SegmentSink {
  const filled = Promise.withResolvers<number>();
  filled.promise.catch(() => {});
  let put: Promise<void> | null = null;
  let opened: Promise<WriteChunks> | null = null;
  /** The store asks to be given the bytes; here they are pushed. */
  const open = (): Promise<WriteChunks> => {
    const { promise, resolve, reject } = Promise.withResolvers<WriteChunks>();
    put = objects.put(name, (write) => {
      resolve(write);
      return filled.promise;
    });
    put.catch(reject);
    return promise;
  };
  return {
    async write(chunks) {
      opened ??= open();
      const write = await opened;
      await write(chunks);
    },
    async finish(tailBytes) {
      filled.resolve(tailBytes);
      await put;
    },
    async abandon(error) {
      filled.reject(error);
      await put?.catch(() => {});
    },
  };
}
