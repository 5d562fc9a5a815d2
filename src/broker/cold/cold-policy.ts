/** What a protocol decides about its queues that are not in memory. */

import type { Pattern } from '../addresses/pattern.ts';
import type { QueueSettings } from '../queues/queue-settings.ts';
import type { Message } from '../records/message.ts';

export interface ColdSubscription {
  readonly pattern: Pattern;
  /** 0 to 255, the protocol's own. */
  readonly options: number;
}

export interface ColdPolicy {
  /** Of a queue that is made when there are too many messages to wait without one. */
  readonly settings: QueueSettings;
  /** False: no such queue gets this message. */
  wants(message: Message): boolean;
  /**
   * What to store with a reference; null: do not route it there.
   * @param options of all subscriptions that match, joined bit by bit
   * @param alias all of them matched the flat name of a dotted address
   * @param length messages that wait for it already
   */
  meta(message: Message, options: number, alias: boolean, length: number): number | null;
}

/** The filters that match an address. */
export interface ColdMatches {
  readonly filters: readonly number[];
  readonly aliases: readonly boolean[];
}
