/** Names of topics: what makes one valid, whether a filter matches one, and shared filters. */
import { isUtf8 } from 'node:buffer';
import { ProtocolError } from '#kit';
import { malformed, protocolError, REASON } from './codec/index.ts';

const SLASH = 0x2f;
const PLUS = 0x2b;
const HASH = 0x23;

function topicInvalid(field: string, at: number, detail: string): ProtocolError {
  return new ProtocolError(field, at, detail, REASON.topicNameInvalid);
}

/**
 * Checks the bytes of a topic name and returns it as text; nothing is normalised [MQTT-4.7.3-4].
 */
export function topicName(bytes: Buffer, levelsMax: number): string {
  if (bytes.length === 0) throw protocolError('topic name', 2, 'is empty'); // [MQTT-4.7.3-1]
  let levels = 1;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!;
    if (byte === SLASH) levels++;
    else if (byte === PLUS || byte === HASH) {
      throw topicInvalid('topic name', at + 2, 'contains a wildcard'); // [MQTT-3.3.2-2]
    } else if (byte === 0) throw malformed('topic name', at + 2, 'contains U+0000');
  }
  if (levels > levelsMax) throw topicInvalid('topic name', 2, `has more than ${levelsMax} levels`);
  if (!isUtf8(bytes)) throw malformed('topic name', 2, 'is not well-formed UTF-8'); // [MQTT-3.3.2-1]
  return bytes.toString('utf8');
}

/** A response topic: a topic name without wildcards [MQTT-3.3.2-14]. */
export function checkResponseTopic(topic: string | undefined): void {
  if (topic === undefined) return;
  if (topic === '') throw protocolError('Response Topic', 0, 'is empty');
  if (/[+#]/.test(topic)) throw protocolError('Response Topic', 0, 'contains a wildcard');
}

/** Does a valid filter match a topic name? For single questions; the broker has the index. */
export function filterMatches(filter: string, topic: string): boolean {
  if (filter === topic) return true;
  const wanted = filter.split('/');
  const levels = topic.split('/');
  // [MQTT-4.7.2-1]
  if (topic.startsWith('$') && (wanted[0] === '#' || wanted[0] === '+')) return false;
  for (let index = 0; index < wanted.length; index++) {
    const level = wanted[index];
    if (level === '#') return levels.length >= index;
    if (index >= levels.length || (level !== '+' && level !== levels[index])) return false;
  }
  return wanted.length === levels.length;
}

export interface SharedFilter {
  readonly group: string;
  readonly filter: string;
}

const SHARE_PREFIX = '$share/';

export function isShared(filter: string): boolean {
  return filter.startsWith(SHARE_PREFIX) || filter === '$share';
}

/**
 * Takes `$share/{group}/{filter}` apart; null when its form is wrong [MQTT-4.8.2-1]
 * [MQTT-4.8.2-2].
 */
export function sharedFilter(text: string): SharedFilter | null {
  const end = text.indexOf('/', SHARE_PREFIX.length);
  if (end <= SHARE_PREFIX.length || end === text.length - 1) return null;
  const group = text.slice(SHARE_PREFIX.length, end);
  if (/[+#]/.test(group)) return null;
  return { group, filter: text.slice(end + 1) };
}

export function levelCount(filter: string): number {
  let count = 1;
  for (let at = filter.indexOf('/'); at >= 0; at = filter.indexOf('/', at + 1)) count++;
  return count;
}
