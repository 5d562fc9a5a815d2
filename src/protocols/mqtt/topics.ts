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

const DOLLAR = 0x24;
const SHARE_PREFIX = '$share/';
export const KEPT_GROUP = '$q';
/** The older form: a shared subscription whose group has no name (M130). */
export const QUEUE_PREFIX = '$queue/';
const REPLAY_PREFIX = '$s/';
export const EXCLUSIVE_PREFIX = '$exclusive/';
/** A shared subscription whose messages wait also while there are no members (M187). */
export const KEPT_PREFIX = '$q/';
/** Groups without a name of their own, by the prefix that stands for them. */
const NAMELESS = [
  [QUEUE_PREFIX, '$queue'],
  [KEPT_PREFIX, KEPT_GROUP],
] as const;

export function isShared(filter: string): boolean {
  if (filter.charCodeAt(0) !== DOLLAR) return false;
  return (
    filter.startsWith(SHARE_PREFIX) ||
    filter === '$share' ||
    NAMELESS.some(([prefix]) => filter.startsWith(prefix))
  );
}

/**
 * Takes `$share/{group}/{filter}` apart; null when its form is wrong [MQTT-4.8.2-1]
 * [MQTT-4.8.2-2].
 */
export function sharedFilter(text: string): SharedFilter | null {
  for (const [prefix, group] of NAMELESS) {
    if (!text.startsWith(prefix)) continue;
    return text === prefix ? null : { group, filter: text.slice(prefix.length) };
  }
  const end = text.indexOf('/', SHARE_PREFIX.length);
  if (end <= SHARE_PREFIX.length || end === text.length - 1) return null;
  const group = text.slice(SHARE_PREFIX.length, end);
  if (/[+#]/.test(group)) return null;
  return { group, filter: text.slice(end + 1) };
}

/** The filter that topics are compared with; null when the form around it is wrong. */
export function plainFilter(filter: string): string | null {
  if (isShared(filter)) return sharedFilter(filter)?.filter ?? null;
  if (filter.startsWith(EXCLUSIVE_PREFIX)) return filter.slice(EXCLUSIVE_PREFIX.length);
  if (filter.startsWith(REPLAY_PREFIX)) return replayFilter(filter)?.filter ?? null;
  return filter;
}

/** A wish to read what is stored: `$s/{from}/{filter}` (M187). */
export interface ReplayFilter {
  /** A number is a time in ms. */
  readonly from: 'earliest' | 'latest' | number;
  readonly filter: string;
}

export function isReplay(filter: string): boolean {
  return filter.startsWith(REPLAY_PREFIX);
}

/** Null when it is no such filter. */
export function replayFilter(text: string): ReplayFilter | null {
  if (!text.startsWith(REPLAY_PREFIX)) return null;
  const form = /^\$s\/(earliest|latest|\d{1,15})\/(.+)$/s.exec(text);
  if (form === null) return null;
  const [, from = '', filter = ''] = form;
  return { from: from === 'earliest' || from === 'latest' ? from : momentMs(from), filter };
}

/** Seconds up to the year 5138, milliseconds beyond. */
function momentMs(digits: string): number {
  const value = Number(digits);
  return value < 100_000_000_000 ? value * 1000 : value;
}

export function levelCount(filter: string): number {
  let count = 1;
  for (let at = filter.indexOf('/'); at >= 0; at = filter.indexOf('/', at + 1)) count++;
  return count;
}
