/**
 * A NATS publisher on a captured subject. NATS core acknowledges nothing: it adds to the load, and
 * what of it is stored must be its own, once and in its order.
 */
import { connect, type NatsConnection } from 'nats';
import { HOST, type Server } from '../clients/server.ts';
import { Ledger } from './ledger.ts';
import type { Load, LoadSettings } from './load.ts';
import { StoredLog } from './stored-log.ts';
import { createStream } from './streams.ts';

const MS_PER_SECOND = 1000;

export class NatsPublisher implements Load {
  readonly protocol = 'nats';
  readonly name: string;
  readonly ledger: Ledger;
  readonly logs: readonly StoredLog[];
  readonly #window: number;
  readonly #rate: number | undefined;
  /** Messages before a PONG, which is all that a client can see; not a promise of the server. */
  acknowledged = 0;
  #open = false;
  #client: NatsConnection | null = null;
  #sending: Promise<void> = Promise.resolve();
  #wake: (() => void) | null = null;

  constructor(topic: string, { seed, sizes, pace }: LoadSettings) {
    this.name = topic;
    this.#window = pace.window;
    this.#rate = pace.rate;
    this.ledger = new Ledger(seed, sizes);
    this.logs = [new StoredLog(topic, 0, 'unrepeated', this.ledger)];
  }

  async prepare(server: Server): Promise<void> {
    await createStream(server, { name: this.name });
  }

  async begin(server: Server): Promise<void> {
    const servers = `${HOST}:${server.ports.nats}`;
    this.#client = await connect({ servers, reconnect: false });
    this.#open = true;
    this.#sending = this.#run(this.#client);
  }

  cease(): void {
    this.#open = false;
    this.#wake?.();
  }

  async settle(): Promise<void> {
    await this.#sending;
  }

  async close(): Promise<void> {
    await this.#client?.close();
  }

  async #run(client: NatsConnection): Promise<void> {
    const closed = client.closed();
    while (this.#open && !client.isClosed()) {
      for (let n = 0; n < this.#window; n++) client.publish(this.name, this.ledger.next().body);
      // A flush that the end of the connection overtakes may never be answered by the library.
      await Promise.race([client.flush().catch(() => {}), closed]);
      if (!client.isClosed()) this.acknowledged += this.#window;
      if (this.#rate !== undefined) await this.#pause(this.#window / this.#rate);
    }
    await client.close();
  }

  #pause(seconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, seconds * MS_PER_SECOND);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
