/**
 * Every connection takes a file descriptor, and so do the data files: connections must not use up
 * the last ones, or a rush of clients would look like a failing disk.
 */
import { readFileSync } from 'node:fs';
import type { Log } from '#kit';

/** Segments that stay open, where there are descriptors for as many. */
const SEGMENTS_OPEN_MAX = 512;
/** Of fewer descriptors this part. */
const SEGMENTS_SHARE = 1 / 8;
const SEGMENTS_OPEN_MIN = 16;
/** Descriptors kept back for other data files, the catalogue and the runtime. */
const OTHERS_RESERVED = 128;

/** How many descriptors this process may have, or null where that is not known. */
export function openFilesMax(): number | null {
  try {
    const limits = readFileSync('/proc/self/limits', 'utf8');
    const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
    return soft === undefined ? null : Number(soft);
  } catch {
    return null;
  }
}

/** How many segments the storage engine keeps open; connections leave descriptors for these. */
export function segmentsWithin(filesMax: number | null): number {
  if (filesMax === null) return SEGMENTS_OPEN_MAX;
  const share = Math.floor(filesMax * SEGMENTS_SHARE);
  return Math.max(SEGMENTS_OPEN_MIN, Math.min(SEGMENTS_OPEN_MAX, share));
}

/** The configured number of connections, or what the descriptors allow when that is less. */
export function connectionsWithin(configured: number, filesMax: number | null, log: Log): number {
  const reserved = OTHERS_RESERVED + segmentsWithin(filesMax);
  if (filesMax === null || configured <= filesMax - reserved) return configured;
  const allowed = Math.max(1, filesMax - reserved);
  log.debug('fewer connections than configured: the limit of open files is low', {
    configured,
    allowed,
    openFiles: filesMax,
  });
  return allowed;
}
