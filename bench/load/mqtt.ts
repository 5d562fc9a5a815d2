/**
 * MQTT 3.1.1 loads: QoS 0 from one publisher to one subscriber, and QoS 1 publishes whose
 * messages a durable session must keep. Packets are written here from the specification; nothing
 * is shared with the server.
 */

import { createHistogram } from 'node:perf_hooks';
import { numbered } from './payload.ts';
import { flowWindow, measure, Pump, resultOf, ringOf, settle, sleep } from './pump.ts';
import type { LoadResult, LoadSpec } from './spec.ts';
import { type Scanner, Signal, Wire } from './wire.ts';

const CONNACK = 2;
const PUBLISH = 3;
const PUBACK = 4;
const SUBACK = 9;
const DISCONNECT = Buffer.from([0xe0, 0]);
/** Packet identifiers used by a QoS 1 ring; a window never comes near this. */
const IDENTIFIERS = 60_000;
const VERIFIED_MESSAGES = 1_000;
const IDLE_BUFFER_BYTES = 512;

export interface PacketSink {
  /** A whole packet: its first byte, and where the variable header starts and the packet ends. */
  packet(first: number, bytes: Buffer, start: number, end: number): void;
  /** All whole packets of one read were given. */
  drained(): void;
}

/** Walks packets in place: one length per packet, no copies. */
export class PacketScanner implements Scanner {
  readonly #sink: PacketSink;

  constructor(sink: PacketSink) {
    this.#sink = sink;
  }

  scan(bytes: Buffer, end: number): number {
    let at = 0;
    while (end - at >= 2) {
      let length = 0;
      let cursor = at + 1;
      let shift = 0;
      let byte = 0x80;
      while (byte >= 0x80 && cursor < end) {
        byte = bytes[cursor++]!;
        length |= (byte & 0x7f) << shift;
        shift += 7;
      }
      if (byte >= 0x80 || cursor + length > end) break;
      this.#sink.packet(bytes[at]!, bytes, cursor, cursor + length);
      at = cursor + length;
    }
    this.#sink.drained();
    return at;
  }
}

function text(value: string): Buffer {
  const body = Buffer.from(value);
  return Buffer.concat([Buffer.from([body.length >> 8, body.length & 0xff]), body]);
}

export function packetOf(first: number, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const head = [first];
  let left = body.length;
  do {
    const byte = left & 0x7f;
    left >>= 7;
    head.push(left > 0 ? byte | 0x80 : byte);
  } while (left > 0);
  return Buffer.concat([Buffer.from(head), body]);
}

export function connectPacket(clientId: string, clean: boolean): Buffer {
  const flags = clean ? 2 : 0;
  return packetOf(0x10, text('MQTT'), Buffer.from([4, flags, 0, 0]), text(clientId));
}

export function subscribePacket(filter: string, qos: number): Buffer {
  return packetOf(0x82, Buffer.from([0, 1]), text(filter), Buffer.from([qos]));
}

export function publishPacket(topic: string, payload: Buffer, id: number): Buffer {
  if (id === 0) return packetOf(0x30, text(topic), payload);
  return packetOf(0x32, text(topic), Buffer.from([id >> 8, id & 0xff]), payload);
}

/** Collects handshake answers, counts the rest. */
class Client implements PacketSink {
  readonly connected = new Signal();
  readonly subscribed = new Signal();
  publishes = 0;
  pubacks = 0;
  onPublish: ((bytes: Buffer, start: number, end: number, first: number) => void) | undefined;
  onDrained: (() => void) | undefined;
  wire!: Wire;

  static async open(port: number, clientId: string, clean: boolean): Promise<Client> {
    const client = new Client();
    client.wire = await Wire.open(port, new PacketScanner(client));
    client.wire.send(connectPacket(clientId, clean));
    await client.connected.promise;
    return client;
  }

  async subscribe(filter: string, qos: number): Promise<void> {
    this.wire.send(subscribePacket(filter, qos));
    await this.subscribed.promise;
  }

