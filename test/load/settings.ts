/**
 * The settings that trials take turns with: small write-ahead files, so that rolling, recycling,
 * reorganisation and checkpoints happen all the time, with and without caches, small and large
 * messages, narrow and wide windows.
 */
import type { TrialSettings } from './trial.ts';

const SMALL_FILES = ['--storage-wal-file-size', '4MiB', '--server-message-max', '1MiB'];

export const TRIAL_SETTINGS: readonly TrialSettings[] = [
  {
    title: 'write-ahead files of 4 MiB, messages to 2 KiB',
    flags: SMALL_FILES,
    sizes: { least: 10, most: 2_000 },
    pace: { window: 50 },
  },
  {
    title: 'no cache, messages to 8 KiB',
    flags: [...SMALL_FILES, '--storage-cache-size', '0'],
    sizes: { least: 100, most: 8_000 },
    pace: { window: 20 },
  },
  {
    title: 'small messages, wide windows, async interval 20 ms',
    flags: [...SMALL_FILES, '--storage-async-interval', '20ms'],
    sizes: { least: 1, most: 200 },
    pace: { window: 200 },
  },
  {
    title: '1 MiB in flight, messages to 40 KiB',
    flags: [...SMALL_FILES, '--storage-in-flight-max', '1MiB'],
    sizes: { least: 1_000, most: 40_000 },
    pace: { window: 10 },
  },
  {
    title: 'one at a time',
    flags: SMALL_FILES,
    sizes: { least: 10, most: 4_000 },
    pace: { window: 1 },
  },
  {
    title: 'defaults',
    flags: [],
    sizes: { least: 10, most: 1_000 },
    pace: { window: 50 },
  },
];
