/** AMQP publishers with confirms: persistent messages to one durable queue. */

import { Client, publishFrames } from './amqp-client.ts';
import { numbered } from './payload.ts';
import { Flows, measure, Pump, type Ring, ringOf, settle } from './pump.ts';
import type { LoadResult, LoadSpec } from './spec.ts';
import { Signal } from './wire.ts';

const VERIFIED_MESSAGES = 1_000;

export async function amqpConfirm(spec: LoadSpec): Promise<LoadResult> {
  const queue = `bench.${spec.name}`;
  if (spec.verify) await verifyQueue(spec, `${queue}.check`);
  const ring = ringOf(1_024, (i) => publishFrames(queue, numbered(i, spec.payloadBytes)));
  const clients: Client[] = [];
  for (let n = 0; n < spec.publishers; n++) clients.push(await openPublisher(spec, queue));
  const flows = new Flows(clients.map((client) => confirmPump(client, ring, spec.window)));
  const result = await measure(spec, flows);
  await settle(flows);
  const notes = spec.verify ? [`${VERIFIED_MESSAGES} payloads through the queue`] : [];
  if (spec.audit) {
    const kept = await clients[0]!.declare(queue, spec.queueType);
    if (kept < flows.done) throw new Error(`queue holds ${kept} of ${flows.done} confirmed`);
    notes.push(`queue holds all of ${flows.done} confirmed`);
  }
  await clients[0]!.remove(queue);
  await Promise.all(clients.map((client) => client.wire.close()));
  return notes.length > 0 ? { ...result, verified: notes.join('; ') } : result;
}

/** A connection in confirm mode whose queue exists. */
export async function openPublisher(spec: LoadSpec, queue: string): Promise<Client> {
  const client = await Client.open(spec.port);
  await client.declare(queue, spec.queueType);
  await client.select();
  return client;
}

export function confirmPump(client: Client, ring: Ring, window: number): Pump {
  const pump = new Pump(client.wire, ring, window);
  client.onRead = () => {
    const { confirmed } = client;
    client.confirmed = 0;
    if (confirmed > 0) pump.completed(confirmed);
  };
  return pump;
}

async function verifyQueue(spec: LoadSpec, queue: string): Promise<void> {
  const client = await openPublisher(spec, queue);
  const confirmed = new Signal();
  client.onRead = () => {
    if (client.confirmed === VERIFIED_MESSAGES) confirmed.fire();
  };
  for (let i = 0; i < VERIFIED_MESSAGES; i++) {
    client.wire.send(publishFrames(queue, numbered(i, spec.payloadBytes)));
  }
  await confirmed.promise;
  const all = new Signal();
  let next = 0;
  client.onBody = (bytes, start, end) => {
    if (!bytes.subarray(start, end).equals(numbered(next, spec.payloadBytes))) {
      throw new Error(`body ${next} differs from what was published`);
    }
    if (++next === VERIFIED_MESSAGES) all.fire();
  };
  await client.consume(queue);
  await all.promise;
  await client.remove(queue);
  await client.wire.close();
}
