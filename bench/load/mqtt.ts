/**
 * MQTT 3.1.1 loads: QoS 0 from publishers to subscribers of one topic, QoS 1 publishes whose
 * messages a durable session must keep, and QoS 1 all the way through.
 */

import type { RecordableHistogram } from 'node:perf_hooks';
import { Client, connectPacket, PacketScanner, publishPacket } from './mqtt-client.ts';
import { latencyOf, Pace, stamped, timesHistogram } from './pace.ts';
import { inCycle, numbered } from './payload.ts';
import {
  Flows,
  flowWindow,
  measure,
  measureEach,
  Pump,
  Rounds,
  resultOf,
  ringFrames,
  ringOf,
  settle,
  sleep,
} from './pump.ts';
import type { LoadResult, LoadSpec } from './spec.ts';
import { Signal, Wire } from './wire.ts';

/** Packet identifiers used by a QoS 1 ring; a window never comes near this. */
const IDENTIFIERS = 60_000;
/** Of larger payloads a ring holds no more than twice what is in flight. */
const LARGE_BYTES = 2_048;
const VERIFIED_MESSAGES = 1_000;
/** Over all subscribers of a topic: what more of them would only make a server buffer. */
const DELIVERIES_IN_FLIGHT = 1_000_000;

/** QoS 0: every subscriber gets every message; what counts is deliveries. */
export async function mqttFlow(spec: LoadSpec): Promise<LoadResult> {
  const topic = `bench/${spec.name}`;
  const subscribers = await openSubscribers(spec, topic, 0);
  const publishers = await openPublishers(spec);
  const [publisher, subscriber] = [publishers[0]!, subscribers[0]!];
  if (spec.verify) await verifyFlow(spec, topic, publisher, subscriber);

  const frame = (i: number) => publishPacket(topic, numbered(i, spec.payloadBytes), 0);
  const ring = ringOf(ringFrames(spec.payloadBytes), frame);
  const outlet = new Rounds(publishers.map(({ wire }) => wire));
  const each = Math.floor(DELIVERIES_IN_FLIGHT / spec.subscribers);
  const pump = new Pump(outlet, ring, Math.min(each, flowWindow(ring.frameBytes)));
  countDeliveries(subscribers, (messages) => pump.completed(messages));
  const result = await measure(spec, pump, subscribers.length);
  await settle(pump);
  await Promise.all([...publishers, ...subscribers].map((client) => client.leave()));
  return spec.verify ? { ...result, verified: `${VERIFIED_MESSAGES} payloads in order` } : result;
}

async function openPublishers(spec: LoadSpec): Promise<Client[]> {
  const clients: Client[] = [];
  for (let n = 0; n < spec.publishers; n++) {
    clients.push(await Client.open(spec.port, `${spec.name}-pub-${n}`, true));
  }
  return clients;
}

async function openSubscribers(spec: LoadSpec, topic: string, qos: number): Promise<Client[]> {
  const clients: Client[] = [];
  for (let n = 0; n < spec.subscribers; n++) {
    const name = `${spec.name}-sub-${n}`;
    const client = await Client.open(spec.port, name, true, readBytes(spec));
    await client.subscribe(topic, qos);
    clients.push(client);
  }
  return clients;
}

/** Room for a few large messages, and not too much for each of many subscribers. */
function readBytes({ payloadBytes, subscribers }: LoadSpec): number {
  return Math.max(1 << 18, 4 * payloadBytes) / (subscribers > 1_000 ? 16 : 1);
}

/** A message is done when as many deliveries have come as there are subscribers. */
function countDeliveries(subscribers: readonly Client[], done: (messages: number) => void): void {
  let deliveries = 0;
  for (const subscriber of subscribers) {
    subscriber.publishes = 0;
    subscriber.onDrained = () => {
      deliveries += subscriber.publishes;
      subscriber.publishes = 0;
      const messages = Math.floor(deliveries / subscribers.length);
      if (messages === 0) return;
      deliveries -= messages * subscribers.length;
      done(messages);
    };
  }
}

async function verifyFlow(spec: LoadSpec, topic: string, from: Client, to: Client): Promise<void> {
  const all = new Signal();
  to.onPublish = comparePayloads(spec, topic, 0, VERIFIED_MESSAGES, all.fire);
  for (let i = 0; i < VERIFIED_MESSAGES; i++) {
    from.wire.send(publishPacket(topic, numbered(i, spec.payloadBytes), 0));
  }
  await all.promise;
  to.onPublish = undefined;
}

