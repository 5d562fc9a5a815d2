/** What is known of one transaction of a client, and who has read of it. */
import type { Sent } from './ledger.ts';

export class TransactionNote {
  readonly id: string;
  readonly messages: Sent[] = [];
  /** `asked`: a commit was handed to the network, so it may count. */
  end: 'open' | 'asked' | 'committed' | 'aborted' = 'open';
  /** When its client heard of the end. */
  endedMs = Number.POSITIVE_INFINITY;
  /** The first that got a record of it as one that counts. */
  readBy: string | null = null;

  constructor(id: string) {
    this.id = id;
  }

  /** At that time the server still had to end it, or its client had not heard of the end. */
  wasOpen(atMs: number): boolean {
    return this.endedMs >= atMs;
  }
}
