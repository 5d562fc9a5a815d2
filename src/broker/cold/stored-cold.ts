/** What is stored of a queue that is not in memory and has messages. */
export interface StoredCold {
  /** Its definition, for `Queues.putBack`. */
  readonly queue: string;
  /** Messages that are ready. */
  readonly ready: number;
  /** The first offset that it needs of each partition, by log id. */
  readonly pins: readonly (readonly [logId: number, offset: number])[];
}

export function storedOf(value: Buffer): StoredCold {
  return JSON.parse(value.toString()) as StoredCold;
}
