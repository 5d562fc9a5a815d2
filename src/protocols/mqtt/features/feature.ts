/** What a feature is: something beside the message path that admin may ask and that ends. */
import type { Message, Pattern } from '#broker';
import type { Action } from '#contract';

export interface Feature {
  /** Routes under `/api/v1/mqtt/`. */
  readonly actions: readonly Action[];
  /** Values that a new subscription gets like retained messages, although nothing keeps them. */
  retained?(pattern: Pattern): Iterable<Message>;
  close?(): void;
}
