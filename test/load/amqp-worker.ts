/**
 * A durable AMQP queue with a worker: publishes with confirms and acknowledges what it is given, on
 * one channel. An acknowledgement waits for no disk, but it is written no later than what the same
 * channel publishes after it: so once such a message is confirmed, what was acknowledged before it
 * must not come again.
 */
import amqp from 'amqplib';
import type { Server } from '../clients/server.ts';
import type { Findings } from './findings.ts';
import { Ledger } from './ledger.ts';
import type { Load, LoadSettings } from './load.ts';
import { Pump } from './pump.ts';
import { StoredLog } from './stored-log.ts';

const PREFETCH = 50;

export class AmqpWorker implements Load {
  readonly protocol = 'amqp';
  readonly name: string;
  readonly ledger: Ledger;
  readonly logs: readonly StoredLog[];
  readonly #pump: Pump;
  #channel: amqp.ConfirmChannel | null = null;
  #connection: amqp.ChannelModel | null = null;
  /** Confirmed messages that were not delivered yet. */
  readonly #due = new Set<number>();
  readonly #delivered = new Set<number>();
  /** Acknowledged in this order over the present channel, and how many of them are certain. */
  #acked: number[] = [];
  #certain = new Set<number>();
  #certainCount = 0;
  readonly #faults: {
    readonly kind: 'invented' | 'acknowledgement lost';
    readonly text: string;
  }[] = [];
  #again = 0;
  #unmarked = 0;
  #server: Server | null = null;
  #drained: (() => void) | null = null;

  constructor(queue: string, { seed, sizes, pace }: LoadSettings) {
    this.name = queue;
    this.ledger = new Ledger(seed, sizes);
    this.logs = [new StoredLog(queue, 0, 'unrepeated', this.ledger)];
    this.#pump = new Pump(this.ledger, pace, (body, number, done) => {
      const ackedBefore = this.#acked.length;
      const channel = this.#channel;
      channel!.sendToQueue(queue, body, { persistent: true }, (error) => {
        // The library answers so when the connection ends, and takes nothing more then.
        if (error !== null && error !== undefined) return this.#pump.abandon();
        if (channel === this.#channel) this.#confirmed(number, ackedBefore);
        done(true);
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
    this.#server = server;
    if (this.#connection === null) await this.#connect(server);
    this.#pump.start();
  }

  cease(): void {
    this.#pump.stop();
  }

  /**
   * Takes what is in the queue after the restart: all that was confirmed must have come by then.
   */
  async settle(findings: Findings): Promise<void> {
    await this.#pump.idle();
    if (this.#connection === null) await this.#connect(this.#server!);
    if (this.#due.size > 0) {
      await new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
    }
    for (const { kind, text } of this.#faults.splice(0)) findings.add(kind, this.name, text);
    findings.allow('AMQP messages given again whose acknowledgement was not yet safe', this.#again);
    findings.allow('of these without the mark of a redelivery', this.#unmarked);
    this.#again = this.#unmarked = 0;
  }

  async close(): Promise<void> {
    // After a restart that did not come there is nobody to close it with.
    await this.#connection?.close().catch(() => {});
  }

  async #connect(server: Server): Promise<void> {
    const connection = await amqp.connect(`amqp://${server.address('amqp')}`);
    connection.on('error', () => {});
    connection.once('close', () => {
      this.#pump.abandon();
      this.#connection = null;
    });
    this.#connection = connection;
    const channel = await connection.createConfirmChannel();
    channel.on('error', () => {});
    this.#channel = channel;
    this.#acked = [];
    this.#certainCount = 0;
    await channel.prefetch(PREFETCH);
    await channel.consume(this.name, (message) => {
      if (message !== null && channel === this.#channel) this.#work(channel, message);
    });
  }

  #work(channel: amqp.ConfirmChannel, message: amqp.ConsumeMessage): void {
    const number = this.ledger.bodies.numberOf(message.content);
    if (number < 0) {
      this.#faults.push({ kind: 'invented', text: String(message.content).slice(0, 40) });
    } else if (this.#certain.has(number)) {
      this.#faults.push({ kind: 'acknowledgement lost', text: `${number} came again` });
    } else if (this.#delivered.has(number)) {
      this.#again++;
      if (!message.fields.redelivered) this.#unmarked++;
    }
    this.#delivered.add(number);
    channel.ack(message);
    this.#acked.push(number);
    if (this.#due.delete(number) && this.#due.size === 0) this.#drained?.();
  }

  #confirmed(number: number, ackedBefore: number): void {
    if (!this.#delivered.has(number)) this.#due.add(number);
    for (; this.#certainCount < ackedBefore; this.#certainCount++) {
      this.#certain.add(this.#acked[this.#certainCount]!);
    }
  }
}
