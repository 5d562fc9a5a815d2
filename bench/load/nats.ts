/**
 * NATS core loads: publishers to subscribers of one subject, a publisher nobody listens to, whose
 * progress PING and PONG show, and requests.
 */

import { Client, PING, publishFrame, subscribed } from './nats-client.ts';
import { latencyOf, Pace, stamped, timesHistogram } from './pace.ts';
import { numbered } from './payload.ts';
import { flowWindow, measure, measureEach, Pump, Rounds, ringOf, settle } from './pump.ts';
import type { LoadResult, LoadSpec } from './spec.ts';
import { Signal } from './wire.ts';

const VERIFIED_MESSAGES = 1_000;

/** Every subscriber gets every message; what counts is deliveries. */
export async function natsFlow(spec: LoadSpec): Promise<LoadResult> {
  const subject = `bench.${spec.name}`;
  const subscribers = await openSubscribers(spec, subject);
  const publishers = await openPublishers(spec);
  if (spec.verify) await verifyFlow(spec, subject, publishers[0]!, subscribers[0]!);

  const ring = ringOf(1_024, () => publishFrame(subject, Buffer.alloc(spec.payloadBytes, 120)));
  const outlet = new Rounds(publishers.map(({ wire }) => wire));
  const pump = new Pump(outlet, ring, flowWindow(ring.frameBytes));
  let deliveries = 0;
  for (const subscriber of subscribers) {
    subscriber.messages = 0;
    subscriber.onRead = () => {
      deliveries += subscriber.messages;
      subscriber.messages = 0;
      const messages = Math.floor(deliveries / subscribers.length);
      deliveries -= messages * subscribers.length;
      pump.completed(messages);
    };
  }
  const result = await measure(spec, pump, subscribers.length);
  await settle(pump);
  await Promise.all([...publishers, ...subscribers].map(({ wire }) => wire.close()));
  return spec.verify ? { ...result, verified: `${VERIFIED_MESSAGES} payloads in order` } : result;
}

async function openPublishers(spec: LoadSpec): Promise<Client[]> {
  const clients: Client[] = [];
  for (let n = 0; n < spec.publishers; n++) clients.push(await Client.open(spec.port));
  return clients;
}

async function openSubscribers(spec: LoadSpec, subject: string): Promise<Client[]> {
  const clients: Client[] = [];
  for (let n = 0; n < spec.subscribers; n++) clients.push(await subscribed(spec.port, subject));
  return clients;
}

async function verifyFlow(
  spec: LoadSpec,
  subject: string,
  from: Client,
  to: Client,
): Promise<void> {
  const all = new Signal();
  let next = 0;
  to.onPayload = (bytes, start, end) => {
    if (!bytes.subarray(start, end).equals(numbered(next, spec.payloadBytes))) {
      throw new Error(`payload ${next} differs from what was published`);
    }
    if (++next === VERIFIED_MESSAGES) all.fire();
  };
  for (let i = 0; i < VERIFIED_MESSAGES; i++) {
    from.wire.send(publishFrame(subject, numbered(i, spec.payloadBytes)));
  }
  await all.promise;
  to.onPayload = undefined;
}

/** Messages between two PINGs of the publish-only load. */
const STRIDE = 256;

/** Publish only: a ring frame is a stride of messages and a PING; its PONG completes them all. */
export async function natsPublish(spec: LoadSpec): Promise<LoadResult> {
  const subject = `bench.${spec.name}`;
  const publisher = await Client.open(spec.port);
  if (spec.verify) {
    const witness = await subscribed(spec.port, subject);
    await verifyFlow(spec, subject, publisher, witness);
    await witness.wire.close();
    publisher.pongs = 0;
  }
  const one = publishFrame(subject, Buffer.alloc(spec.payloadBytes, 120));
  const stride = Buffer.concat([...Array.from({ length: STRIDE }, () => one), PING]);
  const ring = ringOf(8, () => stride);
  const window = Math.max(4, Math.floor((1 << 20) / stride.length));
  const pump = new Pump(publisher.wire, ring, window);
  publisher.onRead = () => {
    const pongs = publisher.pongs;
    publisher.pongs = 0;
    pump.completed(pongs);
  };
  const result = await measure(spec, pump, STRIDE);
  await settle(pump);
  await publisher.wire.close();
  return spec.verify ? { ...result, verified: `${VERIFIED_MESSAGES} payloads in order` } : result;
}

/** At a fixed rate: the time from when a message was due to when it arrived. */
export async function natsPaced(spec: LoadSpec): Promise<LoadResult> {
  const subject = `bench.${spec.name}`;
  const subscriber = await subscribed(spec.port, subject);
  const publisher = await Client.open(spec.port);
  const frame = publishFrame(subject, Buffer.alloc(spec.payloadBytes));
  const payloadAt = frame.length - 2 - spec.payloadBytes;
  const pace = new Pace(spec, stamped(publisher.wire, frame, payloadAt));
  subscriber.onPayload = (bytes, start) => pace.arrived(bytes, start);
  const result = await pace.run();
  await Promise.all([publisher.wire.close(), subscriber.wire.close()]);
  return result;
}

/** One request at a time to one service, which echoes; the time from request to reply. */
export async function natsRequest(spec: LoadSpec): Promise<LoadResult> {
  const [subject, inbox] = [`bench.${spec.name}`, `_INBOX.${spec.name}`];
  const service = await subscribed(spec.port, subject);
  const requester = await subscribed(spec.port, inbox);
  const payload = Buffer.alloc(spec.payloadBytes, 120);
  const reply = publishFrame(inbox, payload);
  service.onPayload = () => service.wire.send(reply);
  const request = publishFrame(`${subject} ${inbox}`, payload);
  const pump = new Pump(
    requester.wire,
    ringOf(1, () => request),
    1,
  );
  const histogram = timesHistogram();
  let sentAt = performance.now();
  requester.onPayload = (bytes, start, end) => {
    if (spec.verify && bytes.compare(payload, 0, undefined, start, end) !== 0) {
      throw new Error('a reply differs from what was asked');
    }
    const now = performance.now();
    histogram.record(Math.max(1, Math.round((now - sentAt) * 1e6)));
    sentAt = now;
  };
  requester.onRead = () => {
    const replies = requester.messages;
    requester.messages = 0;
    pump.completed(replies);
  };
  requester.messages = 0;
  const result = await measureEach(spec, [pump], histogram);
  await settle(pump);
  await Promise.all([service.wire.close(), requester.wire.close()]);
  const latency = latencyOf(histogram);
  return { ...result, latency, ...(spec.verify ? { verified: `${pump.done} replies` } : {}) };
}
