/** How each code of the error catalogue is said in MQTT: one reason code per error code. */
import { type BrokerError, type ErrorCode, ProtocolError } from '#kit';
import { REASON } from './codec/index.ts';

/** Version 5 reason codes; CONNACK of 3.x takes its return code from the reason's own row. */
const REASON_OF: Readonly<Record<ErrorCode, number>> = {
  malformed: REASON.malformedPacket,
  'not-supported': REASON.implementationError,
  'invalid-argument': REASON.protocolError,
  'invalid-name': REASON.topicNameInvalid,
  'invalid-batch': REASON.unspecifiedError,
  'old-message-format': REASON.unspecifiedError,
  'message-too-large': REASON.packetTooLarge,
  'bad-credentials': REASON.badUserNameOrPassword,
  'not-authorized': REASON.notAuthorized,
  'unknown-stream': REASON.topicNameInvalid,
  'stream-exists': REASON.implementationError,
  'unknown-queue': REASON.implementationError,
  'queue-locked': REASON.implementationError,
  'precondition-failed': REASON.implementationError,
  'offset-out-of-range': REASON.unspecifiedError,
  'out-of-order-sequence': REASON.unspecifiedError,
  'stale-producer': REASON.unspecifiedError,
  'unknown-producer': REASON.unspecifiedError,
  'limit-reached': REASON.quotaExceeded,
  busy: REASON.serverBusy,
  'storage-full': REASON.quotaExceeded,
  'remote-unavailable': REASON.serverBusy,
  'storage-failed': REASON.unspecifiedError,
  damaged: REASON.unspecifiedError,
  closing: REASON.serverShuttingDown,
  timeout: REASON.unspecifiedError,
  'bad-configuration': REASON.implementationError,
};

/** The reason for an error: the one that the decoder named, else the row of its code. */
export function reasonOf(error: BrokerError): number {
  if (error instanceof ProtocolError && error.wireCode !== undefined) return error.wireCode;
  return REASON_OF[error.code];
}

/** PUBACK and PUBREC know fewer reasons (3.4.2.1): what they lack becomes one of theirs. */
const ACK_REASONS: ReadonlySet<number> = new Set([
  REASON.notAuthorized,
  REASON.topicNameInvalid,
  REASON.quotaExceeded,
  REASON.implementationError,
]);

export function ackReasonOf(error: BrokerError): number {
  const reason = reasonOf(error);
  if (reason === REASON.packetTooLarge) return REASON.implementationError;
  return ACK_REASONS.has(reason) ? reason : REASON.unspecifiedError;
}

/**
 * Refusals that the same message would always meet again. A 3.x client, which cannot be told no,
 * gets its acknowledgement for them; without it, it would come back with the message for ever.
 */
export function isFinal(reason: number): boolean {
  return (
    reason === REASON.notAuthorized ||
    reason === REASON.topicNameInvalid ||
    reason === REASON.implementationError ||
    reason === REASON.packetIdInUse
  );
}
