/**
 * Is everything that MQTT acknowledged there for Kafka after a kill -9 in the middle of the load?
 * Sixteen publishers number their messages; afterwards a Kafka reader looks for each number that
 * had its PUBACK.
 */

import type { Cost, CostFigure } from '../cost.ts';
import { createTopics, endOffset, Client as KafkaClient } from '../load/kafka-client.ts';
import { fetchLoop } from '../load/kafka-read.ts';
import { walkValues } from '../load/kafka-records.ts';
import { Client, publishPacket } from '../load/mqtt-client.ts';
import { sleep } from '../load/pump.ts';
import { Signal } from '../load/wire.ts';
import { startOurs } from '../peers/ours.ts';
import { freshFolder } from '../peers/peer.ts';

const PUBLISHERS = 16;
const WINDOW = 100;
const PAYLOAD_BYTES = 128;
const TOPIC = 'crossing';
const KILLS = 5;
/** The kill falls somewhere in this span. */
const KILL_AFTER_MS = [300, 1_500] as const;

export const cost: Cost = {
  name: 'crossing-kill',
  title: 'MQTT QoS 1 in, kill -9, Kafka out: what was acknowledged and is not there',

  async measure(share) {
    let acknowledged = 0;
    let lost = 0;
    for (let kill = 0; kill < Math.max(1, KILLS * share); kill++) {
      const one = await killOnce();
      acknowledged += one.acknowledged;
      lost += one.lost;
    }
    const figure: CostFigure = { what: 'acknowledged', value: acknowledged, unit: 'messages' };
    return [figure, { what: 'lost', value: lost, unit: 'messages', atMost: 0 }];
  },
};

async function killOnce(): Promise<{ acknowledged: number; lost: number }> {
  const folder = freshFolder('crossing-kill');
  const first = await startOurs('mqtt', { folder });
  await createTopics(first.kafkaPort, [TOPIC]);
  const publishers: NumberedPublisher[] = [];
  for (let n = 0; n < PUBLISHERS; n++) publishers.push(await NumberedPublisher.open(first.port, n));
  for (const publisher of publishers) publisher.start();
  const [from, to] = KILL_AFTER_MS;
  await sleep(from + Math.random() * (to - from));
  await first.stop('SIGKILL');
  const second = await startOurs('kafka', { folder });
  const found = await numbersIn(second.port);
  await second.stop();
  let acknowledged = 0;
  let lost = 0;
  for (const [number, publisher] of publishers.entries()) {
    acknowledged += publisher.acknowledged;
    for (let n = 0; n < publisher.acknowledged; n++) if (!found[number]!.has(n)) lost++;
  }
  return { acknowledged, lost };
}

/** Messages of one publisher carry its number and theirs; PUBACKs come in order. */
class NumberedPublisher {
  acknowledged = 0;
  readonly #client: Client;
  readonly #number: number;
  #next = 0;

  private constructor(client: Client, number: number) {
    this.#client = client;
    this.#number = number;
    client.wire.mayEnd();
    client.onDrained = () => {
      this.acknowledged = client.pubacks;
      this.start();
    };
  }

  static async open(port: number, number: number): Promise<NumberedPublisher> {
    const client = await Client.open(port, `numbered-${number}`, true);
    return new NumberedPublisher(client, number);
  }

  /** Sends what the window allows. */
  start(): void {
    while (this.#next - this.acknowledged < WINDOW) {
      const payload = Buffer.alloc(PAYLOAD_BYTES);
      payload.writeUInt32BE(this.#number);
      payload.writeUInt32BE(this.#next, 4);
      this.#client.wire.send(publishPacket(TOPIC, payload, (this.#next % 60_000) + 1));
      this.#next++;
    }
  }
}

/** The numbers of each publisher that a reader of the whole topic sees. */
async function numbersIn(port: number): Promise<Set<number>[]> {
  const found = Array.from({ length: PUBLISHERS }, () => new Set<number>());
  const client = await KafkaClient.open(port);
  const end = await endOffset(client, TOPIC);
  const all = new Signal();
  let position = 0;
  const value = (bytes: Buffer, start: number) => {
    found[bytes.readUInt32BE(start)]?.add(bytes.readUInt32BE(start + 4));
  };
  const next = fetchLoop(client, TOPIC, (bytes, from, to) => {
    position = walkValues(bytes, from, to, position, value);
    if (position >= end) all.fire();
    else next(position);
  });
  if (end > 0) {
    next(0);
    await all.promise;
  }
  await client.wire.close();
  return found;
}
