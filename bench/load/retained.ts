/** Retained messages: sets many of them, and takes what a new subscription gets. */

import { Client, publishPacket } from './mqtt-client.ts';
import { numbered } from './payload.ts';

const PAYLOAD_BYTES = 64;
/** Clients that set them, and what each may have unacknowledged at one time. */
const SETTERS = 4;
const WINDOW = 2_000;
const RETAIN = 0x01;
const SITES = 1_000;
const PATIENCE_MS = 120_000;

export function retainedTopic(n: number): string {
  return `site/${n % SITES}/device/${n}/state`;
}

/** Sets those from `from` up to `to`, at QoS 1. @returns how many in a second */
export async function setRetained(port: number, from: number, to: number): Promise<number> {
  const each = Math.ceil((to - from) / SETTERS);
  const began = performance.now();
  const shares = Array.from({ length: SETTERS }, (_, n) => {
    return setShare(port, from + n * each, Math.min(to, from + (n + 1) * each));
  });
  await Promise.all(shares);
  return ((to - from) * 1000) / (performance.now() - began);
}

async function setShare(port: number, from: number, to: number): Promise<void> {
  const client = await Client.open(port, `setter-${from}`, true);
  for (let at = from; at < to; ) {
    const frames: Buffer[] = [];
    for (let id = 1; id <= WINDOW && at < to; id++, at++) {
      const frame = publishPacket(retainedTopic(at), numbered(at, PAYLOAD_BYTES), id);
      frame[0]! |= RETAIN;
      frames.push(frame);
    }
    const wanted = client.pubacks + frames.length;
    const answered = until(client, () => client.pubacks >= wanted);
    client.wire.send(Buffer.concat(frames));
    await answered;
  }
  await client.leave();
}

/** Subscribes and waits for so many. @returns the time until the last one came */
export async function takeRetained(port: number, filter: string, count: number): Promise<number> {
  const client = await Client.open(port, `taker-${Math.trunc(performance.now())}`, true);
  const all = until(client, () => client.publishes >= count);
  const began = performance.now();
  await client.subscribe(filter, 0);
  await all;
  const tookMs = performance.now() - began;
  await client.leave();
  return tookMs;
}

function until(client: Client, isDone: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const late = (): void => reject(new Error(`${client.publishes} came in ${PATIENCE_MS} ms`));
    const timer = setTimeout(late, PATIENCE_MS);
    client.onDrained = () => {
      if (!isDone()) return;
      client.onDrained = undefined;
      clearTimeout(timer);
      resolve();
    };
  });
}
