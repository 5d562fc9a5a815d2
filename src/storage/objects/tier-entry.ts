/** One object of the tiered store, as it is held in memory. */
import type { Seal } from './tier-codec.ts';
import { remoteName } from './tier-codec.ts';

export class TierEntry {
  readonly name: string;
  readonly seal: Seal;
  /** Its name in the bucket. */
  readonly remoteName: string;
  /** The whole object lies on the local disk. */
  local: boolean;
  /** It is in the bucket, and the local disk knows: its tail lies there on its own. */
  uploaded: boolean;
  /** The bucket may have something of it. */
  begun: boolean;
  /** Its local bytes are not what was written: it is not uploaded. */
  spoiled = false;
  /** The tail on the local disk fails its checksum: it is asked of the bucket. */
  tailSpoiled = false;
  /** Deleted, or replaced. */
  gone = false;
  /** Bytes that were fetched from the bucket since it lies only there. */
  fetchedBytes = 0;

  constructor(
    name: string,
    seal: Seal,
    state: { local: boolean; uploaded: boolean; begun: boolean },
  ) {
    this.name = name;
    this.seal = seal;
    this.remoteName = remoteName({ name, id: seal.id });
    this.local = state.local;
    this.uploaded = state.uploaded;
    this.begun = state.begun;
  }

  get bytes(): number {
    return this.seal.contentBytes;
  }

  /** Where its tail begins. */
  get tailAt(): number {
    return this.seal.contentBytes - this.seal.tailBytes;
  }

  get waits(): boolean {
    return this.local && !this.uploaded && !this.spoiled && !this.gone;
  }

  get evictable(): boolean {
    return this.local && this.uploaded && !this.gone;
  }
}
