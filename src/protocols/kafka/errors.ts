/** How each error of the catalogue is said in the Kafka protocol. Complete by its type. */
import { type BrokerError, ERRORS, type ErrorCode } from '#kit';
import { KAFKA } from './error-codes.ts';

const WIRE_CODES: Readonly<Record<ErrorCode, number>> = {
  malformed: KAFKA.INVALID_REQUEST,
  'not-supported': KAFKA.UNSUPPORTED_VERSION,
  'invalid-argument': KAFKA.INVALID_REQUEST,
  'invalid-name': KAFKA.INVALID_TOPIC_EXCEPTION,
  'invalid-batch': KAFKA.CORRUPT_MESSAGE,
  'old-message-format': KAFKA.UNSUPPORTED_FOR_MESSAGE_FORMAT,
  'message-too-large': KAFKA.MESSAGE_TOO_LARGE,
  'bad-credentials': KAFKA.SASL_AUTHENTICATION_FAILED,
  'not-authorized': KAFKA.TOPIC_AUTHORIZATION_FAILED,
  'unknown-stream': KAFKA.UNKNOWN_TOPIC_OR_PARTITION,
  'stream-exists': KAFKA.TOPIC_ALREADY_EXISTS,
  'unknown-queue': KAFKA.GROUP_ID_NOT_FOUND,
  'queue-locked': KAFKA.NON_EMPTY_GROUP,
  'precondition-failed': KAFKA.INVALID_REQUEST,
  'offset-out-of-range': KAFKA.OFFSET_OUT_OF_RANGE,
  'out-of-order-sequence': KAFKA.OUT_OF_ORDER_SEQUENCE_NUMBER,
  // A produce with an old epoch; PRODUCER_FENCED belongs to the transaction APIs (KIP-588).
  'stale-producer': KAFKA.INVALID_PRODUCER_EPOCH,
  'unknown-producer': KAFKA.UNKNOWN_PRODUCER_ID,
  'limit-reached': KAFKA.POLICY_VIOLATION,
  busy: KAFKA.REQUEST_TIMED_OUT,
  'storage-full': KAFKA.KAFKA_STORAGE_ERROR,
  'remote-unavailable': KAFKA.KAFKA_STORAGE_ERROR,
  'storage-failed': KAFKA.KAFKA_STORAGE_ERROR,
  // Clients retry a storage error for ever; this one reaches the reader, with the offset.
  damaged: KAFKA.CORRUPT_MESSAGE,
  closing: KAFKA.NOT_LEADER_OR_FOLLOWER,
  timeout: KAFKA.REQUEST_TIMED_OUT,
  'bad-configuration': KAFKA.INVALID_CONFIG,
};

export function wireCode(error: BrokerError): number {
  return WIRE_CODES[error.code] ?? KAFKA.UNKNOWN_SERVER_ERROR;
}

/** The same for answers of the group coordinator, where clients retry on other codes. */
export function groupWireCode(error: BrokerError): number {
  if (error.code === 'not-authorized') return KAFKA.GROUP_AUTHORIZATION_FAILED;
  return ERRORS[error.code].blame === 'client' ? wireCode(error) : KAFKA.COORDINATOR_NOT_AVAILABLE;
}