  async leave(): Promise<void> {
    this.wire.send(DISCONNECT);
    await this.wire.close();
  }

  packet(first: number, bytes: Buffer, start: number, end: number): void {
    switch (first >> 4) {
      case PUBLISH:
        this.publishes++;
        this.onPublish?.(bytes, start, end, first);
        break;
      case PUBACK:
        this.pubacks++;
        break;
      case CONNACK:
        if (bytes[start + 1] !== 0) throw new Error(`CONNACK refused: ${bytes[start + 1]}`);
        this.connected.fire();
        break;
      case SUBACK:
        if (bytes[start + 2]! > 2) throw new Error(`SUBACK refused: ${bytes[start + 2]}`);
        this.subscribed.fire();
        break;
    }
  }

  drained(): void {
    this.onDrained?.();
  }
}

export async function mqttFlow(spec: LoadSpec): Promise<LoadResult> {
  const topic = `bench/${spec.name}`;
  const subscriber = await Client.open(spec.port, `${spec.name}-sub`, true);
  await subscriber.subscribe(topic, 0);
  const publisher = await Client.open(spec.port, `${spec.name}-pub`, true);
  if (spec.verify) await verifyFlow(spec, topic, publisher, subscriber);

  const ring = ringOf(1_024, (i) => publishPacket(topic, numbered(i, spec.payloadBytes), 0));
  const pump = new Pump(publisher.wire, ring, flowWindow(ring.frameBytes));
  subscriber.publishes = 0;
  subscriber.onDrained = () => {
    const messages = subscriber.publishes;
    subscriber.publishes = 0;
    pump.completed(messages);
  };
  const result = await measure(spec, pump);
  await settle(pump);
  await Promise.all([publisher.leave(), subscriber.leave()]);
  return spec.verify ? { ...result, verified: `${VERIFIED_MESSAGES} payloads in order` } : result;
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

export async function mqttConfirm(spec: LoadSpec): Promise<LoadResult> {
  const topic = `bench/${spec.name}`;
  const session = `${spec.name}-kept`;
  const publisher = await Client.open(spec.port, `${spec.name}-pub`, true);
  await subscribeAndLeave(spec.port, session, topic);
  const verified = spec.verify ? await verifySession(spec, topic, publisher) : undefined;

  const frame = (i: number) => publishPacket(topic, numbered(i, spec.payloadBytes), i + 1);
  const pump = new Pump(publisher.wire, ringOf(IDENTIFIERS, frame), spec.window);
  const histogram = createHistogram({ lowest: 1, highest: 60e9, figures: 3 });
  let sentAt = performance.now();
  publisher.pubacks = 0;
  publisher.onDrained = () => {
    const acknowledged = publisher.pubacks;
    if (acknowledged === 0) return;
    publisher.pubacks = 0;
    if (spec.window === 1) {
      const now = performance.now();
      histogram.record(Math.max(1, Math.round((now - sentAt) * 1e6)));
      sentAt = now;
    }
    pump.completed(acknowledged);
  };
  const result = await measure(spec, pump);
  await settle(pump);
  await publisher.leave();
  const kept = spec.audit ? await auditSession(spec, session, pump.done) : undefined;
  const notes = [verified, kept].filter((note) => note !== undefined).join('; ');
  const us = (percentile: number) => histogram.percentile(percentile) / 1e3;
  return {
    ...result,
    ...(spec.window === 1
      ? { latency: { p50: us(50), p99: us(99), p999: us(99.9), max: histogram.max / 1e3 } }
      : {}),
    ...(notes === '' ? {} : { verified: notes }),
  };
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

/** A connection that says nothing until it is closed. */
export async function openIdle(port: number, clientId: string): Promise<Wire> {
  const client = new Client();
  client.wire = await Wire.open(port, new PacketScanner(client), IDLE_BUFFER_BYTES);
  client.wire.send(connectPacket(clientId, true));
  await client.connected.promise;
  return client.wire;
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
