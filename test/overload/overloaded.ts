/**
 * A server under overload for the tests of one file, with a witness of all protocols whose round
 * trips must go on, and with raw clients that are closed at the end.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before } from 'node:test';
import { Witness } from '../bad-input/witness.ts';
import { RawClient } from './raw.ts';
import { OverloadedServer } from './server.ts';

type Options = NonNullable<Parameters<typeof OverloadedServer.start>[0]>;

export class Overloaded {
  server!: OverloadedServer;
  witness!: Witness;
  readonly #clients: RawClient[] = [];

  async begin(options: Options): Promise<void> {
    this.server = await OverloadedServer.start(options);
    this.witness = await Witness.connect(this.server);
    await this.witness.roundTrips();
  }

  /** A client that the test holds by its bytes. */
  async open(listener: string): Promise<RawClient> {
    const client = await RawClient.open(this.server.port(listener));
    this.#clients.push(client);
    return client;
  }

  /** Closes the raw clients so far. */
  dismiss(): void {
    for (const client of this.#clients.splice(0)) client.destroy();
  }

  async end(): Promise<void> {
    this.dismiss();
    await this.server.ask({ latencyMs: 0 });
    await this.witness?.close().catch(() => {});
    await this.server[Symbol.asyncDispose]();
  }
}

/** Starts before the tests of a suite, ends after them; after each of them the others go on. */
export function overloaded(options: Options = {}): Overloaded {
  const one = new Overloaded();
  before(() => one.begin(options));
  afterEach(async () => {
    assert.ok(one.server.running, 'the server goes on');
    await one.witness.roundTrips();
  });
  after(() => one.end());
  return one;
}
