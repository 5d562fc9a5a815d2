/** What is stored of a queue that is not in memory and has messages, or had some. */
export interface StoredCold {
  /** Its definition, for `Queues.putBack`; null: it is in memory, or has no messages. */
  readonly queue: string | null;
  /** It has what waited in lines with lesser numbers. Left out: 0. */
  readonly since?: number;
  /** Messages that are ready. */
  readonly ready: number;
  /** The first offset that it needs of each partition, by log id. */
  readonly pins: readonly (readonly [logId: number, offset: number])[];
}

export function storedOf(value: Buffer): StoredCold {
  return JSON.parse(value.toString()) as StoredCold;
}
