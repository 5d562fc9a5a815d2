/**
 * AMQP from publisher to consumer through one durable queue: with nobody acknowledging anything,
 * with confirms on one side and multiple acks on the other, out of a backlog, and at a fixed rate.
 */

import { Client, publishFrames, TRANSIENT } from './amqp-client.ts';
import { confirmPump, openPublisher } from './amqp-confirm.ts';
import { Pace, stamped } from './pace.ts';
import { inCycle, numbered } from './payload.ts';
import {
  announce,
  flowWindow,
  measure,
  Pump,
  type Ring,
  resultOf,
  ringOf,
  settle,
  stored,
} from './pump.ts';
import type { LoadResult, LoadSpec } from './spec.ts';
import { Signal } from './wire.ts';

const RING = 1_024;
/** Deliveries that a consumer may have unacknowledged. */
const PREFETCH = 2_000;
/** Unconfirmed messages while a backlog is stored. */
const FILL_WINDOW = 10_000;

function ringFor(queue: string, spec: LoadSpec, mode?: number): Ring {
  return ringOf(RING, (i) => publishFrames(queue, numbered(i, spec.payloadBytes), mode));
}

async function openConsumer(spec: LoadSpec, queue: string, prefetch: number): Promise<Client> {
  const consumer = await Client.open(spec.port);
  await consumer.declare(queue, spec.queueType);
  if (spec.verify) consumer.onBody = inCycle(spec.payloadBytes, RING);
  await consumer.consume(queue, prefetch);
  return consumer;
}

/** Transient messages, no confirms, automatic acknowledgement: nobody waits for a disk. */
export async function amqpFlow(spec: LoadSpec): Promise<LoadResult> {
  const queue = `bench.${spec.name}`;
  const consumer = await openConsumer(spec, queue, 0);
  const publisher = await Client.open(spec.port);
  const ring = ringFor(queue, spec, TRANSIENT);
  const pump = new Pump(publisher.wire, ring, flowWindow(ring.frameBytes));
  consumer.onRead = () => {
    const { delivered } = consumer;
    consumer.delivered = 0;
    if (delivered > 0) pump.completed(delivered);
  };
  const result = await measure(spec, pump);
  await settle(pump);
  return finish(spec, [publisher, consumer], { queue, result, passed: pump.done });
}

/** Persistent messages; one is done when its publisher has the confirm and the consumer has it. */
export async function amqpThrough(spec: LoadSpec): Promise<LoadResult> {
  const queue = `bench.${spec.name}`;
  const consumer = await openConsumer(spec, queue, PREFETCH);
  const publisher = await openPublisher(spec, queue);
  const pump = new Pump(publisher.wire, ringFor(queue, spec), spec.window);
  const advance = () => {
    const done = Math.min(publisher.confirmed, consumer.delivered);
    publisher.confirmed -= done;
    consumer.delivered -= done;
    if (done > 0) pump.completed(done);
  };
  let acknowledged = 0;
  publisher.onRead = advance;
  consumer.onRead = () => {
    if (consumer.lastTag > acknowledged) consumer.acknowledge();
    acknowledged = consumer.lastTag;
    advance();
  };
  const result = await measure(spec, pump);
  await settle(pump);
  return finish(spec, [publisher, consumer], { queue, result, passed: pump.done });
}

/** Takes `take` messages out of a backlog, acknowledging what each read brought in one frame. */
export async function amqpDrain(spec: LoadSpec): Promise<LoadResult> {
  const queue = `bench.${spec.name}`;
  if (spec.fill) await fill(spec, queue);
  const consumer = await Client.open(spec.port);
  const compare = spec.verify ? inCycle(spec.payloadBytes, RING) : undefined;
  const all = new Signal();
  let taken = 0;
  let tag = 0;
  consumer.onBody = (bytes, start, end) => {
    if (taken === spec.take) return;
    compare?.(bytes, start, end);
    tag = consumer.lastTag;
    if (++taken < spec.take) return;
    consumer.acknowledge(tag);
    all.fire();
  };
  let acknowledged = 0;
  // A chunk may end between a delivery and its body: nothing is acknowledged before or twice.
  consumer.onRead = () => {
    if (taken > acknowledged && taken < spec.take) consumer.acknowledge(tag);
    acknowledged = taken;
  };
  announce('begin');
  const started = performance.now();
  const cpu = process.cpuUsage();
  await consumer.consume(queue, PREFETCH);
  await all.promise;
  const seconds = (performance.now() - started) / 1000;
  const used = process.cpuUsage(cpu);
  announce('end');
  // An answer tells that the last acknowledgement was read; what else was on its way goes back.
  await consumer.declare(queue, spec.queueType);
  await consumer.wire.close();
  const result = resultOf(spec, taken, seconds, (used.user + used.system) / 1e6 / seconds, 0);
  return spec.verify ? { ...result, verified: `${taken} payloads in order` } : result;
}

async function fill(spec: LoadSpec, queue: string): Promise<void> {
  const publisher = await openPublisher(spec, queue);
  const pump = confirmPump(publisher, ringFor(queue, spec), FILL_WINDOW);
  pump.start(spec.records);
  await stored(pump, spec.records);
  await publisher.wire.close();
}

/** Transient messages at a fixed rate: the time from when one was due to when it arrived. */
export async function amqpPaced(spec: LoadSpec): Promise<LoadResult> {
  const queue = `bench.${spec.name}`;
  const consumer = await openConsumer({ ...spec, verify: false }, queue, 0);
  const publisher = await Client.open(spec.port);
  const frame = publishFrames(queue, Buffer.alloc(spec.payloadBytes), TRANSIENT);
  const payloadAt = frame.length - 1 - spec.payloadBytes;
  const pace = new Pace(spec, stamped(publisher.wire, frame, payloadAt));
  consumer.onBody = (bytes, start) => pace.arrived(bytes, start);
  const result = await pace.run();
  await publisher.remove(queue);
  await Promise.all([publisher.wire.close(), consumer.wire.close()]);
  return result;
}

interface Passed {
  readonly queue: string;
  readonly result: LoadResult;
  readonly passed: number;
}

async function finish(
  spec: LoadSpec,
  [publisher, consumer]: readonly [Client, Client],
  { queue, result, passed }: Passed,
): Promise<LoadResult> {
  await consumer.wire.close();
  await publisher.remove(queue);
  await publisher.wire.close();
  return spec.verify ? { ...result, verified: `${passed} payloads in order` } : result;
}
