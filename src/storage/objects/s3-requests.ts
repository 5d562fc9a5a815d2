/**
 * Requests that are repeated when that can help: after a lost connection, a stall, a 5xx, a
 * throttled answer; with growing random pauses. What the bucket refuses for good is a failure at
 * once.
 */
import {
  BrokerError,
  type Clock,
  type Counter,
  type Metrics,
  type Random,
  type Timer,
  type Timers,
} from '#kit';
import { isSystemError } from '../files/files.ts';
import { type S3Answer, S3Http, type S3Place, type S3Request } from './s3-http.ts';
import type { S3Limits } from './s3-limits.ts';
import { Pace } from './s3-pace.ts';
import { textIn } from './s3-xml.ts';

export interface S3Parts {
  readonly place: S3Place;
  readonly limits: S3Limits;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly metrics: Metrics;
}

const THROTTLED = new Set(['SlowDown', 'SlowDownRead', 'SlowDownWrite', 'ServiceUnavailable']);
const PASSING = new Set(['RequestTimeout', 'InternalError', 'OperationAborted']);
const STATUS = { notFound: 404, timeout: 408, conflict: 409, tooMany: 429, firstOfServer: 500 };
const BUSY_STATUS = 503;
const RETRY_AFTER_MS_MAX = 30_000;

/** An answer that is no success, or none at all. */
export class S3Failure extends Error {
  readonly status: number;
  /** The bucket's own word, such as `NoSuchKey`; empty when it said none. */
  readonly word: string;
  readonly passing: boolean;
  readonly retryAfterMs: number;

  constructor(message: string, status: number, word: string, passing: boolean, retryAfterMs = 0) {
    super(message);
    this.status = status;
    this.word = word;
    this.passing = passing;
    this.retryAfterMs = retryAfterMs;
  }

  get throttled(): boolean {
    return (
      this.status === BUSY_STATUS || this.status === STATUS.tooMany || THROTTLED.has(this.word)
    );
  }
}

/** What is wrong with an answer of status 2xx; null when it is as it should be. */
export type Fault = (answer: S3Answer) => S3Failure | null;

export class S3Requests {
  readonly #parts: S3Parts;
  readonly #http: S3Http;
  readonly #pace: Pace;
  readonly #pauses = new Set<{ timer: Timer; end: () => void }>();
  readonly #counts: { requests: Counter; retries: Counter; throttled: Counter };
  #closed = false;

  constructor(parts: S3Parts) {
    const { place, limits, clock, timers, metrics } = parts;
    this.#parts = parts;
    this.#http = new S3Http(place, limits, clock, timers);
    this.#pace = new Pace(limits, clock, timers);
    const counter = (what: string, help: string): Counter =>
      metrics.counter(`robustmq_storage_remote_${what}_total`, help);
    this.#counts = {
      requests: counter('requests', 'Requests to the object store, tries included.'),
      retries: counter('retries', 'Requests to the object store that were tried again.'),
      throttled: counter('throttled', 'Times that the object store asked to slow down.'),
    };
  }

  /**
   * Rejects with `S3Failure` when all tries failed or another one cannot help.
   * @param failed told of each failure that is followed by another try
   */
  async send(request: S3Request, fault: Fault = noFault, failed?: () => void): Promise<S3Answer> {
    const { limits } = this.#parts;
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.#try(request, fault);
      if (!(outcome instanceof S3Failure)) return outcome;
      if (!outcome.passing || attempt >= limits.attemptsMax || this.#closed) throw outcome;
      failed?.();
      this.#counts.retries.add();
      await this.#pause(Math.max(this.#backoff(attempt), outcome.retryAfterMs));
    }
  }

  close(): void {
    this.#closed = true;
    for (const { timer, end } of this.#pauses) {
      timer.cancel();
      end();
    }
    this.#pauses.clear();
    this.#pace.close();
    this.#http.close();
  }

  async #try(request: S3Request, fault: Fault): Promise<S3Answer | S3Failure> {
    await this.#pace.enter();
    this.#counts.requests.add();
    try {
      const answer = await this.#http.roundTrip(request);
      const failure = answer.status < 300 ? fault(answer) : failureOf(answer);
      if (failure === null) {
        this.#pace.succeeded();
        return answer;
      }
      if (failure.throttled) {
        this.#counts.throttled.add();
        this.#pace.throttled(Math.max(this.#backoff(1), failure.retryAfterMs));
      }
      return failure;
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      const said = isSystemError(error) ? `${error.code} ${error.message}` : error.message;
      return new S3Failure(said, 0, '', true);
    } finally {
      this.#pace.leave();
    }
  }

  /** A random part of a time that doubles. */
  #backoff(attempt: number): number {
    const { limits, random } = this.#parts;
    const longest = Math.min(limits.backoffMsMax, limits.backoffMs * 2 ** attempt);
    return longest * (0.5 + random.next() / 2);
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        this.#pauses.delete(pause);
        resolve();
      };
      const pause = { timer: this.#parts.timers.after(delayMs, end), end };
      this.#pauses.add(pause);
    });
  }
}

/** How a failure looks to who uses the store. */
export function unavailable(error: unknown): unknown {
  if (!(error instanceof S3Failure)) return error;
  const { status, word } = error;
  return new BrokerError('remote-unavailable', error.message, { status, word }, error);
}

export function isMissing(error: unknown, word: string): boolean {
  return error instanceof S3Failure && error.status === STATUS.notFound && error.word === word;
}

/** An explained failure, also when it comes with status 200. */
export function failureOf({ status, headers, body }: S3Answer): S3Failure {
  const xml = body.toString('utf8');
  const word = textIn(xml, 'Code') || (status === STATUS.notFound ? 'NoSuchKey' : '');
  const message = `${[status, word, textIn(xml, 'Message')].filter(Boolean).join(' ')}.`;
  const passing =
    status >= STATUS.firstOfServer ||
    status === STATUS.timeout ||
    status === STATUS.tooMany ||
    THROTTLED.has(word) ||
    PASSING.has(word);
  const seconds = Number(headers['retry-after']);
  const retryAfterMs = seconds > 0 ? Math.min(RETRY_AFTER_MS_MAX, seconds * 1_000) : 0;
  return new S3Failure(message, status, word, passing, retryAfterMs);
}

function noFault(): null {
  return null;
}
