/** An AMQP publisher with confirms to a durable queue that nobody reads until the end. */
import amqp from 'amqplib';
import { deadline } from '../clients/program.ts';
import type { Server } from '../clients/server.ts';
import type { Findings } from './findings.ts';
import { Ledger } from './ledger.ts';
import type { Load, LoadSettings } from './load.ts';
import { Pump } from './pump.ts';
import { StoredLog } from './stored-log.ts';

const PREFETCH = 500;
const DRAIN_TIMEOUT_MS = 120_000;

export class AmqpConfirm implements Load {
  readonly protocol = 'amqp';
  readonly name: string;
  readonly ledger: Ledger;
  readonly logs: readonly StoredLog[];
  readonly #pump: Pump;
  #channel: amqp.ConfirmChannel | null = null;
  #connection: amqp.ChannelModel | null = null;

  constructor(queue: string, { seed, sizes, pace }: LoadSettings) {
    this.name = queue;
    this.ledger = new Ledger(seed, sizes);
    this.logs = [new StoredLog(queue, 0, 'unrepeated', this.ledger)];
    this.#pump = new Pump(this.ledger, pace, (body, _, done) => {
      this.#channel!.sendToQueue(queue, body, { persistent: true }, (error) => {
        // The library answers so when the connection ends, and takes nothing more then.
        if (error !== null && error !== undefined) this.#pump.abandon();
        else done(true);
      });
    });
  }

  get acknowledged(): number {
    return this.ledger.acknowledged;
  }

  async prepare(server: Server): Promise<void> {
    const connection = await amqp.connect(`amqp://${server.address('amqp')}`);
    const channel = await connection.createChannel();
    await channel.assertQueue(this.name, { durable: true });
    await connection.close();
  }

  async begin(server: Server): Promise<void> {
    const connection = await amqp.connect(`amqp://${server.address('amqp')}`);
    connection.on('error', () => {});
    connection.once('close', () => this.#pump.abandon());
    this.#connection = connection;
    this.#channel = await connection.createConfirmChannel();
    this.#channel.on('error', () => {});
    this.#pump.start();
  }

  cease(): void {
    this.#pump.stop();
  }

  /** Its connection has ended with the server, and what was in doubt stays so. */
  async settle(): Promise<void> {
    await this.#pump.idle();
  }

  async finish(server: Server, findings: Findings): Promise<void> {
    const connection = await amqp.connect(`amqp://${server.address('amqp')}`);
    const channel = await connection.createChannel();
    await channel.prefetch(PREFETCH);
    const { messageCount } = await channel.checkQueue(this.name);
    const missing = new Set(this.ledger.confirmed);
    const { promise: complete, resolve } = Promise.withResolvers<void>();
    let [taken, last] = [0, -1];
    await channel.consume(this.name, (message) => {
      if (message === null) return;
      const number = this.ledger.bodies.numberOf(message.content);
      if (number < 0) findings.add('invented', this.name, String(message.content).slice(0, 40));
      else if (number <= last) findings.add('order', this.name, `${number} after ${last}`);
      last = Math.max(last, number);
      missing.delete(number);
      channel.ack(message);
      if (++taken === messageCount) resolve();
    });
    if (messageCount === 0) resolve();
    try {
      await deadline(complete, DRAIN_TIMEOUT_MS, () => `${taken} of ${messageCount} came`);
    } catch (error) {
      findings.add('stuck', this.name, String(error));
    }
    await connection.close();
    if (missing.size === 0) return;
    const some = [...missing].slice(0, 8).join(', ');
    findings.add('lost', this.name, `confirmed, not in the queue: ${some}`, missing.size);
  }

  async close(): Promise<void> {
    // After a restart that did not come there is nobody to close it with.
    await this.#connection?.close().catch(() => {});
  }
}
