/** The bounds of the storage engine that follow from the options. */
import { BrokerError, type Values } from '#kit';
import type { EngineLimits } from '#storage';
import type { STORAGE_OPTIONS } from './server-options.ts';

/** Room for the keys, headers and envelope of the largest message. */
const MESSAGE_EXTRA_BYTES = 1 << 20;

/** @throws BrokerError `bad-configuration` when the largest message would not fit */
export function engineLimits(
  options: Values<typeof STORAGE_OPTIONS>,
  messageBytesMax: number,
): Partial<EngineLimits> {
  // An entry may take half a write-ahead file, so that a file holds at least two.
  const entryBytesMax = options.walFileSize / 2;
  if (messageBytesMax + MESSAGE_EXTRA_BYTES > entryBytesMax) {
    throw new BrokerError(
      'bad-configuration',
      `A message of server.message-max (${messageBytesMax} bytes) would not fit into half a ` +
        `write-ahead file: set storage.wal-file-size to at least ` +
        `${2 * (messageBytesMax + MESSAGE_EXTRA_BYTES)}, or server.message-max to less.`,
    );
  }
  return {
    walFileBytes: options.walFileSize,
    entryBytesMax,
    entryBytesSoft: entryBytesMax / 4,
    inFlightBytesMax: options.inFlightMax,
    cacheBytes: options.cacheSize,
    asyncIntervalMs: options.asyncInterval,
    reserveBytes: options.reserve,
  };
}
