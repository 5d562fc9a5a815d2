/**
 * kit: what every room may use and what knows nothing of brokers: errors, time, checksums,
 * variable-length numbers, option rows, log, metrics. No domain word enters here.
 */
export { crc32c } from './crc32c.ts';
export {
  assert,
  type Blame,
  BrokerError,
  ERROR_CODES,
  ERRORS,
  type ErrorCode,
  expectBrokerError,
  ProtocolError,
} from './errors.ts';
export { keptBytes } from './kept-bytes.ts';
export { type Log, type LogFields, silentLog } from './log.ts';
export {
  Counter,
  type Family,
  Gauge,
  Histogram,
  LATENCY_SECONDS,
  type Labels,
  Metrics,
} from './metrics.ts';
export { camel, defaults, type OptionRow, type OptionRows, type Values } from './options.ts';
export { compareKeys, firstNotBelow, keyAfter, OrderedMap } from './ordered-map.ts';
export { pendingTimers, realClock, realRandom, realTimers } from './real-time.ts';
export type { Clock, Random, Timer, Timers } from './time.ts';
export { uuid } from './uuid.ts';
export {
  type Position,
  readSigned,
  readUnsigned,
  signedSize,
  unsignedSize,
  writeSigned,
  writeUnsigned,
  zigzag,
} from './varint.ts';
