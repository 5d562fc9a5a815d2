/**
 * The settings that trials take turns with: small write-ahead files, so that rolling, recycling,
 * reorganisation and checkpoints happen all the time, with and without caches, small and large
 * messages, narrow and wide windows.
 */
import type { TrialSettings } from './trial.ts';

const SMALL_FILES = ['--storage-wal-file-size', '4MiB', '--server-message-max', '1MiB'];

/** With 24 records in a batch: batches of 16 to 36 KiB, and of 48 to 160 KiB. */
const BATCHES_OF_20_KIB = { least: 700, most: 1_500 };
const BATCHES_OF_100_KIB = { least: 2_000, most: 6_500 };

export const TRIAL_SETTINGS: readonly TrialSettings[] = [
  {
    title: 'write-ahead files of 4 MiB, messages to 2 KiB',
    flags: SMALL_FILES,
    sizes: { least: 10, most: 2_000 },
    pace: { window: 50 },
    large: BATCHES_OF_20_KIB,
  },
  {
    title: 'batches of 100 KiB, little beside them',
    flags: SMALL_FILES,
    sizes: { least: 10, most: 100 },
    pace: { window: 2 },
    large: BATCHES_OF_100_KIB,
  },
  {
    title: 'no cache, messages to 8 KiB',
    flags: [...SMALL_FILES, '--storage-cache-size', '0'],
    sizes: { least: 100, most: 8_000 },
    pace: { window: 20 },
    large: BATCHES_OF_20_KIB,
  },
  {
    title: 'small messages, wide windows, async interval 20 ms',
    flags: [...SMALL_FILES, '--storage-async-interval', '20ms'],
    sizes: { least: 1, most: 200 },
    pace: { window: 200 },
    large: BATCHES_OF_20_KIB,
  },
  {
    title: '1 MiB in flight, messages to 40 KiB',
    flags: [...SMALL_FILES, '--storage-in-flight-max', '1MiB'],
    sizes: { least: 1_000, most: 40_000 },
    pace: { window: 10 },
    large: BATCHES_OF_100_KIB,
  },
  {
    title: 'one at a time',
    flags: SMALL_FILES,
    sizes: { least: 10, most: 4_000 },
    pace: { window: 1 },
    large: BATCHES_OF_20_KIB,
  },
  {
    title: 'defaults',
    flags: [],
    sizes: { least: 10, most: 1_000 },
    pace: { window: 50 },
    large: BATCHES_OF_100_KIB,
  },
];
