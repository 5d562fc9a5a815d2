/**
 * Makes one subscription of a session, for SUBSCRIBE and for those who subscribe on its behalf: the
 * form of its filter, the rights, the limits (3.8.4).
 */
import { type Pattern, slashPattern } from '#broker';
import { BrokerError } from '#kit';
import { type FilterRequest, REASON } from './codec/index.ts';
import { reasonOf } from './errors.ts';
import type { Session } from './session.ts';
import {
  EXCLUSIVE_PREFIX,
  isReplay,
  isShared,
  KEPT_PREFIX,
  levelCount,
  plainFilter,
  QUEUE_PREFIX,
} from './topics.ts';

export interface Subscribing {
  readonly session: Session;
  readonly request: FilterRequest;
  /** Subscription identifier; 0 for none. */
  readonly id: number;
  /** The client is a bridge of another broker. */
  readonly bridge: boolean;
}

/** What is done when SUBACK is written: messages of the subscription come behind it. */
export type Afterwards = (() => void)[];

/**
 * @param after gets what is to be done after SUBACK, also when there is no such packet
 * @returns the code for SUBACK; below 0x80 it is the granted QoS
 */
export function takeSubscription(wish: Subscribing, after: Afterwards): number {
  const { session, id } = wish;
  const { room } = session;
  const options = session.link?.options ?? room.options;
  const filter = wish.request.filter;
  const plain = plainFilter(filter);
  const pattern = plain === null ? null : slashPattern(plain);
  // One bad filter leaves the others alone (M103).
  if (pattern === null || plain === null || levelCount(plain) > options.topicLevelsMax) {
    return REASON.topicFilterInvalid;
  }
  const refusal = refusalOf(session, filter, pattern);
  if (refusal !== 0) return refusal;
  const known = session.subscription(filter) !== undefined;
  if (!known && session.subscriptionCount >= options.subscriptionsMax) {
    return REASON.quotaExceeded;
  }
  const wanted = wantedOf(wish);
  try {
    const subscription = session.subscribe(wanted, id, pattern);
    room.exclusive.subscribed(session, subscription);
    // [MQTT-3.3.1-9..11]; shared ones get no replay (4.8.2).
    const { retainHandling } = wanted;
    const replayed = subscription.plain && retainHandling < 2 && !(retainHandling === 1 && known);
    const replay = replayed ? session.replay(subscription) : null;
    after.push(() => {
      replay?.start();
      session.begin(subscription);
      room.hooks.subscribed(session, subscription);
    });
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error;
    return reasonOf(error);
  }
  return wanted.qos;
}

/** What the client asked for, as far as there is it. */
function wantedOf({ session, request, bridge }: Subscribing): FilterRequest {
  const { qosMax } = session.link?.options ?? session.room.options;
  const qos = Math.min(request.qos, qosMax) as 0 | 1 | 2;
  const wanted = qos === request.qos ? request : { ...request, qos };
  // A bridge wants neither its own messages nor a cleared retain flag (M25).
  if (!bridge) return wanted;
  return { ...wanted, noLocal: !isShared(request.filter), retainAsPublished: true };
}

function refusalOf(session: Session, filter: string, pattern: Pattern): number {
  const { options, broker, exclusive } = session.room;
  const off =
    (filter.startsWith(QUEUE_PREFIX) && !options.queueAlias) ||
    (filter.startsWith(EXCLUSIVE_PREFIX) && !options.exclusiveSubscriptions) ||
    ((isReplay(filter) || filter.startsWith(KEPT_PREFIX)) && !options.replaySubscriptions);
  if (off) return REASON.topicFilterInvalid;
  if (!broker.authorize(session.principal, 'subscribe', pattern)) return REASON.notAuthorized;
  return exclusive.isTaken(filter, session) ? REASON.quotaExceeded : 0;
}
