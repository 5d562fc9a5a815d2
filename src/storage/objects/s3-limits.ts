/** Every bound of the S3 client, with its default. Sizes in bytes, times in ms. */

export interface S3Limits {
  /**
   * An object that is larger than this is uploaded in parts of this size. At least 5 MiB on AWS.
   */
  readonly partBytes: number;
  /** Parts of one upload that are under way at a time; one more is being filled. */
  readonly partsInFlight: number;
  /** Requests under way at a time; throttling lowers it, success raises it again. */
  readonly requestsMax: number;
  /** Requests that wait for their turn; more are refused. */
  readonly waitingMax: number;
  /** How often a request is tried. */
  readonly attemptsMax: number;
  /** First and last pause before it is tried again; the real one is a random part of it. */
  readonly backoffMs: number;
  readonly backoffMsMax: number;
  /** Longest time without a byte in either direction. */
  readonly idleTimeoutMs: number;
  /** Longest time of one try. */
  readonly requestTimeoutMs: number;
  /** Keys in one page of a list. */
  readonly pageKeys: number;
  /** Parts of uploads that were begun longer ago, and never ended, are removed. */
  readonly unfinishedMs: number;
}

export const S3_LIMITS: S3Limits = {
  partBytes: 8 * 2 ** 20,
  partsInFlight: 2,
  requestsMax: 16,
  waitingMax: 4_096,
  attemptsMax: 5,
  backoffMs: 100,
  backoffMsMax: 5_000,
  idleTimeoutMs: 10_000,
  requestTimeoutMs: 60_000,
  pageKeys: 1_000,
  unfinishedMs: 86_400_000,
};
