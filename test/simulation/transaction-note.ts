/** What is known of one transaction of a client, and who has read of it. */
import type { Sent } from './ledger.ts';

export class TransactionNote {
  readonly id: string;
  readonly messages: Sent[] = [];
  /** `asked`: a commit was handed to the network, so it may count. */
  end: 'open' | 'asked' | 'committed' | 'aborted' = 'open';
  /** The first that got a record of it as one that counts. */
  readBy: string | null = null;

  constructor(id: string) {
    this.id = id;
  }

  /** The server still has to end it, or the client has not heard of the end. */
  get isOpen(): boolean {
    return this.end === 'open' || this.end === 'asked';
  }
}
