/**
 * Many members of one Kafka group in one process, each with a connection of its own. A member sends
 * a heartbeat every 100 ms, thirty times as often as the Java client, so that a rebalance takes as
 * long as its broker and not as long as an interval.
 */

import { ByteWriter } from './bytes.ts';
import { Client, request } from './kafka-client.ts';
import { sleep } from './pump.ts';
import { Signal } from './wire.ts';

const FIND_COORDINATOR = 10;
const HEARTBEAT_MS = 100;
const PROBE_MS = 50;
const PATIENCE_MS = 60_000;
/** The broker is not ready for this group yet. */
const NOT_YET: readonly number[] = [14, 15, 16];

export function isNotYet(error: number): boolean {
  return NOT_YET.includes(error);
}

export interface Member {
  /** Sends what is due: a request to join, a heartbeat, or nothing while an answer is awaited. */
  beat(): void;
  leave(): void;
  close(): Promise<void>;
}

/** What members tell, and what a change of the group waits for. */
export interface Settling {
  /** Members that the group shall have. */
  expected: number;
  /** All of them have what they are to read. */
  readonly isSettled: boolean;
  onChange: (() => void) | undefined;
}

/** Makes a change, then waits until the group is settled. @returns milliseconds */
export async function settled(
  group: Settling,
  members: readonly Member[],
  change: () => void,
): Promise<number> {
  const done = new Signal<number>();
  const started = performance.now();
  group.onChange = () => {
    if (group.isSettled) done.fire(performance.now() - started);
  };
  change();
  const beats = setInterval(() => {
    for (const member of members) member.beat();
  }, HEARTBEAT_MS);
  const late = setTimeout(() => done.fire(Number.NaN), PATIENCE_MS);
  const tookMs = await done.promise;
  clearInterval(beats);
  clearTimeout(late);
  group.onChange = undefined;
  if (Number.isNaN(tookMs)) throw new Error(`the group is not settled after ${PATIENCE_MS} ms`);
  return tookMs;
}

/** Until the broker says who coordinates the group; the first question makes internal topics. */
export async function findCoordinator(port: number, group: string): Promise<void> {
  const client = await Client.open(port);
  const asked = request(FIND_COORDINATOR, 1, new ByteWriter().text16(group).u8(0).done());
  while ((await client.ask(asked, 4 + 4 + 4)) !== 0) await sleep(PROBE_MS);
  await client.wire.close();
}
