/**
 * A durable MQTT session that receives at QoS 2 while the server comes and goes: each message that
 * its publisher sent, once and in order.
 */
import type { Server } from '../clients/server.ts';
import type { Findings } from './findings.ts';
import type { Ledger } from './ledger.ts';
import type { Load } from './load.ts';
import { checkSession, openSession, type SessionClient } from './mqtt-client.ts';

export class MqttReceiver implements Load {
  readonly protocol = 'mqtt';
  readonly name = 'mqtt-receiver';
  readonly logs = [];
  readonly #topic: string;
  /** Of the publisher, which is settled before this is. */
  readonly #ledger: Ledger;
  #session: SessionClient | null = null;
  #next = 0;
  readonly #faults: { readonly kind: 'duplicate' | 'order' | 'invented'; readonly text: string }[] =
    [];
  #waiting: (() => void) | null = null;

  constructor(topic: string, ledger: Ledger) {
    this.#topic = topic;
    this.#ledger = ledger;
  }

  get acknowledged(): number {
    return this.#next;
  }

  async prepare(server: Server): Promise<void> {
    this.#session = await openSession(server, this.name);
    this.#session.client.on('message', (_topic, payload) => this.#receive(payload));
    await this.#session.client.subscribeAsync(this.#topic, { qos: 2 });
  }

  async begin(): Promise<void> {}

  cease(): void {}

  async settle(findings: Findings): Promise<void> {
    if (this.#next < this.#ledger.sent) {
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
    }
    for (const { kind, text } of this.#faults.splice(0)) findings.add(kind, this.name, text);
    if (this.#session !== null) checkSession(this.#session, this.name, findings);
  }

  async close(): Promise<void> {
    await this.#session?.client.endAsync(true);
  }

  #receive(payload: Buffer): void {
    const number = this.#ledger.bodies.numberOf(payload);
    if (number < 0) {
      this.#faults.push({ kind: 'invented', text: payload.toString('latin1', 0, 40) });
      return;
    }
    if (number < this.#next) {
      this.#faults.push({ kind: 'duplicate', text: `${number} when ${this.#next} was due` });
      return;
    }
    if (number > this.#next) {
      this.#faults.push({ kind: 'order', text: `${number} when ${this.#next} was due` });
    }
    this.#next = number + 1;
    if (this.#next >= this.#ledger.sent) this.#waiting?.();
  }
}
