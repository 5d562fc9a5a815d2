/** SUBSCRIBE and UNSUBSCRIBE (3.8.4, 3.10.4). */
import { slashPattern } from '#broker';
import { BrokerError } from '#kit';
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
import type { RetainedReplay } from '../retained-replay.ts';
import type { Session } from '../session.ts';
import { isShared, levelCount, sharedFilter } from '../topics.ts';

const FAILURE = 0x80;

export function subscribe(link: Link, reader: PacketReader): boolean {
  const { packetId, properties, filters } = decodeSubscribe(reader, link.version);
  const session = link.session!;
  const id = properties.subscriptionIds?.[0] ?? 0;
  for (const { filter, noLocal } of filters) {
    // [MQTT-3.8.3-4]
    if (noLocal && isShared(filter)) throw protocolError('No Local', 0, 'on a shared subscription');
  }
  const codes: number[] = [];
  const replays: RetainedReplay[] = [];
  for (const request of filters) {
    codes.push(subscribeOne(link, session, request, id, replays));
  }
  const answer = (): void => {
    if (link.session !== session || !link.delivering) return;
    const shown = codes.map((code, index) => codeFor(link, code, filters[index]!));
    link.output.append(
      encodeSuback({ packetId, properties: NO_PROPERTIES, codes: shown }, link.version),
    );
    for (const replay of replays) replay.start();
    session.runReplays();
  };
  whenStored(link, session, answer);
  return true;
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

function subscribeOne(
  link: Link,
  session: Session,
  request: FilterRequest,
  id: number,
  replays: RetainedReplay[],
): number {
  const { options, broker } = link.room;
  const shared = isShared(request.filter) ? sharedFilter(request.filter) : null;
  if (isShared(request.filter) && shared === null) return REASON.topicFilterInvalid;
  const filter = shared?.filter ?? request.filter;
  const pattern = slashPattern(filter);
  // One bad filter leaves the others alone (M103).
  if (pattern === null || levelCount(filter) > options.topicLevelsMax) {
    return REASON.topicFilterInvalid;
  }
  if (!broker.authorize(session.principal, 'subscribe', pattern)) return REASON.notAuthorized;
  const known = session.subscription(request.filter) !== undefined;
  if (!known && session.subscriptionCount >= options.subscriptionsMax) return REASON.quotaExceeded;
  // A bridge wants neither its own messages nor a cleared retain flag (M25).
  const wanted = link.bridge
    ? { ...request, noLocal: shared === null, retainAsPublished: true }
    : request;
  try {
    const subscription = session.subscribe(wanted, id, pattern);
    // [MQTT-3.3.1-9..11]; shared ones get no replay (4.8.2).
    const { retainHandling } = wanted;
    const replayed = shared === null && retainHandling < 2 && !(retainHandling === 1 && known);
    if (replayed) replays.push(session.replay(subscription));
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error;
    return reasonOf(error);
  }
  return request.qos;
}

/** 3.1.1 has one failure code; 3.1 has none and always grants (M24). */
function codeFor(link: Link, code: number, request: FilterRequest): number {
  if (link.version === 5 || code < FAILURE) return code;
  return link.version === 4 ? FAILURE : request.qos;
}

export function unsubscribe(link: Link, reader: PacketReader): boolean {
  const { packetId, filters } = decodeUnsubscribe(reader, link.version);
  const session = link.session!;
  const codes = filters.map((filter) =>
    session.unsubscribe(filter) ? REASON.success : REASON.noSubscriptionExisted,
  );
  whenStored(link, session, () => {
    if (link.session !== session || !link.delivering) return;
    link.output.append(
      encodeUnsuback({ packetId, properties: NO_PROPERTIES, codes }, link.version),
    );
  });
  return true;
}
