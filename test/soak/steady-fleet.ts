/**
 * The loads of the crash runs at fixed rates, on streams whose retention cuts all the time: nothing
 * that they keep grows with the time.
 */

import { deadline } from '../clients/program.ts';
import type { Server } from '../clients/server.ts';
import { AmqpWorker } from '../load/amqp-worker.ts';
import type { Findings } from '../load/findings.ts';
import { KafkaGroup } from '../load/kafka-group.ts';
import { KafkaIdempotent } from '../load/kafka-idempotent.ts';
import type { Load, LoadSettings } from '../load/load.ts';
import { MqttPublisher } from '../load/mqtt-publisher.ts';
import { MqttReceiver } from '../load/mqtt-receiver.ts';
import { MqttRetained } from '../load/mqtt-retained.ts';
import { NatsPublisher } from '../load/nats-publisher.ts';
import { createStream } from '../load/streams.ts';

const RETENTION_BYTES = 4 << 20;
const CUT_STREAMS = [
  'crash-mqtt-qos1',
  'crash-mqtt-qos2',
  'crash-nats',
  'crash',
  'soak-churn',
  'soak-will',
  'soak-delayed',
];
/** Queues that are emptied all the time: what was acknowledged goes soon. */
const QUEUES = ['crash-work', 'soak-backlog'];
const ACKED_MS = 20_000;
const SETTLE_TIMEOUT_MS = 60_000;

export class SteadyFleet {
  readonly #loads: readonly Load[];
  #server: Server | null = null;

  constructor() {
    const at = (rate: number, window = 50): LoadSettings => {
      const sizes = { least: 10, most: 2_000 };
      return { seed: rate, sizes, pace: { window, rate }, large: sizes, remote: false };
    };
    const once = new MqttPublisher('crash-mqtt-qos2', 2, at(60));
    const idempotent = new KafkaIdempotent('crash-kafka', at(200));
    this.#loads = [
      once,
      new MqttPublisher('crash-mqtt-qos1', 1, at(150)),
      new MqttRetained(at(30)),
      idempotent,
      new AmqpWorker('crash-work', at(100)),
      new NatsPublisher('crash-nats', at(100, 20)),
      new MqttReceiver('crash-mqtt-qos2', once.ledger),
      new KafkaGroup('crash-kafka', idempotent.logs),
    ];
  }

  get acknowledged(): number {
    let sum = 0;
    for (const load of this.#loads) sum += load.acknowledged;
    return sum;
  }

  async begin(server: Server): Promise<void> {
    this.#server = server;
    const retentionBytes = RETENTION_BYTES;
    for (const name of CUT_STREAMS) await createStream(server, { name, retentionBytes });
    await createStream(server, { name: 'crash-kafka', partitions: 2, retentionBytes });
    for (const name of QUEUES) await createStream(server, { name, retentionAckedMs: ACKED_MS });
    for (const load of this.#loads) await load.prepare(server);
    for (const load of this.#loads) await load.begin(server);
  }

  /** Ends the load and looks whether every reader has got everything. */
  async end(findings: Findings): Promise<void> {
    for (const load of this.#loads) load.cease();
    for (const load of this.#loads) {
      const late = () => `${load.name} does not settle`;
      await deadline(load.settle(findings), SETTLE_TIMEOUT_MS, late).catch((error) => {
        findings.add('stuck', load.name, String(error));
      });
      await load.check?.(this.#server!, findings);
    }
    for (const load of this.#loads) await load.close();
  }
}
