/**
 * The error catalogue: every failure that the world (a client, a disk, a configuration) can cause.
 * One row per code; `docs/errors.md` is compared with it by a test, and every protocol room maps
 * each code to its own wire code in a complete `Record<ErrorCode, …>`.
 * A mistake of ours is not in here: that is a plain `Error` from `assert`, and it ends loudly.
 */

/** Whose fault it is: decides what is logged, and whether a client is told or closed. */
export type Blame = 'client' | 'server' | 'operator';

interface ErrorRow {
  readonly sentence: string;
  /** True when the same request may succeed later without a change by the client. */
  readonly retriable: boolean;
  readonly blame: Blame;
}

const row = (sentence: string, retriable: boolean, blame: Blame): ErrorRow => ({
  sentence,
  retriable,
  blame,
});

export const ERRORS = {
  malformed: row('The bytes do not form a valid frame of this protocol.', false, 'client'),
  'not-supported': row(
    'The request is valid but this server does not support it.',
    false,
    'client',
  ),
  'invalid-argument': row('A value of the request is outside what is allowed.', false, 'client'),
  'invalid-name': row('The name cannot be used for this kind of thing.', false, 'client'),
  'invalid-batch': row(
    'The record batch is corrupt or breaks the rules of its format.',
    false,
    'client',
  ),
  'old-message-format': row('The message format is older than the server stores.', false, 'client'),
  'message-too-large': row(
    'The message is larger than the stream or the server accepts.',
    false,
    'client',
  ),
  'bad-credentials': row('The user name or the password is wrong.', false, 'client'),
  'not-authorized': row('The principal has no right to do this here.', false, 'client'),
  'unknown-stream': row('There is no stream or partition of this name.', true, 'client'),
  'stream-exists': row('A stream of this name exists already.', false, 'client'),
  'unknown-queue': row('There is no queue of this name.', false, 'client'),
  'queue-locked': row('The queue is in exclusive use by another connection.', false, 'client'),
  'precondition-failed': row(
    'The thing exists with other settings, or is not in the needed state.',
    false,
    'client',
  ),
  'offset-out-of-range': row(
    'The offset lies before the start or after the end of the log.',
    false,
    'client',
  ),
  'out-of-order-sequence': row('The producer skipped a sequence number.', false, 'client'),
  'stale-producer': row('A newer producer with the same id has taken over.', false, 'client'),
  'unknown-producer': row('The producer id is not known to this log any more.', false, 'client'),
  'limit-reached': row('A configured limit was reached.', true, 'operator'),
  busy: row('Too many bytes wait to be stored; slow down and try again.', true, 'server'),
  'storage-full': row(
    'The disk is full; appends are refused until space returns.',
    true,
    'operator',
  ),
  'storage-failed': row(
    'The disk failed a write or a sync; the server serves reads only.',
    false,
    'operator',
  ),
  'remote-unavailable': row(
    'The object store cannot be reached; what lies only there cannot be read now.',
    true,
    'operator',
  ),
  damaged: row(
    'Stored data in this range fails its checksum and is not served.',
    false,
    'operator',
  ),
  closing: row('The server is stopping.', true, 'server'),
  timeout: row('The request was not finished in its time.', true, 'server'),
  'bad-configuration': row('The configuration is not valid.', false, 'operator'),
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERRORS;

export const ERROR_CODES = Object.keys(ERRORS) as ErrorCode[];

/**
 * The one error class for everything in the catalogue. `message` is the row's sentence plus detail.
 */
export class BrokerError extends Error {
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    code: ErrorCode,
    detail = '',
    details: Readonly<Record<string, unknown>> = {},
    cause?: unknown,
  ) {
    const { sentence } = ERRORS[code];
    super(detail === '' ? sentence : `${sentence} ${detail}`, cause === undefined ? {} : { cause });
    this.name = 'BrokerError';
    this.code = code;
    this.details = details;
  }

  get retriable(): boolean {
    return ERRORS[this.code].retriable;
  }
}

/** Malformed input of a protocol: names the field and the byte where it was seen. */
export class ProtocolError extends BrokerError {
  /** Name of the field that could not be read, as the protocol's specification calls it. */
  readonly field: string;
  /** Byte offset inside the frame or packet. */
  readonly at: number;
  /**
   * The protocol's own code for it, when the specification demands one (an MQTT reason code, say).
   */
  readonly wireCode: number | undefined;

  constructor(field: string, at: number, detail: string, wireCode?: number) {
    super('malformed', `${field} at byte ${at}: ${detail}`, { field, at });
    this.name = 'ProtocolError';
    this.field = field;
    this.at = at;
    this.wireCode = wireCode;
  }
}

/** Throws when a statement that our own code guarantees does not hold. Never for bad input. */
export function assert(condition: unknown, statement: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${statement}`);
}

/** Narrows an unknown thrown value to the catalogue's class; anything else is thrown on. */
export function expectBrokerError(error: unknown): BrokerError {
  if (error instanceof BrokerError) return error;
  throw error;
}
