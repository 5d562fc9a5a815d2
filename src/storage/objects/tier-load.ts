/** What a tiered store finds on its local disk when it starts: the only memory that it has. */
import { crc32c, type Log } from '#kit';
import type { ObjectStore } from './object-store.ts';
import {
  type Doomed,
  decodeGone,
  decodeSeal,
  GONE_PREFIX,
  looksLikeSeal,
  nameOfTail,
  OWN_PREFIX,
  remoteName,
  SEAL_BYTES,
  type Seal,
  TAIL_PREFIX,
} from './tier-codec.ts';
import { TierEntry } from './tier-entry.ts';

/** Objects that are looked at at the same time. */
const PARALLEL = 8;
/** Stands for an id that is not known: of bytes that cannot be moved. */
const NO_ID = '0'.repeat(32);

export interface LoadedTier {
  readonly entries: TierEntry[];
  /** Lists of deletes that are to be done, by the local object that holds them. */
  readonly gone: Map<string, Doomed[]>;
  /** Replaced by another object of their name, which the end came too early to write down. */
  readonly replaced: Doomed[];
  /** Leftovers of a crash, to be removed. */
  readonly leftovers: string[];
}

export async function loadTier(
  local: ObjectStore,
  remotePrefix: string,
  log: Log,
): Promise<LoadedTier> {
  const gone = new Map<string, Doomed[]>();
  for (const { name, bytes } of await local.list(GONE_PREFIX)) {
    const doomed = decodeGone(await local.get(name, 0, bytes));
    if (doomed !== null) gone.set(name, doomed);
    else log.error('a list of deletes is damaged; the bucket keeps more than needed', { name });
  }
  const doomed = new Set([...gone.values()].flat().map(remoteName));
  const leftovers: string[] = [];
  const replaced: Doomed[] = [];
  const entries = new Map<string, TierEntry>();
  const objects = await local.list(remotePrefix);
  const wholes = objects.filter(({ name }) => !name.startsWith(OWN_PREFIX));
  await inParallel(wholes, async ({ name, bytes }) => {
    const entry = await wholeEntry(local, name, bytes, log);
    if (doomed.has(entry.remoteName)) leftovers.push(name);
    else entries.set(name, entry);
  });
  await inParallel(await local.list(TAIL_PREFIX), async ({ name: tail, bytes }) => {
    const name = nameOfTail(tail);
    const stored = await local.get(tail, 0, bytes);
    const seal = decodeSeal(stored.subarray(0, SEAL_BYTES));
    const known = entries.get(name);
    if (seal === null) {
      log.error('what is known of an object in the bucket is damaged', { name });
      return;
    }
    if (doomed.has(remoteName({ name, id: seal.id }))) {
      leftovers.push(tail);
    } else if (known === undefined || known.seal.id === seal.id) {
      const entry =
        known ?? new TierEntry(name, seal, { local: false, uploaded: true, begun: true });
      entry.uploaded = true;
      const end = stored.subarray(SEAL_BYTES);
      entry.tailSpoiled = end.length !== seal.tailBytes || crc32c(end) !== seal.tailCrc;
      entries.set(name, entry);
    } else {
      replaced.push({ name, id: seal.id });
      leftovers.push(tail);
    }
  });
  return { entries: [...entries.values()].sort(byName), gone, replaced, leftovers };
}

async function wholeEntry(local: ObjectStore, name: string, bytes: number, log: Log) {
  const end = await local.get(name, Math.max(0, bytes - SEAL_BYTES), SEAL_BYTES);
  const wasSeal = looksLikeSeal(end);
  const seal = decodeSeal(end);
  const state = { local: true, uploaded: false, begun: true };
  if (seal !== null) return new TierEntry(name, seal, state);
  // Its bytes can still be served; but it cannot be told what they should be.
  const contentBytes = wasSeal ? bytes - SEAL_BYTES : bytes;
  const unknown: Seal = { id: NO_ID, contentBytes, tailBytes: 0, contentCrc: 0, tailCrc: 0 };
  log.error('an object has lost its seal; it stays on the local disk', { name });
  const entry = new TierEntry(name, unknown, { ...state, begun: false });
  entry.spoiled = true;
  return entry;
}

async function inParallel<T>(all: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  for (let first = 0; first < all.length; first += PARALLEL) {
    await Promise.all(all.slice(first, first + PARALLEL).map(work));
  }
}

function byName(a: TierEntry, b: TierEntry): number {
  return a.name < b.name ? -1 : 1;
}
