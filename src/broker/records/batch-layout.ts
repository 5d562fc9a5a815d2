/** Where the header fields of a RecordBatch v2 lie (Kafka protocol guide, "Record Batch"). */
export const BATCH_AT = {
  length: 8,
  epoch: 12,
  magic: 16,
  crc: 17,
  /** The checksum covers everything from here on. */
  attributes: 21,
  lastDelta: 23,
  baseTime: 27,
  maxTime: 35,
  producer: 43,
  count: 57,
} as const;

export const BATCH_HEADER_BYTES = 61;

/** The times of the records are that of their append: the largest time of the batch. */
export const LOG_APPEND_TIME = 0x08;
