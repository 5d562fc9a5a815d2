/**
 * What this room's tests share: instances on a real broker, and clients over memory connections.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { Instance } from '#contract';
import { defaults } from '#kit';
import {
  connectMemory,
  type MemoryClient,
  type MemoryOptions,
} from '../../../test/contract/memory-connection.ts';
import { openTestHost, type TestHost } from '../../../test/contract/test-host.ts';
import { nats } from './index.ts';
import type { NatsOptions } from './options.ts';

const CONNECT =
  'CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true}\r\n';

/** One host for a file of tests, and the instances that its tests open. */
export class Rig {
  #host: TestHost | null = null;
  #opened: Instance[] = [];

  get host(): TestHost {
    if (this.#host === null) throw new Error('the rig is not started');
    return this.#host;
  }

  async start(): Promise<void> {
    this.#host = await openTestHost();
  }

  async stop(): Promise<void> {
    await this.closeInstances();
    await this.#host?.close();
  }

  open(options: Partial<NatsOptions> = {}, host: TestHost = this.host): Instance {
    const instance = nats.open(host, { ...defaults(nats.options), ...options });
    this.#opened.push(instance);
    return instance;
  }

  async closeInstances(): Promise<void> {
    await Promise.all(this.#opened.splice(0).map((instance) => instance.close()));
  }

  /** Ends a test's own host, after what runs on it. */
  async close(own: TestHost): Promise<void> {
    await this.closeInstances();
    await own.close();
  }
}

export function dial(instance: Instance, options: MemoryOptions = {}): MemoryClient {
  return connectMemory(instance, { listener: 'nats', ...options });
}

/** What the server has written at the end of this turn of the loop. */
export async function said(client: MemoryClient): Promise<string> {
  await turn();
  await turn();
  return client.take().toString();
}

/** A client that is past its greeting. */
export async function ready(instance: Instance, connect = CONNECT): Promise<MemoryClient> {
  const client = dial(instance);
  client.send(connect);
  await said(client);
  return client;
}
