/**
 * Retained values that change and go: after a restart each topic shows what was set last. One
 * publisher with a durable session, which repeats what is in doubt in its order, so that nothing is
 * in doubt once it is settled.
 */
import mqtt from 'mqtt';
import { deadline } from '../clients/program.ts';
import type { Server } from '../clients/server.ts';
import type { Findings } from './findings.ts';
import { Ledger } from './ledger.ts';
import type { Load, LoadSettings } from './load.ts';
import { checkSession, openSession, type SessionClient, urlOf } from './mqtt-client.ts';
import { Pump } from './pump.ts';

const TOPICS = 16;
const ROOT = 'crash/retained';
/** Every so many steps a topic loses its value. */
const REMOVE_EVERY = 7;
const REPLAY_TIMEOUT_MS = 30_000;
const PROBE = 'crash/probe';

export class MqttRetained implements Load {
  readonly protocol = 'mqtt';
  readonly name = 'mqtt-retained';
  readonly logs = [];
  readonly #ledger: Ledger;
  readonly #pump: Pump;
  /** What was set last, by topic; absent where it was removed last. */
  readonly #values = new Map<string, number>();
  #session: SessionClient | null = null;

  constructor({ seed, sizes, pace }: LoadSettings) {
    this.#ledger = new Ledger(seed, sizes);
    this.#pump = new Pump(this.#ledger, pace, (body, number, done) => {
      const topic = `${ROOT}/${number % TOPICS}`;
      const removes = number % REMOVE_EVERY === 0;
      if (removes) this.#values.delete(topic);
      else this.#values.set(topic, number);
      const payload = removes ? Buffer.alloc(0) : body;
      this.#session!.client.publish(topic, payload, { qos: 1, retain: true }, (error) => {
        done(error === undefined || error === null);
      });
    });
  }

  get acknowledged(): number {
    return this.#ledger.acknowledged;
  }

  async prepare(server: Server): Promise<void> {
    this.#session = await openSession(server, this.name);
  }

  async begin(): Promise<void> {
    this.#ledger.take();
    this.#pump.start();
  }

  cease(): void {
    this.#pump.stop();
  }

  async settle(findings: Findings): Promise<void> {
    await this.#pump.idle();
    if (this.#session !== null) checkSession(this.#session, this.name, findings);
  }

  async check(server: Server, findings: Findings): Promise<void> {
    const found = new Map<string, number>();
    const client = await mqtt.connectAsync(urlOf(server), { protocolVersion: 5 });
    const { promise: complete, resolve } = Promise.withResolvers<void>();
    const { promise: probed, resolve: probe } = Promise.withResolvers<void>();
    client.on('message', (topic, payload) => {
      if (topic === PROBE) return probe();
      found.set(topic, this.#ledger.bodies.numberOf(payload));
      if ([...this.#values].every(([name]) => found.has(name))) resolve();
    });
    if (this.#values.size === 0) resolve();
    await client.subscribeAsync([`${ROOT}/+`, PROBE], { qos: 1 });
    try {
      await deadline(complete, REPLAY_TIMEOUT_MS, () => 'not every retained value came');
    } catch {
      // The comparison says which.
    }
    // What comes until this one has gone round would be a value that should be gone.
    await client.publishAsync(PROBE, 'probe', { qos: 1 });
    await deadline(probed, REPLAY_TIMEOUT_MS, () => 'the probe did not come');
    await client.endAsync();
    this.#compare(found, findings);
  }

  async close(): Promise<void> {
    await this.#session?.client.endAsync(true);
  }

  #compare(found: ReadonlyMap<string, number>, findings: Findings): void {
    for (const [topic, number] of this.#values) {
      const got = found.get(topic);
      if (got === number) continue;
      findings.add('lost', this.name, `${topic} is ${got ?? 'without a value'}, not ${number}`);
    }
    for (const [topic, number] of found) {
      if (this.#values.has(topic)) continue;
      findings.add('invented', this.name, `${topic} has ${number}, which was removed`);
    }
  }
}
