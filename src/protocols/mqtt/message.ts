/**
 * How a PUBLISH becomes a message of the broker and back (docs/mapping.md, "The record"). User
 * properties are headers; some names stand for fields that MQTT has no property for.
 */
import {
  type Address,
  Message,
  originOf,
  readShownHeaders,
  type ShownHeader,
  shownHeaders,
} from '#broker';
import {
  fillProperties,
  NO_PROPERTIES,
  PacketReader,
  PacketWriter,
  type Properties,
  PUBLISH,
  readProperties,
  type UserProperty,
} from './codec/index.ts';

const MQTT_ORIGIN: number = originOf('mqtt');

const native = new PacketWriter();

export function messageOf(
  address: Address,
  payload: Buffer,
  qos: 0 | 1 | 2,
  retain: boolean,
  properties: Properties,
  nowMs: number,
): Message {
  const message = new Message(address, payload, MQTT_ORIGIN);
  message.qos = qos;
  message.retain = retain;
  if (properties !== NO_PROPERTIES) readInto(message, properties, nowMs);
  return message;
}

function readInto(message: Message, from: Properties, nowMs: number): void {
  message.text = from.payloadFormat === 1;
  if (from.messageExpirySec !== undefined) {
    message.expiresAtMs = nowMs + from.messageExpirySec * 1000;
  }
  message.contentType = from.contentType ?? '';
  message.replyTo = from.responseTopic ?? '';
  message.correlation = from.correlationData ?? null;
  let exact = from.payloadFormat !== 0 && from.contentType !== '';
  if (from.userProperties !== undefined) {
    const rest: ShownHeader[] = [];
    for (const [name, value] of from.userProperties) {
      if (readField(message, name, value)) exact = false;
      else rest.push({ name, value });
    }
    if (rest.length > 0) message.headers = readShownHeaders(rest);
  }
  // What the fields do not show in its old place is kept as it came, for MQTT readers.
  if (!exact) message.native = forwarded(from);
}

/** The bytes of the properties that travel with the message. */
function forwarded(from: Properties): Buffer {
  const travelling: Properties = { ...from };
  delete travelling.messageExpirySec;
  delete travelling.topicAlias;
  delete travelling.subscriptionIds;
  delete travelling.willDelaySec;
  native.reset();
  fillProperties(native, travelling);
  return Buffer.from(native.bytes.subarray(0, native.at));
}

/**
 * User properties that are fields; the first of a name counts, a value that does not fit stays.
 */
function readField(message: Message, name: string, value: string): boolean {
  switch (name) {
    case 'key':
      if (message.key !== null) return false;
      message.key = Buffer.from(value);
      return true;
    case 'message-id':
      if (message.messageId !== '' || value === '') return false;
      message.messageId = value;
      return true;
    case 'content-encoding':
      if (message.contentEncoding !== '' || value === '') return false;
      message.contentEncoding = value;
      return true;
    case 'timestamp':
      if (message.timestampMs >= 0 || !/^\d{1,15}$/.test(value)) return false;
      message.timestampMs = Number(value);
      return true;
    case 'priority':
      if (message.priority >= 0 || !/^\d{1,3}$/.test(value) || Number(value) > 255) return false;
      message.priority = Number(value);
      return true;
    default:
      return false;
  }
}

/**
 * Puts the message's own properties into the writer: what is the same for every receiver, but for
 * the response topic, which may be shown in another form.
 */
export function writeMessageProperties(
  writer: PacketWriter,
  message: Message,
  replyTo: string,
): void {
  if (message.native !== null && message.origin === MQTT_ORIGIN) {
    if (replyTo === message.replyTo) writer.raw(message.native);
    else fillProperties(writer, withResponse(readStored(message.native, PUBLISH), replyTo));
    return;
  }
  const shown: Properties = {};
  if (message.text) shown.payloadFormat = 1;
  if (message.contentType !== '') shown.contentType = legal(message.contentType);
  if (replyTo !== '' && isTopicName(replyTo)) shown.responseTopic = replyTo;
  if (message.correlation !== null && message.correlation.length <= 0xffff) {
    shown.correlationData = message.correlation;
  }
  const pairs = userProperties(message);
  if (pairs.length > 0) shown.userProperties = pairs;
  fillProperties(writer, shown);
}

function withResponse(from: Properties, replyTo: string): Properties {
  const { responseTopic: _, ...rest } = from;
  return replyTo === '' ? rest : { ...rest, responseTopic: replyTo };
}

/** Properties that were kept as the bytes of a packet. */
export function readStored(bytes: Buffer, packet: number): Properties {
  if (bytes.length === 0) return NO_PROPERTIES;
  native.reset();
  native.varint(bytes.length);
  native.raw(bytes);
  const reader = new PacketReader();
  reader.bytes = Buffer.from(native.bytes.subarray(0, native.at));
  reader.end = reader.bytes.length;
  return readProperties(reader, packet);
}

/** False when `writeMessageProperties` writes nothing. */
export function hasProperties(message: Message): boolean {
  return (
    message.native !== null ||
    message.headers.length > 0 ||
    message.value === null ||
    message.text ||
    message.contentType !== '' ||
    message.contentEncoding !== '' ||
    message.replyTo !== '' ||
    message.correlation !== null ||
    message.key !== null ||
    message.messageId !== '' ||
    message.timestampMs >= 0 ||
    message.priority >= 0
  );
}

function userProperties(message: Message): UserProperty[] {
  const pairs: UserProperty[] = [];
  if (message.headers.length > 0 || message.value === null) {
    for (const { name, value } of shownHeaders(message)) addPair(pairs, name, value);
  }
  if (message.key !== null) addKey(pairs, message.key, message.address.text);
  if (message.messageId !== '') addPair(pairs, 'message-id', message.messageId);
  if (message.contentEncoding !== '') addPair(pairs, 'content-encoding', message.contentEncoding);
  if (message.timestampMs >= 0) pairs.push(['timestamp', String(message.timestampMs)]);
  if (message.priority >= 0) pairs.push(['priority', String(message.priority)]);
  return pairs;
}

/** The key that a route made from the address says nothing new. */
function addKey(pairs: UserProperty[], key: Buffer, address: string): void {
  const text = key.toString('utf8');
  if (text === address) return;
  if (!text.includes('\0') && Buffer.from(text).equals(key)) {
    addPair(pairs, 'key', text);
    return;
  }
  addPair(pairs, 'key', key.toString('base64'));
  pairs.push(['_b.t.key', 'base64']);
}

/** A string of a packet has at most 65535 bytes; what is longer cannot be shown. */
function addPair(pairs: UserProperty[], name: string, value: string): void {
  if (fits(name) && fits(value)) pairs.push([legal(name), legal(value)]);
}

export function fits(text: string): boolean {
  return text.length <= 21_845 || Buffer.byteLength(text) <= 0xffff;
}

/** Other protocols may write U+0000 and half surrogates; MQTT clients would close on them. */
function legal(text: string): string {
  return text.includes('\0') ? text.replaceAll('\0', '\ufffd') : text;
}

function isTopicName(text: string): boolean {
  return !/[+#\0]/.test(text) && fits(text);
}
