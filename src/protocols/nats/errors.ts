/**
 * What the server says when something is wrong. Clients compare these sentences, so their wording
 * is part of the protocol (N11). `permanent` ones end the connection after they were sent.
 */
import type { ErrorCode } from '#kit';
import { FAULT } from './parser.ts';

export const SAYS = {
  unknownOperation: 'Unknown Protocol Operation',
  authorizationViolation: 'Authorization Violation',
  authenticationTimeout: 'Authentication Timeout',
  userRevoked: 'User Authentication Revoked',
  maximumPayload: 'Maximum Payload Violation',
  maximumConnections: 'Maximum Connections Exceeded',
  maximumSubscriptions: 'maximum subscriptions exceeded',
  maximumControlLine: 'Maximum Control Line Exceeded',
  invalidSubject: 'Invalid Subject',
  invalidPublishSubject: 'Invalid Publish Subject',
  parserError: 'Parser Error',
  tlsRequired: 'Secure Connection - TLS Required',
  staleConnection: 'Stale Connection',
  slowConsumer: 'Slow Consumer',
  noHeaders: 'message headers not supported',
  noRespondersNeedHeaders: 'no responders requires headers support',
  clientProtocol: 'invalid client protocol',
} as const;

/** By `FAULT`, what to say to a client whose bytes cannot be read. */
const FAULTS: Readonly<Record<number, string>> = {
  [FAULT.parser]: SAYS.parserError,
  [FAULT.operation]: SAYS.unknownOperation,
  [FAULT.controlLine]: SAYS.maximumControlLine,
  [FAULT.payload]: SAYS.maximumPayload,
};

export function faultText(fault: number | undefined): string {
  return FAULTS[fault ?? FAULT.parser] ?? SAYS.parserError;
}

/**
 * The reason that is added when the broker refuses a publish or a subscription. A client library
 * closes its connection on every error that it does not know; the one refusal that leaves it open
 * begins with `Permissions Violation`, so a full disk is told with that beginning too.
 * '' = nothing to add: the right is missing indeed.
 */
const REASONS: Readonly<Record<ErrorCode, string>> = {
  malformed: 'malformed',
  'not-supported': 'not supported',
  'invalid-argument': 'invalid argument',
  'invalid-name': 'invalid name',
  'invalid-batch': 'invalid batch',
  'old-message-format': 'old message format',
  'message-too-large': 'message too large',
  'bad-credentials': '',
  'not-authorized': '',
  'unknown-stream': 'unknown stream',
  'stream-exists': 'stream exists',
  'unknown-queue': 'unknown queue',
  'queue-locked': 'queue locked',
  'precondition-failed': 'precondition failed',
  'offset-out-of-range': 'offset out of range',
  'out-of-order-sequence': 'out of order sequence',
  'stale-producer': 'stale producer',
  'unknown-producer': 'unknown producer',
  'limit-reached': 'limit reached',
  busy: 'busy',
  'storage-full': 'storage full',
  'remote-unavailable': 'object store unavailable',
  'storage-failed': 'storage failed',
  damaged: 'damaged',
  closing: 'server shutdown',
  timeout: 'timeout',
  'bad-configuration': 'bad configuration',
};

export function publishRefused(code: ErrorCode, subject: string): string {
  return withReason(`Permissions Violation for Publish to "${subject}"`, code);
}

export function replyRefused(reply: string): string {
  return `Permissions Violation for Publish with Reply of "${reply}"`;
}

export function subscribeRefused(code: ErrorCode, subject: string, group: string): string {
  const using = group === '' ? '' : ` using queue "${group}"`;
  return withReason(`Permissions Violation for Subscription to "${subject}"${using}`, code);
}

function withReason(sentence: string, code: ErrorCode): string {
  const reason = REASONS[code];
  return reason === '' ? sentence : `${sentence} (${reason})`;
}
