/**
 * The quota for changes of topics (KIP-599): each partition that is made or removed counts. Newer
 * clients are refused what is beyond it and try again; older ones get it, and wait afterwards.
 */
import type { Call } from './call.ts';
import { KAFKA } from './error-codes.ts';

export const QUOTA_EXCEEDED = {
  errorCode: KAFKA.THROTTLING_QUOTA_EXCEEDED,
  errorMessage: 'The throttling quota has been exceeded.',
} as const;

export class MutationQuota {
  readonly #call: Call;
  readonly #isStrict: boolean;

  /** @param strictSince the first version of the request whose clients know the error */
  constructor(call: Call, strictSince: number) {
    this.#call = call;
    this.#isStrict = call.version >= strictSince;
  }

  /** @returns false when the change must be refused for now */
  takes(partitions: number): boolean {
    const { throttle } = this.#call.session;
    if (!this.#isStrict) {
      throttle.take(this.#call, 'definition-changes', partitions);
      return true;
    }
    const debtMs = throttle.debtMs(this.#call, 'definition-changes');
    if (debtMs > 0) {
      throttle.delay(this.#call, 'definition-changes', debtMs);
      return false;
    }
    throttle.spend(this.#call, 'definition-changes', partitions);
    return true;
  }
}
