/**
 * A durable MQTT session that is away during the whole load, subscribed at QoS 1 to a stream that
 * another protocol fills: at the end it gets everything that was acknowledged.
 */
import { type EventEmitter, once } from 'node:events';
import mqtt from 'mqtt';
import { deadline } from '../clients/program.ts';
import type { Server } from '../clients/server.ts';
import type { Findings } from './findings.ts';
import type { Ledger } from './ledger.ts';
import type { Load } from './load.ts';
import { urlOf } from './mqtt-client.ts';

const CLIENT_ID = 'session-away';
const FINISH_TIMEOUT_MS = 120_000;

export class MqttAway implements Load {
  readonly protocol = 'mqtt';
  readonly name = 'mqtt-away';
  readonly acknowledged = 0;
  readonly logs = [];
  readonly #topic: string;
  readonly #ledger: Ledger;

  constructor(topic: string, ledger: Ledger) {
    this.#topic = topic;
    this.#ledger = ledger;
  }

  async prepare(server: Server): Promise<void> {
    const client = await mqtt.connectAsync(urlOf(server), options(true));
    await client.subscribeAsync(this.#topic, { qos: 1 });
    await client.endAsync();
  }

  async begin(): Promise<void> {}

  cease(): void {}

  async settle(): Promise<void> {}

  async finish(server: Server, findings: Findings): Promise<void> {
    const missing = new Set(this.#ledger.confirmed);
    const { promise: complete, resolve } = Promise.withResolvers<void>();
    const client = mqtt.connect(urlOf(server), options(false));
    let last = -1;
    client.on('message', (_topic, payload) => {
      const number = this.#ledger.bodies.numberOf(payload);
      if (number < 0) findings.add('invented', this.name, payload.toString('latin1', 0, 40));
      else if (number <= last) findings.add('order', this.name, `${number} after ${last}`);
      last = Math.max(last, number);
      missing.delete(number);
      if (missing.size === 0) resolve();
    });
    await once(client as unknown as EventEmitter, 'connect');
    if (missing.size === 0) resolve();
    try {
      await deadline(complete, FINISH_TIMEOUT_MS, () => `${missing.size} did not come`);
    } catch (error) {
      const some = [...missing].slice(0, 8).join(', ');
      findings.add('lost', this.name, `${String(error)}: ${some}`, missing.size);
    }
    await client.endAsync(true);
  }

  async close(): Promise<void> {}
}

function options(clean: boolean): mqtt.IClientOptions {
  return {
    protocolVersion: 5,
    clientId: CLIENT_ID,
    clean,
    properties: { sessionExpiryInterval: 86_400 },
    reconnectPeriod: 0,
  };
}
