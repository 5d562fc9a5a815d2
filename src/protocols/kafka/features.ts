/**
 * Features of KIP-584: what clients may switch on because all of it works here. Levels are fixed by
 * the program; there is no cluster that could disagree.
 */

export interface Feature {
  readonly name: string;
  readonly minVersion: number;
  readonly maxVersion: number;
  /** The level that holds. */
  readonly level: number;
}

export const FEATURES: readonly Feature[] = [
  // The consumer group protocol of KIP-848.
  { name: 'group.version', minVersion: 0, maxVersion: 1, level: 1 },
  // Share groups (KIP-932).
  { name: 'share.version', minVersion: 0, maxVersion: 1, level: 1 },
  // A new producer epoch with every transaction (KIP-890).
  { name: 'transaction.version', minVersion: 0, maxVersion: 2, level: 2 },
];
