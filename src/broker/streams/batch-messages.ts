/** From a stored batch to the messages that all protocols can read. */
import type { StoredBatch } from '#storage';
import { flatAddress } from '../addresses/address.ts';
import { SERVER_PRINCIPAL } from '../principals/principal.ts';
import { readEnvelope, readPlainHeaders, repeatEnvelope } from '../records/envelope.ts';
import { type Header, Message } from '../records/message.ts';
import { originOf } from '../records/origin.ts';
import { readRecords, type StoredRecord } from '../records/record-batch.ts';
import { LAST_VALUES, placeLastValue } from './last-values-stream.ts';
import type { Partition } from './partition.ts';

const SERVER_PACKED_ORIGIN = originOf('server');

interface BatchHost {
  /** Bound for what one compressed batch may become when it is opened. */
  readonly openedBytesMax: number;
  principalOf(id: number): Message['principal'];
}

/**
 * @throws ProtocolError when the records are not what the batch says
 * @throws BrokerError `message-too-large` when it would open to too much
 */
export function messagesOf(batch: StoredBatch, partition: Partition, host: BatchHost): Message[] {
  const records = readRecords(batch.bytes, batch.baseOffset, host.openedBytesMax);
  const home = flatAddress(partition.stream.name);
  let known: Message['principal'] = SERVER_PRINCIPAL;
  let lastPrincipal = -1;
  let before: Message | null = null;
  let lastHeaders: readonly Header[] | null = null;
  return records.map((record) => {
    const message = messageOf(record, batch, partition, home);
    const { headers } = record;
    let principal = -1;
    if (before !== null && headers === lastHeaders) {
      principal = repeatEnvelope(message, before, headers);
    } else if (batch.serverPacked) principal = readEnvelope(message, headers);
    before = principal === -1 ? null : message;
    lastHeaders = headers;
    if (principal === -1) principal = readProducers(message, headers, batch, partition);
    if (principal !== lastPrincipal) known = host.principalOf(principal);
    lastPrincipal = principal;
    message.principal = known;
    return message;
  });
}

function messageOf(
  { value, key, timeMs, offset }: StoredRecord,
  { origin, appendTimeMs }: StoredBatch,
  partition: Partition,
  home: Message['address'],
): Message {
  const message = new Message(home, value, origin);
  message.key = key;
  message.timestampMs = timeMs;
  message.partition = partition;
  message.offset = offset;
  message.appendTimeMs = appendTimeMs;
  return message;
}

/** A record as its producer wrote it. @returns the principal's id */
function readProducers(
  message: Message,
  headers: readonly Header[],
  { origin, principal }: StoredBatch,
  { stream }: Partition,
): number {
  message.qos = 1;
  message.origin = origin === SERVER_PACKED_ORIGIN ? message.origin : origin;
  readPlainHeaders(message, headers);
  if (stream.name === LAST_VALUES) placeLastValue(message);
  return principal;
}
