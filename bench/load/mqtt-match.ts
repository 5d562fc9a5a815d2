/**
 * QoS 0 publishes whose topics have to be looked for among the subscriptions of others: each leads
 * down to the last level of one of those and past it, and matches only the filter of this load. A
 * topic comes again after all others of its ring, so that nobody's memory of the last ones helps.
 */

import { Client, publishPacket } from './mqtt-client.ts';
import { numbered } from './payload.ts';
import { flowWindow, measure, Pump, ringOf, settle } from './pump.ts';
import type { LoadResult, LoadSpec } from './spec.ts';

const SITES = 1_000;
const TOPICS = 50_000;
/** A step through all numbers below a power of ten: neighbours in time are far apart. */
const STRIDE = 7_919;
const DIGITS = 7;

const padded = (n: number): string => String(n).padStart(DIGITS, '0');

/** The filter of the subscription `n` of others. */
export function filterOfOthers(n: number): string {
  return `site/${padded(n % SITES)}/+/device/${padded(n)}`;
}

/** @param others how many of those there are */
function topicOf(i: number, others: number): string {
  const n = (i * STRIDE) % others;
  return `site/${padded(n % SITES)}/${padded(i)}/device/${padded(n)}/load`;
}

/** `records` is the number of subscriptions that others have. */
export async function mqttMatch(spec: LoadSpec): Promise<LoadResult> {
  const subscriber = await Client.open(spec.port, `${spec.name}-sub`, true);
  await subscriber.subscribe('site/+/+/device/+/load', 0);
  const publisher = await Client.open(spec.port, `${spec.name}-pub`, true);
  const others = Math.max(1, spec.records);
  const ring = ringOf(TOPICS, (i) =>
    publishPacket(topicOf(i, others), numbered(i, spec.payloadBytes), 0),
  );
  const pump = new Pump(publisher.wire, ring, flowWindow(ring.frameBytes));
  subscriber.onDrained = () => {
    const { publishes } = subscriber;
    subscriber.publishes = 0;
    if (publishes > 0) pump.completed(publishes);
  };
  const result = await measure(spec, pump);
  await settle(pump);
  await Promise.all([publisher.leave(), subscriber.leave()]);
  return result;
}
