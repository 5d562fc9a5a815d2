/**
 * Every connection takes a file descriptor, and so do the data files: connections must not use up
 * the last ones, or a rush of clients would look like a failing disk.
 */
import { readFileSync } from 'node:fs';
import type { Log } from '#kit';

/** Descriptors kept back for data files, the catalogue and the runtime. */
const FILES_RESERVED = 256;

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

/** The configured number of connections, or what the descriptors allow when that is less. */
export function connectionsWithin(configured: number, filesMax: number | null, log: Log): number {
  if (filesMax === null || configured <= filesMax - FILES_RESERVED) return configured;
  const allowed = Math.max(1, filesMax - FILES_RESERVED);
  log.debug('fewer connections than configured: the limit of open files is low', {
    configured,
    allowed,
    openFiles: filesMax,
  });
  return allowed;
}
