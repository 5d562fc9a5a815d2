/** SUBSCRIBE and UNSUBSCRIBE (3.8.4, 3.10.4). */
import { ProtocolError } from '#kit';
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
  reasonSentence,
} from '../codec/index.ts';
import type { Link } from '../connection.ts';
import { reasonOf } from '../errors.ts';
import type { MqttOptions } from '../options.ts';
import type { Session } from '../session.ts';
import { type Afterwards, takeSubscription } from '../subscribing.ts';
import { isShared, plainFilter } from '../topics.ts';

const FAILURE = 0x80;

export function subscribe(link: Link, reader: PacketReader): boolean {
  const { packetId, properties, filters } = decodeSubscribe(reader, link.version);
  const session = link.session!;
  const id = properties.subscriptionIds?.[0] ?? 0;
  for (const { filter, noLocal } of filters) {
    // [MQTT-3.8.3-4]
    if (noLocal && isShared(filter)) throw protocolError('No Local', 0, 'on a shared subscription');
    if (link.version === 5) checkOffer(link.options, filter, id);
  }
  const after: Afterwards = [];
  const { bridge, answers } = link;
  const codes = filters.map((filter) => {
    if (lacking(link.options, filter.filter) !== 0) return FAILURE;
    const request = renamed(link, filter);
    const code = takeSubscription({ session, request, id, bridge }, after);
    if (code < FAILURE) link.lanes?.bind(request.filter, link.lane);
    return code;
  });
  const answer = (): void => {
    if (link.session !== session || !link.delivering) return;
    const shown = codes.map((code, index) => codeFor(link, code, filters[index]!));
    answers.append(
      encodeSuback({ packetId, properties: NO_PROPERTIES, codes: shown }, link.version),
    );
    for (const call of after) call();
    session.runReplays();
  };
  whenStored(link, session, answer);
  return true;
}

/** What CONNACK has said that there is not, and is asked for: the reason code; 0 for nothing. */
function lacking(options: MqttOptions, filter: string): number {
  if (!options.sharedAvailable && isShared(filter)) return REASON.sharedNotSupported;
  if (options.wildcardAvailable) return 0;
  const plain = plainFilter(filter);
  return plain !== null && /[+#]/.test(plain) ? REASON.wildcardsNotSupported : 0;
}

/** 3.2.2.3.11 to 13: a version 5 client that asks for it all the same is disconnected. */
function checkOffer(options: MqttOptions, filter: string, id: number): void {
  if (id !== 0 && !options.subscriptionIdsAvailable) {
    const reason = REASON.subscriptionIdsNotSupported;
    throw new ProtocolError('Subscription Identifier', 0, `${id}`, reason);
  }
  const reason = lacking(options, filter);
  if (reason !== 0) throw new ProtocolError('topic filter', 0, reasonSentence(reason), reason);
}

function renamed(link: Link, request: FilterRequest): FilterRequest {
  const filter = wholeFilter(link, request.filter);
  return filter === request.filter ? request : { ...request, filter };
}

function wholeFilter(link: Link, said: string): string {
  const { room, mount } = link;
  const filter = room.subscribedName?.(link, said) ?? said;
  return mount === null ? filter : mount.filter(filter);
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
  const { answers } = link;
  const codes = filters.map((filter) => {
    const name = wholeFilter(link, filter);
    if (!session.unsubscribe(name)) return REASON.noSubscriptionExisted;
    link.lanes?.bind(name, null);
    link.room.hooks.unsubscribed(session, name);
    return REASON.success;
  });
  whenStored(link, session, () => {
    if (link.session !== session || !link.delivering) return;
    answers.append(encodeUnsuback({ packetId, properties: NO_PROPERTIES, codes }, link.version));
  });
  return true;
}
