/**
 * The loads that work at the same time on one server: all four protocols, all durability classes.
 */

import { deadline } from '../clients/program.ts';
import type { Server } from '../clients/server.ts';
import { AmqpConfirm } from './amqp-confirm.ts';
import { AmqpWorker } from './amqp-worker.ts';
import type { Findings } from './findings.ts';
import { KafkaCompacted } from './kafka-compacted.ts';
import { KafkaGroup } from './kafka-group.ts';
import { KafkaIdempotent, type KafkaShape } from './kafka-idempotent.ts';
import { KafkaPlain } from './kafka-plain.ts';
import type { Load, LoadSettings, ProtocolName } from './load.ts';
import { MqttAway } from './mqtt-away.ts';
import { MqttPublisher } from './mqtt-publisher.ts';
import { MqttReceiver } from './mqtt-receiver.ts';
import { MqttRetained } from './mqtt-retained.ts';
import { NatsPublisher } from './nats-publisher.ts';
import { readBack } from './read-back.ts';

const CLOSE_TIMEOUT_MS = 60_000;

/** Batches of 16 KiB and more: files that are full of these become segments as they are. */
const LARGE: KafkaShape = { partitions: 2, batch: 24, gzip: false };
/** Its older records lie in the bucket. */
const REMOTE: KafkaShape = {
  ...{ partitions: 1, batch: 20, gzip: false },
  configs: { 'remote.storage.enable': 'true' },
};

process.env['KAFKAJS_NO_PARTITIONER_WARNING'] = '1';

export class Fleet {
  /** Publishers before those who read what they publish: they settle in this order. */
  readonly loads: readonly Load[];

  readonly #patienceMs: number;

  /** @param patienceMs how long the clients may need to settle */
  constructor(settings: LoadSettings, patienceMs: number) {
    this.#patienceMs = patienceMs;
    const like = (n: number): LoadSettings => ({ ...settings, seed: settings.seed * 100 + n });
    const once = new MqttPublisher('crash-mqtt-qos2', 2, like(1));
    const idempotent = new KafkaIdempotent('crash-kafka', like(2));
    const confirmed = new AmqpConfirm('crash-amqp', like(3));
    this.loads = [
      once,
      new MqttPublisher('crash-mqtt-qos1', 1, like(4)),
      new MqttRetained(like(5)),
      idempotent,
      new KafkaPlain('crash-async', 'async', like(6)),
      new KafkaPlain('crash-memory', 'memory', like(7)),
      confirmed,
      new AmqpWorker('crash-work', like(8)),
      new NatsPublisher('crash-nats', like(9)),
      new MqttReceiver('crash-mqtt-qos2', once.ledger),
      new MqttAway('crash-amqp', confirmed.ledger),
      new KafkaGroup('crash-kafka', idempotent.logs),
      new KafkaIdempotent('crash-large', { ...like(10), sizes: settings.large }, LARGE),
      new KafkaCompacted('crash-compacted', like(11)),
      ...(settings.remote ? [new KafkaIdempotent('crash-remote', like(12), REMOTE)] : []),
    ];
  }

  async prepare(server: Server): Promise<void> {
    for (const load of this.loads) await load.prepare(server);
  }

  async begin(server: Server): Promise<void> {
    await Promise.all(this.loads.map((load) => load.begin(server)));
  }

  cease(): void {
    for (const load of this.loads) load.cease();
  }

  /** After a restart: everything that was in doubt is settled, then everything is checked. */
  async verify(server: Server, brokenAtMs: number, whole: boolean, findings: Findings) {
    // All at once: those who read wait for what was sent, which is known by now.
    await Promise.all(
      this.loads.map((load) => {
        const late = () => `${load.name} does not settle`;
        const settled = deadline(load.settle(findings), this.#patienceMs, late);
        return attempt(load, findings, settled);
      }),
    );
    const logs = this.loads.flatMap((load) => load.logs);
    await readBack(server, logs, whole, brokenAtMs, findings);
    for (const load of this.loads) {
      if (load.check !== undefined) await attempt(load, findings, load.check(server, findings));
    }
  }

  async finish(server: Server, findings: Findings): Promise<void> {
    for (const load of this.loads) {
      if (load.finish !== undefined) await attempt(load, findings, load.finish(server, findings));
    }
  }

  async close(): Promise<void> {
    for (const load of this.loads) {
      await deadline(load.close(), CLOSE_TIMEOUT_MS, () => `${load.name} does not close`);
    }
  }

  acknowledged(): Record<ProtocolName, number> {
    const sums = { mqtt: 0, kafka: 0, amqp: 0, nats: 0 };
    for (const { protocol, acknowledged } of this.loads) sums[protocol] += acknowledged;
    return sums;
  }
}

async function attempt(load: Load, findings: Findings, work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    findings.add('stuck', load.name, String(error));
  }
}
