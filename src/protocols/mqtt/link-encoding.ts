/** Bytes of a message that are for one connection only: others have other names for it. */
import type { Message } from '#broker';
import type { EncodedPublish } from './codec/index.ts';
import type { Link } from './connection.ts';
import type { Mount } from './mount.ts';
import { encodeMessage } from './packet-cache.ts';

/** Under a mount point the response topic is a name too. */
export function encodeMounted(
  link: Link,
  message: Message,
  topic: string,
  qos: 0 | 1 | 2,
  retain: boolean,
  ids: readonly number[] | null,
  mount: Mount,
): EncodedPublish {
  const replyTo = mount.shownResponse(message.replyTo);
  const { version, room } = link;
  const own = version === 5 ? ids : null;
  return encodeMessage(message, topic, qos, retain, own, 0, version, room.nowMs(), replyTo);
}

/** Null when it is larger than the client takes. */
export function encodeWithAlias(
  link: Link,
  message: Message,
  topic: string,
  qos: 0 | 1 | 2,
  retain: boolean,
  ids: readonly number[] | null,
): EncodedPublish | null {
  const aliases = link.aliases!;
  const known = aliases.known(topic);
  const alias = known === 0 ? aliases.next(topic) : known;
  const name = known === 0 ? topic : '';
  const encoded = encodeMessage(message, name, qos, retain, ids, alias, 5, link.room.nowMs());
  if (encoded.size > link.packetBytesMax) return null;
  // Only what is really sent teaches the client an alias.
  if (known === 0 && alias !== 0) aliases.set(topic, alias);
  return encoded;
}