/** Answers a check that expects numbered payloads in order and fires after the last. */
function comparePayloads(
  spec: LoadSpec,
  topic: string,
  identifierBytes: number,
  count: number,
  done: () => void,
): (bytes: Buffer, start: number, end: number) => void {
  let next = 0;
  return (bytes, start, end) => {
    const payload = bytes.subarray(start + 2 + topic.length + identifierBytes, end);
    if (!payload.equals(numbered(next, spec.payloadBytes))) {
      throw new Error(`payload ${next} differs from what was published`);
    }
    if (++next === count) done();
  };
}

/** QoS 1 while a durable session, which is away, keeps each message. */
export async function mqttConfirm(spec: LoadSpec): Promise<LoadResult> {
  const topic = `bench/${spec.name}`;
  const session = `${spec.name}-kept`;
  const publishers = await openPublishers(spec);
  await subscribeAndLeave(spec.port, session, topic);
  const verified = spec.verify ? await verifySession(spec, topic, publishers[0]!) : undefined;

  const frame = (i: number) => publishPacket(topic, numbered(i, spec.payloadBytes), i + 1);
  const ring = ringOf(IDENTIFIERS, frame);
  const histogram = timesHistogram();
  const pumps = publishers.map((publisher) => {
    const pump = new Pump(publisher.wire, ring, spec.window);
    if (spec.window === 1) timeAcknowledgements(publisher, pump, histogram);
    else countAcknowledgements(publisher, pump);
    return pump;
  });
  const flows = new Flows(pumps);
  const oneByOne = spec.window === 1;
  const result = await (oneByOne ? measureEach(spec, pumps, histogram) : measure(spec, flows));
  await settle(flows);
  await Promise.all(publishers.map((publisher) => publisher.leave()));
  const kept = spec.audit ? await auditSession(spec, session, flows.done) : undefined;
  const notes = [verified, kept].filter((note) => note !== undefined).join('; ');
  return {
    ...result,
    ...(oneByOne ? { latency: latencyOf(histogram) } : {}),
    ...(notes === '' ? {} : { verified: notes }),
  };
}

function countAcknowledgements(publisher: Client, pump: Pump): void {
  publisher.pubacks = 0;
  publisher.onDrained = () => {
    const acknowledged = publisher.pubacks;
    publisher.pubacks = 0;
    if (acknowledged > 0) pump.completed(acknowledged);
  };
}

/** One message at a time: each answer ends one measurement and begins the next. */
function timeAcknowledgements(publisher: Client, pump: Pump, into: RecordableHistogram): void {
  let sentAt = performance.now();
  publisher.pubacks = 0;
  publisher.onDrained = () => {
    const acknowledged = publisher.pubacks;
    if (acknowledged === 0) return;
    publisher.pubacks = 0;
    const now = performance.now();
    into.record(Math.max(1, Math.round((now - sentAt) * 1e6)));
    sentAt = now;
    pump.completed(acknowledged);
  };
}

/** QoS 1 in and QoS 1 out, to one subscriber that acknowledges; what counts is deliveries. */
export async function mqttThrough(spec: LoadSpec): Promise<LoadResult> {
  const topic = `bench/${spec.name}`;
  const [subscriber] = await openSubscribers({ ...spec, subscribers: 1 }, topic, 1);
  const [publisher] = await openPublishers({ ...spec, publishers: 1 });
  const frame = (i: number) => publishPacket(topic, numbered(i, spec.payloadBytes), i + 1);
  const cycle = spec.payloadBytes > LARGE_BYTES ? 2 * spec.window : IDENTIFIERS;
  const pump = new Pump(publisher!.wire, ringOf(cycle, frame), spec.window);
  const compare = spec.verify ? inCycle(spec.payloadBytes, cycle) : undefined;
  acknowledge(subscriber!, (messages) => pump.completed(messages), compare);
  const result = await measure(spec, pump);
  await settle(pump);
  await Promise.all([publisher!.leave(), subscriber!.leave()]);
  return spec.verify ? { ...result, verified: `${pump.done} payloads in order` } : result;
}

/** Answers each QoS 1 delivery of a read in one write. */
export function acknowledge(
  client: Client,
  delivered: (messages: number) => void,
  compare?: (bytes: Buffer, start: number, end: number) => void,
): void {
  let acks: number[] = [];
  client.onPublish = (bytes, start, end) => {
    const at = start + 2 + bytes.readUInt16BE(start);
    acks.push(0x40, 2, bytes[at]!, bytes[at + 1]!);
    compare?.(bytes, at + 2, end);
  };
  client.onDrained = () => {
    const messages = acks.length / 4;
    if (messages === 0) return;
    client.wire.send(Buffer.from(acks));
    acks = [];
    delivered(messages);
  };
}

