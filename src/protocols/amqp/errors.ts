/**
 * What this protocol says when something fails: AMQP's reply codes, which of them end the channel
 * and which the connection, the reply code for every code of the catalogue, and reply texts in the
 * words of RabbitMQ, because clients and their tests look for parts of them.
 */
import type { BrokerError, ErrorCode } from '#kit';

/** Name of each reply code as it stands in front of a reply text; hard ones end the connection. */
export const REPLY = {
  200: { name: 'OK', hard: false },
  311: { name: 'CONTENT_TOO_LARGE', hard: false },
  312: { name: 'NO_ROUTE', hard: false },
  313: { name: 'NO_CONSUMERS', hard: false },
  320: { name: 'CONNECTION_FORCED', hard: true },
  402: { name: 'INVALID_PATH', hard: true },
  403: { name: 'ACCESS_REFUSED', hard: false },
  404: { name: 'NOT_FOUND', hard: false },
  405: { name: 'RESOURCE_LOCKED', hard: false },
  406: { name: 'PRECONDITION_FAILED', hard: false },
  501: { name: 'FRAME_ERROR', hard: true },
  502: { name: 'SYNTAX_ERROR', hard: true },
  503: { name: 'COMMAND_INVALID', hard: true },
  504: { name: 'CHANNEL_ERROR', hard: true },
  505: { name: 'UNEXPECTED_FRAME', hard: true },
  506: { name: 'RESOURCE_ERROR', hard: true },
  530: { name: 'NOT_ALLOWED', hard: true },
  540: { name: 'NOT_IMPLEMENTED', hard: true },
  541: { name: 'INTERNAL_ERROR', hard: true },
} as const satisfies Record<number, { readonly name: string; readonly hard: boolean }>;

export type ReplyCode = keyof typeof REPLY;

/** Ends the channel or, by its code, the connection. `message` is the whole reply text. */
export class AmqpError extends Error {
  readonly replyCode: ReplyCode;
  readonly hard: boolean;

  constructor(replyCode: ReplyCode, detail: string, hard: boolean = REPLY[replyCode].hard) {
    super(`${REPLY[replyCode].name} - ${detail}`);
    this.name = 'AmqpError';
    this.replyCode = replyCode;
    this.hard = hard;
  }
}

const REPLY_CODES: Readonly<Record<ErrorCode, ReplyCode>> = {
  malformed: 502,
  'not-supported': 540,
  'invalid-argument': 406,
  'invalid-name': 406,
  'invalid-batch': 541,
  'old-message-format': 541,
  'message-too-large': 406,
  'bad-credentials': 403,
  'not-authorized': 403,
  'unknown-stream': 404,
  'stream-exists': 406,
  'unknown-queue': 404,
  'queue-locked': 405,
  'precondition-failed': 406,
  'offset-out-of-range': 406,
  'out-of-order-sequence': 541,
  'stale-producer': 541,
  'unknown-producer': 541,
  'limit-reached': 406,
  busy: 506,
  'storage-full': 506,
  'remote-unavailable': 506,
  'storage-failed': 541,
  damaged: 541,
  closing: 320,
  timeout: 541,
  'bad-configuration': 541,
};

/** A failure of the broker as this protocol reports it. */
export function amqpError(error: BrokerError): AmqpError {
  return new AmqpError(REPLY_CODES[error.code], error.message);
}

const VHOST = "in vhost '/'";

export const named = {
  queue: (name: string): string => `queue '${name}' ${VHOST}`,
  exchange: (name: string): string => `exchange '${name}' ${VHOST}`,
};

export const refusal = {
  noQueue: (name: string) => new AmqpError(404, `no ${named.queue(name)}`),
  noExchange: (name: string) => new AmqpError(404, `no ${named.exchange(name)}`),
  noLastQueue: () => new AmqpError(404, 'no previously declared queue'),
  defaultExchange: () => new AmqpError(403, 'operation not permitted on the default exchange'),
  reserved: (kind: 'queue' | 'exchange', name: string) =>
    new AmqpError(403, `${kind} name '${name}' contains reserved prefix 'amq.*'`),
  locked: (name: string) =>
    new AmqpError(
      405,
      `cannot obtain exclusive access to locked ${named.queue(name)}. It could be originally ` +
        'declared on another connection or the exclusive property value does not match that of ' +
        'the original declaration.',
    ),
  inUse: (what: string) => new AmqpError(406, `${what} in use`),
  notEmpty: (what: string) => new AmqpError(406, `${what} not empty`),
  exclusiveUse: (name: string) => new AmqpError(403, `${named.queue(name)} in exclusive use`),
  unknownTag: (tag: number) => new AmqpError(406, `unknown delivery tag ${tag}`),
  inequivalent: (what: string, field: string, received: string, current: string) =>
    new AmqpError(
      406,
      `inequivalent arg '${field}' for ${what}: received ${received} but current is ${current}`,
    ),
  invalidArgument: (what: string, field: string, reason: string) =>
    new AmqpError(406, `invalid arg '${field}' for ${what}: ${reason}`),
  argumentNotSupported: (what: string, field: string, reason: string) =>
    new AmqpError(540, `arg '${field}' for ${what} is not supported by this server: ${reason}`),
  access: (kind: 'configure' | 'write' | 'read', what: string, user: string) =>
    new AmqpError(403, `${kind} access to ${what} refused for user '${user}'`),
} as const;
