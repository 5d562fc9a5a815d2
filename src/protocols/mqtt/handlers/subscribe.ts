/** SUBSCRIBE and UNSUBSCRIBE (3.8.4, 3.10.4). */
import {
  decodeSubscribe,
  decodeUnsubscribe,
  encodeSuback,
  encodeUnsuback,
  type FilterRequest,
  NO_PROPERTIES,
  type PacketReader,
  protocolError,
  REASON,
} from '../codec/index.ts';
import type { Link } from '../connection.ts';
import { reasonOf } from '../errors.ts';
import type { Session } from '../session.ts';
import { type Afterwards, takeSubscription } from '../subscribing.ts';
import { isShared } from '../topics.ts';

const FAILURE = 0x80;

export function subscribe(link: Link, reader: PacketReader): boolean {
  const { packetId, properties, filters } = decodeSubscribe(reader, link.version);
  const session = link.session!;
  const id = properties.subscriptionIds?.[0] ?? 0;
  for (const { filter, noLocal } of filters) {
    // [MQTT-3.8.3-4]
    if (noLocal && isShared(filter)) throw protocolError('No Local', 0, 'on a shared subscription');
  }
  const after: Afterwards = [];
  const { bridge } = link;
  const codes = filters.map((filter) => {
    const request = renamed(link, filter);
    return takeSubscription({ session, request, id, bridge }, after);
  });
  const answer = (): void => {
    if (link.session !== session || !link.delivering) return;
    const shown = codes.map((code, index) => codeFor(link, code, filters[index]!));
    link.output.append(
      encodeSuback({ packetId, properties: NO_PROPERTIES, codes: shown }, link.version),
    );
    for (const call of after) call();
    session.runReplays();
  };
  whenStored(link, session, answer);
  return true;
}

function renamed(link: Link, request: FilterRequest): FilterRequest {
  const filter = link.room.subscribedName?.(link, request.filter) ?? request.filter;
  return filter === request.filter ? request : { ...request, filter };
}

/** Subscriptions that outlive the connection are on disk before the client hears of them. */
function whenStored(link: Link, session: Session, answer: () => void): void {
  if (!session.durable) {
    answer();
    return;
  }
  session.store.committed((error) => {
    if (error === null) answer();
    else link.leave(reasonOf(error), '');
  });
}

/** 3.1.1 has one failure code; 3.1 has none and always grants (M24). */
function codeFor(link: Link, code: number, request: FilterRequest): number {
  if (link.version === 5 || code < FAILURE) return code;
  return link.version === 4 ? FAILURE : request.qos;
}

export function unsubscribe(link: Link, reader: PacketReader): boolean {
  const { packetId, filters } = decodeUnsubscribe(reader, link.version);
  const session = link.session!;
  const codes = filters.map((filter) => {
    const name = link.room.subscribedName?.(link, filter) ?? filter;
    if (!session.unsubscribe(name)) return REASON.noSubscriptionExisted;
    link.room.hooks.unsubscribed(session, name);
    return REASON.success;
  });
  whenStored(link, session, () => {
    if (link.session !== session || !link.delivering) return;
    link.output.append(
      encodeUnsuback({ packetId, properties: NO_PROPERTIES, codes }, link.version),
    );
  });
  return true;
}