/** QoS 0 at a fixed rate: the time from when a message was due to when it arrived. */
export async function mqttPaced(spec: LoadSpec): Promise<LoadResult> {
  const topic = `bench/${spec.name}`;
  const [subscriber] = await openSubscribers({ ...spec, subscribers: 1 }, topic, 0);
  const [publisher] = await openPublishers({ ...spec, publishers: 1 });
  const frame = publishPacket(topic, Buffer.alloc(spec.payloadBytes), 0);
  const payloadAt = frame.length - spec.payloadBytes;
  const pace = new Pace(spec, stamped(publisher!.wire, frame, payloadAt));
  subscriber!.onPublish = (bytes, _start, end) => pace.arrived(bytes, end - spec.payloadBytes);
  const result = await pace.run();
  await Promise.all([publisher!.leave(), subscriber!.leave()]);
  return result;
}

/** Stores `records` messages by QoS 1 publishes, as fast as they are acknowledged. */
export async function mqttStore(spec: LoadSpec): Promise<LoadResult> {
  const publisher = await Client.open(spec.port, `${spec.name}-pub`, true);
  const topic = `bench/${spec.name}`;
  const frame = (i: number) => publishPacket(topic, numbered(i, spec.payloadBytes), i + 1);
  const pump = new Pump(publisher.wire, ringOf(IDENTIFIERS, frame), spec.window);
  const all = new Signal();
  publisher.onDrained = () => {
    const acknowledged = publisher.pubacks;
    publisher.pubacks = 0;
    if (acknowledged > 0) pump.completed(acknowledged);
    if (pump.done >= spec.records) all.fire();
  };
  const started = performance.now();
  pump.start(spec.records);
  await all.promise;
  const seconds = (performance.now() - started) / 1000;
  await publisher.leave();
  return resultOf(spec, pump.done, seconds, 0, 0);
}

async function subscribeAndLeave(port: number, session: string, topic: string): Promise<void> {
  const client = await Client.open(port, session, false);
  await client.subscribe(topic, 1);
  await client.leave();
}

/** Publishes numbered payloads for an absent session, then reads them back through it. */
async function verifySession(spec: LoadSpec, base: string, publisher: Client): Promise<string> {
  const topic = `${base}/check`;
  const session = `${spec.name}-check`;
  await subscribeAndLeave(spec.port, session, topic);
  const acknowledged = new Signal();
  publisher.onDrained = () => {
    if (publisher.pubacks === VERIFIED_MESSAGES) acknowledged.fire();
  };
  for (let i = 0; i < VERIFIED_MESSAGES; i++) {
    publisher.wire.send(publishPacket(topic, numbered(i, spec.payloadBytes), i + 1));
  }
  await acknowledged.promise;

  const all = new Signal();
  const compare = comparePayloads(spec, topic, 2, VERIFIED_MESSAGES, all.fire);
  await readSession(spec.port, session, compare, () => all.promise);
  return `${VERIFIED_MESSAGES} payloads through a durable session`;
}

/** After a run: the durable session must hold every acknowledged message. */
async function auditSession(spec: LoadSpec, session: string, least: number): Promise<string> {
  let received = 0;
  const count = () => {
    received++;
  };
  const started = performance.now();
  await readSession(spec.port, session, count, async () => {
    for (let seen = -1; received < least && seen !== received; ) {
      seen = received;
      await sleep(2_000);
    }
  });
  if (received < least) throw new Error(`session kept ${received} of ${least} acknowledged`);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  return `session kept all of ${least} acknowledged, read in ${seconds} s`;
}

/** Takes over a durable session, acknowledges what it sends and ends it for good. */
async function readSession(
  port: number,
  session: string,
  onPublish: (bytes: Buffer, start: number, end: number) => void,
  until: () => Promise<void>,
): Promise<void> {
  const client = new Client();
  let acks: number[] = [];
  client.onPublish = (bytes, start, end, first) => {
    onPublish(bytes, start, end);
    if ((first & 6) === 0) return;
    const at = start + 2 + bytes.readUInt16BE(start);
    acks.push(0x40, 2, bytes[at]!, bytes[at + 1]!);
  };
  client.onDrained = () => {
    if (acks.length > 0) client.wire.send(Buffer.from(acks));
    acks = [];
  };
  client.wire = await Wire.open(port, new PacketScanner(client));
  client.wire.send(connectPacket(session, false));
  await client.connected.promise;
  await until();
  await client.leave();
  const last = await Client.open(port, session, true);
  await last.leave();
}
