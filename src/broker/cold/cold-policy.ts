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
  /** Messages that a queue may have before newer ones are dropped; Infinity: none are. */
  readonly newestMax: number;
  /** Messages were dropped because queues had as many as they may. */
  dropped(messages: number): void;
  /**
   * What to store with a reference.
   * @param options of all subscriptions that match, joined bit by bit
   * @param alias all of them matched the flat name of a dotted address
   */
  meta(options: number, alias: boolean): number;
}

/** The filters that match an address. */
export interface ColdMatches {
  readonly filters: readonly number[];
  readonly aliases: readonly boolean[];
}
