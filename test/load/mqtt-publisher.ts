/** An MQTT publisher with a durable session: QoS 1 or 2, repeating what is in doubt. */
import type { Server } from '../clients/server.ts';
import type { Findings } from './findings.ts';
import { Ledger } from './ledger.ts';
import type { Load, LoadSettings } from './load.ts';
import { checkSession, openSession, type SessionClient } from './mqtt-client.ts';
import { Pump } from './pump.ts';
import { StoredLog } from './stored-log.ts';

export class MqttPublisher implements Load {
  readonly protocol = 'mqtt';
  readonly name: string;
  readonly ledger: Ledger;
  readonly logs: readonly StoredLog[];
  readonly #qos: 1 | 2;
  readonly #pump: Pump;
  #session: SessionClient | null = null;

  constructor(topic: string, qos: 1 | 2, { seed, sizes, pace }: LoadSettings) {
    this.name = topic;
    this.#qos = qos;
    this.ledger = new Ledger(seed, sizes);
    this.logs = [new StoredLog(topic, 0, qos === 2 ? 'once' : 'repeated', this.ledger)];
    this.#pump = new Pump(this.ledger, pace, (body, _, done) => {
      this.#session!.client.publish(topic, body, { qos: this.#qos }, (error) => {
        done(error === undefined || error === null);
      });
    });
  }

  get acknowledged(): number {
    return this.ledger.acknowledged;
  }

  async prepare(server: Server): Promise<void> {
    this.#session = await openSession(server, `publisher-${this.name}`);
  }

  async begin(): Promise<void> {
    this.#pump.start();
  }

  cease(): void {
    this.#pump.stop();
  }

  async settle(findings: Findings): Promise<void> {
    await this.#pump.idle();
    if (this.#session !== null) checkSession(this.#session, this.name, findings);
  }

  async close(): Promise<void> {
    await this.#session?.client.endAsync(true);
  }
}
