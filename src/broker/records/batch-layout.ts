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
  producerEpoch: 51,
  baseSequence: 53,
  count: 57,
} as const;

export const BATCH_HEADER_BYTES = 61;

/** The times of the records are that of their append: the largest time of the batch. */
export const LOG_APPEND_TIME = 0x08;

/** Its records count only when the transaction of their producer was committed (KIP-98). */
export const TRANSACTIONAL = 0x10;
/** Not records of a producer, but what the server says about transactions. */
export const CONTROL = 0x20;
