/** Which slot a name belongs to, and ids of logs in a slot: no counter is shared between owners. */
import type { Random } from '#kit';
import { LOG_IDS_PER_SLOT, type LogEngine, SLOT_COUNT } from '#storage';

/** Ids below are internal logs with fixed numbers. */
const FIRST_LOG = 1024;

/** FNV-1a over the UTF-16 units: stable, cheap, spread well enough over 1 024 slots. */
export function slotOfName(name: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < name.length; index++) {
    hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193);
  }
  return (hash >>> 0) % SLOT_COUNT;
}

/** Number of a log in the slot of a name: for questions about its owner. */
export function homeOfName(name: string): number {
  return slotOfName(name) * LOG_IDS_PER_SLOT;
}

/** A random id that no log of this engine has. */
export function newLogId(slot: number, engine: LogEngine, random: Random): number {
  while (true) {
    const id =
      slot * LOG_IDS_PER_SLOT +
      FIRST_LOG +
      (random.bytes(5).readUIntBE(0, 5) % (LOG_IDS_PER_SLOT - FIRST_LOG));
    if (!engine.has(id)) return id;
  }
}

/** What is appended in one stretch shares its commit, whatever slots it is of. */
export function hasOneOwner(engine: LogEngine): boolean {
  for (let slot = 1; slot < SLOT_COUNT; slot++) {
    if (!engine.sameOwner(0, slot * LOG_IDS_PER_SLOT)) return false;
  }
  return true;
}
