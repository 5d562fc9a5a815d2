/** Topics that belong to the server: clients read them and never publish to them (M170, M171). */

const DOLLAR = 0x24;
/** Where the server itself publishes; the broker keeps all others away, in every protocol. */
export const SERVER_WORDS = ['$SYS', '$events'] as const;
const READ_ONLY = [...SERVER_WORDS, '$s', '$q'] as const;

/** A topic that is not simply published to. Asked for each message, so the first byte decides. */
export function isReserved(topic: string): boolean {
  return topic.charCodeAt(0) === DOLLAR;
}

export function isReadOnly(topic: string): boolean {
  if (!isReserved(topic)) return false;
  const end = topic.indexOf('/');
  const first = end < 0 ? topic : topic.slice(0, end);
  return READ_ONLY.some((name) => name === first);
}
