/** The disk itself beside a window of one: the least that a durable acknowledgement can take. */

import { flushTimeUs } from '../facts.ts';
import type { Side } from './peer.ts';

export const disk: Side = {
  name: 'the disk',
  setting: 'write + fdatasync of 4 KiB over allocated blocks',
  durability: 'the same flush as ours',
  install() {},
  version: () => '',
  start: () => Promise.reject(new Error('a disk is not started')),
  measureUs: flushTimeUs,
};
